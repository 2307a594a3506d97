"""Plots of a multi-rate model: the same images, noise and latents at each β of its range."""

from matplotlib.figure import Figure

from vaelab import rng
from vaelab.evaluation.bounds import bounds
from vaelab.evaluation.curve import values_of_beta
from vaelab.evaluation.means import Mean, numbers, vectors
from vaelab.plots import beta_charts, image_grids
from vaelab.plots.plotted_run import ENCODED_IMAGES, PlottedRun

IMAGES = 10  # images in a row


def rate_distortion_curve(run: PlottedRun) -> Figure | None:
    """Distortion over rate on test images, a point for each β, with lines of equal ELBO."""
    if run.model.betas is None:
        return None
    betas = values_of_beta(*run.model.betas)
    found = [numbers(_means(run, beta)) for beta in betas]
    rates, distortions = ([means[name] for means in found] for name in ("rate", "distortion"))
    count = min(run.test_images, ENCODED_IMAGES)
    title = run.titled(f"one training at every β: {count:,} test images; dashed: equal ELBO, with its value")
    return beta_charts.rate_distortion_curve(betas, rates, distortions, title)


def kl_along_beta(run: PlottedRun) -> Figure | None:
    """The KL term of each latent over β."""
    if run.model.betas is None or not run.model.has_kl_per_latent:
        return None
    betas = values_of_beta(*run.model.betas)
    kl = [vectors(_means(run, beta))["kl_per_latent"] for beta in betas]
    count = min(run.test_images, ENCODED_IMAGES)
    return beta_charts.kl_along_beta(
        betas, kl, run.titled(f"KL of each latent over β, mean over {count:,} test images")
    )


def _means(run: PlottedRun, beta: float) -> dict[str, float | list[float]]:
    """Means over test images at ``beta``; the noise is the same at every β."""
    model, means = run.model.at(beta), Mean()
    with rng.fixed_noise(run.device, run.evaluated.seed, rng.PLOTS):
        for x, labels in run.evaluated.batches("test", ENCODED_IMAGES):
            inference = model.given(labels)(x)
            kl = {"kl_per_latent": inference.kl_per_latent} if model.has_kl_per_latent else {}
            means.add({**bounds(inference, has_bound=True), **kl})
    return means.compute()


def digits_along_beta(run: PlottedRun) -> Figure | None:
    """The first test images, reconstructed from latents drawn with the same noise, a row for each β."""
    if run.model.betas is None:
        return None
    x, labels = run.test(IMAGES)
    rows = {"original": x}
    for beta in values_of_beta(*run.model.betas):
        model = run.model.at(beta).given(labels)
        with rng.fixed_noise(run.device, run.evaluated.seed, rng.PLOTS):
            z = model.encode(x).rsample((1,))
        rows[_row_name(beta)] = model.decode(z).mean[0]
    return image_grids.labelled_rows(rows, run.titled("reconstructions along β, by samples of q(z|x), the same noise"))


def samples_along_beta(run: PlottedRun) -> Figure | None:
    """Samples from the same latents of the prior, a row for each β."""
    if run.model.betas is None:
        return None
    z = run.model.sample_latents(IMAGES)
    rows = {_row_name(beta): run.model.at(beta).decode(z).mean for beta in values_of_beta(*run.model.betas)}
    return image_grids.labelled_rows(rows, run.titled("samples along β: means of p(x|z), one z per column"))


def _row_name(beta: float) -> str:
    return f"β = {beta:.3g}"
