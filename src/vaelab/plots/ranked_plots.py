"""Plots of a run: images in the order of their -log p(x)."""

import torch
from matplotlib.figure import Figure
from torch import Tensor

from vaelab.evaluation.importance import importance_weights, log_likelihood
from vaelab.models.contracts import Model
from vaelab.models.vae import sample_images
from vaelab.plots import image_grids
from vaelab.plots.plotted_run import PlottedRun
from vaelab.plots.sample_plots import COLUMNS, SAMPLES, class_names

RANKED_IMAGES = 2_000  # test images, among which the hardest and the easiest are sought
IMPORTANCE_SAMPLES = 50  # per image, for -log p(x)
ROUGH_SAMPLES = 4  # per image, of a first estimate for all images
CANDIDATES = 4  # times as many images as are shown are chosen by the first estimate


def ranked_samples(run: PlottedRun) -> Figure | None:
    """Samples in the order of their -log p(x) under the model itself; of a conditional model within each class."""
    classes = run.model.classes
    if not run.model.has_bound:
        return None
    labels = torch.arange(classes or 1, device=run.device).repeat_interleave(SAMPLES if classes is None else COLUMNS)
    images = sample_images(run.model, labels, run.evaluated.data.is_binary)
    nll = negative_log_likelihood(run.model.given(labels), images)
    lowest, highest = float(nll.min()), float(nll.max())
    sorted_by = "sorted by -log p(x)" if classes is None else "each class sorted by -log p(x|y)"
    title = run.titled(f"samples, {sorted_by}, from {lowest:.0f} to {highest:.0f} nats")
    groups = nll.view(classes or 1, -1)
    order = groups.argsort(1) + groups.shape[1] * torch.arange(len(groups), device=run.device)[:, None]
    return image_grids.grid(images[order.flatten()], title, COLUMNS, rows=class_names(classes or 0))


def hardest_and_easiest(run: PlottedRun) -> Figure:
    """The test images with the highest and the lowest -log p(x), or -log p(x|z) of a model that has no bound."""
    x, labels = run.test(RANKED_IMAGES)
    images, shown = len(x), min(COLUMNS, len(x))
    x, labels, nll = _ranked(run.model, x, labels, CANDIDATES * shown)
    model = run.model.given(labels)
    reconstructed = model.reconstruct(model.encode(x))
    rows = {
        f"hardest, up to {float(nll[0]):.0f} nats": x[:shown],
        "hardest, reconstructed": reconstructed[:shown],
        f"easiest, from {float(nll[-1]):.0f} nats": x[-shown:].flip(0),
        "easiest, reconstructed": reconstructed[-shown:].flip(0),
    }
    measure = "-log p(x)" if model.has_bound else "-log p(x|z)"
    title = f"hardest and easiest of {images:,} test images by {measure}, the most extreme first"
    return image_grids.labelled_rows(rows, run.titled(title))


def _ranked(model: Model, x: Tensor, labels: Tensor, candidates: int) -> tuple[Tensor, Tensor, Tensor]:
    """The ``candidates`` hardest and as many easiest images, or all if there are fewer, the hardest first.

    They are found by an estimate from few samples, and ordered by one from many.

    Returns the images, their labels, and their -log p(x), or -log p(x|z) of a model that has no bound ``(N,)``.
    """
    for samples in (ROUGH_SAMPLES, IMPORTANCE_SAMPLES):
        given = model.given(labels)
        nll = negative_log_likelihood(given, x, samples) if model.has_bound else -given(x).log_px.mean(0)
        order = nll.argsort(descending=True)
        if len(order) > 2 * candidates:
            order = torch.cat([order[:candidates], order[-candidates:]])
        x, labels, nll = x[order], labels[order], nll[order]
    return x, labels, nll


def negative_log_likelihood(model: Model, x: Tensor, samples: int = IMPORTANCE_SAMPLES) -> Tensor:
    """-log p(x) of images ``(B, C, H, W)``, by importance sampling: ``(B,)``, in nats."""
    return -log_likelihood(importance_weights(model, x, samples).log_w)[0]
