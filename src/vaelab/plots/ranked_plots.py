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
    model = run.model.given(labels)
    nll = negative_log_likelihood(model, x) if model.has_bound else -model(x).log_px.mean(0)
    order = nll.argsort(descending=True)
    reconstructed = model.reconstruct(model.encode(x))
    count = min(COLUMNS, len(x))
    hardest, easiest = order[:count], order[-count:].flip(0)
    rows = {
        f"hardest, up to {float(nll[hardest[0]]):.0f} nats": x[hardest],
        "hardest, reconstructed": reconstructed[hardest],
        f"easiest, from {float(nll[easiest[0]]):.0f} nats": x[easiest],
        "easiest, reconstructed": reconstructed[easiest],
    }
    measure = "-log p(x)" if model.has_bound else "-log p(x|z)"
    title = f"hardest and easiest of {len(x):,} test images, by {measure}, the extremes at the left"
    return image_grids.labelled_rows(rows, run.titled(title))


def negative_log_likelihood(model: Model, x: Tensor) -> Tensor:
    """-log p(x) of images ``(B, C, H, W)``, by importance sampling: ``(B,)``, in nats."""
    return -log_likelihood(importance_weights(model, x, IMPORTANCE_SAMPLES).log_w)[0]
