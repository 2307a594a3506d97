"""Plots of a run: images along paths through the latent space."""

import torch
from matplotlib.figure import Figure
from torch import Tensor

from vaelab.plots import image_grids, latent_paths
from vaelab.plots.plotted_run import PlottedRun
from vaelab.plots.style import latent_name

ENDS = (0, 2)  # the test images that interpolations lead between: in MNIST a 7 and a 1
INTERPOLATION_STEPS = 11
TRAVERSED = 12  # latents at most
TRAVERSAL_STEPS = 11
MANIFOLD_SIDE = 20  # images


def interpolation(run: PlottedRun) -> Figure | None:
    """Between two test images: through pixels, and through the latents along a line and along an arc."""
    model = run.model
    if not model.has_continuous_latents or model.classes is not None or run.test_images <= max(ENDS):
        return None
    originals = run.test(max(ENDS) + 1)[0][list(ENDS)]
    first, last = model.encode(originals).mean
    shares = torch.linspace(0, 1, INTERPOLATION_STEPS, device=run.device).view(-1, 1, 1, 1)
    rows = {
        "pixels": torch.lerp(originals[0], originals[1], shares),
        "latents, line": model.decode(latent_paths.linear(first, last, INTERPOLATION_STEPS)).mean,
        "latents, arc": model.decode(latent_paths.spherical(first, last, INTERPOLATION_STEPS)).mean,
    }
    return image_grids.labelled_rows(rows, run.titled("interpolation between two test images"))


def traversal(run: PlottedRun) -> Figure | None:
    """One latent at a time over the middle 99 % of its prior, the others at the posterior mean of a test image.

    The latents with the largest KL terms come first. Each row's values are the same quantiles of that latent.
    """
    model = run.model
    if not model.has_continuous_latents:
        return None
    x, labels = run.test(1)
    start = model.given(labels).encode(x).mean[0]
    kl = run.encoded.kl
    latents = list(range(len(start)))[: model.visible] if kl is None else kl.argsort(descending=True).tolist()
    latents = latents[:TRAVERSED]
    shares = latent_paths.traversal_shares(TRAVERSAL_STEPS).to(run.device)
    values = traversal_values(run, shares)
    is_shared = bool(torch.allclose(values[:, latents], values[:, latents[:1]], atol=1e-3))
    given = model.given(labels.expand(TRAVERSAL_STEPS))
    rows = {}
    for latent in latents:
        name = _row_name(latent, kl, None if is_shared else values[:, latent])
        rows[name] = given.decode(latent_paths.traversal(start, latent, values[:, latent])).mean
    count = f"{len(latents)} of {len(start)} latents"
    count = f"the first {count}" if kl is None else f"{count}, by KL"
    if is_shared:
        along, columns = (
            "the latent's values",
            [f"{value:.1f}" for value in values[:, latents[0]].round(decimals=1) + 0],
        )
    else:
        along = f"the latent's quantiles {'under the prior' if model.has_bound else 'among posterior means'}"
        columns = [f"{100 * share:.1f} %" for share in shares.tolist()]
    title = run.titled(f"traversal: {count}; along the top: {along}")
    return image_grids.labelled_rows(rows, title, columns=columns)


def traversal_values(run: PlottedRun, shares: Tensor) -> Tensor:
    """The values ``(S, D)`` of every latent in a traversal, at the quantiles ``shares`` ``(S,)``."""
    if run.model.has_bound:
        return latent_paths.quantiles(run.model.prior_distribution(), shares)
    # An auto-encoder's latents are not trained towards the prior: its decoder has seen only their own range.
    return run.encoded.means.quantile(shares, 0)


def _row_name(latent: int, kl: Tensor | None, values: Tensor | None) -> str:
    """The latent's name, its KL term where it has one, and its range where rows differ in it."""
    parts = [latent_name(latent)]
    if kl is not None:
        parts.append(f"{float(kl[latent]):.2f} nats")
    if values is not None:
        parts.append(f"{float(values[0]):.1f} to {float(values[-1]):.1f}")
    return ", ".join(parts)


def manifold(run: PlottedRun) -> Figure | None:
    """The plane of two latents, by the quantiles of a prior in which they are independent."""
    model = run.model
    if not model.has_continuous_latents or model.classes is not None or not model.prior.is_product:
        return None
    p = model.prior_distribution()
    if p.event_shape != (2,):
        return None
    z = latent_paths.plane(p, MANIFOLD_SIDE)
    title = run.titled("means of p(x|z): z0 grows to the right, z1 upwards, by the prior's quantiles")
    return image_grids.grid(model.decode(z).mean, title, MANIFOLD_SIDE)
