"""What the static page shows beside the model: test images, their latents, and samples of the prior.

``model.json`` holds numbers and names, ``images.bin`` the test images to choose from, uint8 ``(N, C, H, W)``.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from vaelab import rng
from vaelab.errors import InputError
from vaelab.evaluation.latents import ACTIVE_VARIANCE, ActiveUnits
from vaelab.files import write_json
from vaelab.runs.finished import BATCH, FinishedRun

TO_CHOOSE = 40  # test images, as many of each class
ON_MAP = 1_000  # test images
AXES = 8  # latents that may be the axes of the map
PRIOR_SAMPLES, WRITTEN_SAMPLES = 1_000, 64
DIGITS = 5  # after the point
FACTS = ("model", "network", "posterior", "likelihood", "prior", "loss", "latent", "epochs")  # of results.json
METRICS = ("elbo", "rate", "distortion", "nll")


def write_data(run: FinishedRun, encoder: nn.Module, folder: Path, beta: float | None = None) -> None:
    """Write model.json and images.bin.

    **Arguments**
        encoder: maps images, and labels for a conditional model, to mean and std, and to KL terms where it has them.
        beta: of a model for a range of beta: which one.
    """
    x, labels = test_images(run)
    means, kl = _encoded(run, encoder, x, labels)
    latents, chosen = _latents(run, means, kl), choose(labels)
    axes = latents["order"][:AXES]  # type: ignore[index]
    (folder / "images.bin").write_bytes(x[chosen].mul(255).round().to(torch.uint8).numpy().tobytes())
    content = {
        **_description(run, beta),
        **latents,
        "images": {"labels": labels[chosen].tolist()},
        "map": {"axes": axes, "labels": labels.tolist(), "means": rounded(means[:, axes])},
    }
    write_json(folder / "model.json", content)


def test_images(run: FinishedRun) -> tuple[Tensor, Tensor]:
    """Test images ``(N, C, H, W)``, evenly spaced, as the model sees them, and their labels ``(N,)``."""
    images = run.data.sets["test"]
    if not len(images):
        raise InputError(f"{run.directory} has no test images, which the page shows")
    count = min(len(images), ON_MAP)
    x, labels = images[torch.arange(count) * len(images) // count]
    return run.prepare(x), labels


def choose(labels: Tensor) -> list[int]:
    """The indices of about as many images of each class, at most `TO_CHOOSE`, sorted by class."""
    classes = labels.unique().tolist()[:TO_CHOOSE]
    of_each = TO_CHOOSE // len(classes)
    return [index for label in classes for index in (labels == label).nonzero()[:of_each, 0].tolist()]


def rounded(values: Tensor) -> list:
    """The values as numbers with `DIGITS` digits after the point."""
    return values.double().round(decimals=DIGITS).tolist()


def _encoded(run: FinishedRun, encoder: nn.Module, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
    """The posterior means ``(N, D)``, and the KL term of each latent ``(D,)``, averaged, where there are such."""
    parts = zip(x.split(BATCH), labels.split(BATCH), strict=True)
    found = [encoder(part, *([] if run.classes is None else [given])) for part, given in parts]
    mean, _, *kl = (torch.cat(pieces) for pieces in zip(*found, strict=True))
    return mean, kl[0].mean(0) if kl else None


def _latents(run: FinishedRun, means: Tensor, kl: Tensor | None) -> dict[str, object]:
    """What the page knows of each latent. The first ones are those of the largest KL term, else of the most variance.

    Without a density of the latents nothing was trained towards the prior, so its samples are left out.
    """
    active = ActiveUnits(run.config.evaluation.get("active_variance") or ACTIVE_VARIANCE)
    active.add(means)
    samples = _prior_samples(run)
    reached = means if samples is None else torch.cat([means, samples])
    center = means.mean(0) if samples is None else samples.mean(0)
    if samples is not None and run.model.prior.is_standard_normal:
        center = torch.zeros_like(center)
    sizes = means.var(0, correction=0) if kl is None else kl
    return {
        "order": sizes.argsort(descending=True).tolist(),
        "kl": None if kl is None else rounded(kl),
        "variance": rounded(means.var(0, correction=0)),
        "active": active.which(),
        "low": rounded(reached.amin(0).mul(10).floor().div(10)),
        "high": rounded(reached.amax(0).mul(10).ceil().div(10)),
        "center": rounded(center),
        "prior_samples": None if samples is None else rounded(samples[:WRITTEN_SAMPLES]),
    }


def _prior_samples(run: FinishedRun) -> Tensor | None:
    if not run.model.has_bound:
        return None
    with rng.fixed_noise(run.device, 0, rng.PLOTS):
        return run.model.sample_latents(PRIOR_SAMPLES)


def _description(run: FinishedRun, beta: float | None) -> dict[str, object]:
    """What the run is, and which views its page has."""
    results = run.results
    if beta is None:
        beta = results.get("beta") if run.model.betas is None else 1.0
    metrics = run.metrics if run.beta in (None, 1) else {}  # results.json has those at beta = 1
    return {
        "name": run.directory.resolve().name,
        "facts": {**{name: results.get(name) for name in FACTS}, "beta": beta},
        "data": results["data"]["name"],
        "metrics": {name: metrics[name] for name in METRICS if name in metrics},
        "shape": run.shape,
        "classes": run.classes,
        "binary": results["data"]["binarize"] != "none",
        "has_bound": run.model.has_bound,
        "is_standard_normal": run.model.has_bound and run.model.prior.is_standard_normal,
    }
