"""Plots of a run: samples, reconstructions and pseudo-inputs."""

import torch
from matplotlib.figure import Figure

from vaelab.plots import image_grids
from vaelab.plots.plotted_run import PlottedRun

SAMPLES = 64
COLUMNS = 8
RECONSTRUCTIONS = 8
PSEUDO_INPUTS = 64


def class_names(classes: int) -> list[str]:
    """The names of the rows where each row shows one class."""
    return [f"class {label}" for label in range(classes)]


def samples(run: PlottedRun) -> Figure:
    """Means of p(x|z) at samples of the prior; of a conditional model a row for each class, all with the same z."""
    model, title = run.model, "samples: means of p(x|z), z from the prior"
    if model.classes is None:
        return image_grids.grid(model.sample(SAMPLES)[1].mean, run.titled(title), COLUMNS)
    z = model.sample_latents(COLUMNS).repeat(model.classes, 1)
    labels = torch.arange(model.classes, device=z.device).repeat_interleave(COLUMNS)
    images = model.given(labels).decode(z).mean
    return image_grids.grid(images, run.titled(f"{title}, one z per column"), COLUMNS, rows=class_names(model.classes))


def reconstructions(run: PlottedRun) -> Figure:
    """The first test images above their reconstructions."""
    originals, labels = run.test(RECONSTRUCTIONS)
    model = run.model.given(labels)
    title = run.titled("test images and their reconstructions")
    return image_grids.reconstructions(originals, model.reconstruct(model.encode(originals)), title)


def pseudo_inputs(run: PlottedRun) -> Figure | None:
    """The images that the prior is made of, for a prior that is made of images."""
    images = run.model.prior.images()
    if images is None:
        return None
    shown = images[:PSEUDO_INPUTS]
    return image_grids.grid(shown, run.titled(f"{len(shown)} of the prior's {len(images)} pseudo-inputs"), COLUMNS)
