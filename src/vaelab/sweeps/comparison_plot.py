"""The same test images and the same noise through the models of a few runs."""

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from vaelab.plots.image_grids import labelled_rows
from vaelab.runs.load import load_run
from vaelab.sweeps.comparison import Comparison
from vaelab.sweeps.sample_grid import show


def draw(comparison: Comparison, count: int, folders: Sequence[Path] = ()) -> Figure:
    """Rows of images: the originals, and of each model its reconstructions of them and as many samples.

    The noise is the same for every model. Where the runs are trained on different pixels, such as binarised ones, each
    has its own row of originals.

    **Arguments**
        count: how many test images.
        folders: where the user's own pieces are now; empty for where they were when the runs were trained.
    """
    rows: dict[str, Tensor] = {}
    originals: Tensor | None = None
    for name, job in zip(comparison.names, comparison.jobs, strict=True):
        module, data = load_run(job.directory, folders=folders)
        test = data.sets["test"]
        images, labels = test[torch.arange(min(count, len(test)))]
        x = data.scale(images)
        if originals is None:
            rows["original"] = originals = x
        elif not torch.equal(x, originals):
            rows[f"{name}: original"] = x
        rows[f"{name}: reconstruction"], rows[f"{name}: sample"] = show(module.model, x, labels)
    return labelled_rows(rows, "Reconstructions and samples: the same images and the same noise through each model")
