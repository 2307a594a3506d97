"""The atlas of a sweep: the same test images and the same noise through every cell, so that eyes can compare."""

from collections.abc import Sequence

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Independent, Normal

from vaelab import rng
from vaelab.data.datamodule import ImageDataModule
from vaelab.runs.load import load_run
from vaelab.sweeps import plots
from vaelab.training.module import VAEModule

IMAGES = 8
SIDE = 8  # rows and columns at most


def sample_grid(
    jobs: pd.DataFrame,
    cells: pd.DataFrame,
    swept: Sequence[str],
    rows: str | None,
    columns: str | None,
    title: str,
) -> Figure | None:
    """What the first seed of each of ``cells`` makes of the first test images, and of noise.

    Args:
        jobs: completed ones of one kind, with their ``directory``.
        cells: those to draw; of many values of an axis some, evenly.
        swept: all axes; beside ``rows`` and ``columns`` each has one value in ``cells``.
        rows: the axis downwards, None for a single row.
        columns: the axis across, None for a single cell.
    """
    down, across = (some(cells, axis) for axis in (rows, columns))
    data: ImageDataModule | None = None
    panels: list[list[tuple[Tensor, Tensor] | None]] = []
    for row in down:
        panels.append([])
        for column in across:
            chosen = jobs
            for axis, value in ((rows, row), (columns, column)):
                if axis is not None:
                    chosen = chosen[chosen[axis] == value]
            for axis in swept:
                if axis not in (rows, columns):
                    chosen = chosen[chosen[axis] == cells[axis].iloc[0]]
            if chosen.empty:
                panels[-1].append(None)
                continue
            directory = chosen.sort_values("seed").iloc[0]["directory"]
            experiment, opened = load_run(directory, reads_data=data is None)
            if data is None:
                data = opened
                test = data.sets["test"]
                images, labels = test[torch.arange(min(IMAGES, len(test)))]
                originals = data.scale(images)
            panels[-1].append(seen(experiment, originals, labels))
    if data is None:
        return None
    names = ([] if axis is None else [f"{axis}={plots.short(value)}" for value in values] for axis, values in
             ((rows, down), (columns, across)))  # fmt: skip
    return plots.panels_of_images(
        originals, panels, *(name or [""] for name in names), f"reconstructions above, samples below · {title}"
    )


def some(cells: pd.DataFrame, axis: str | None) -> list:
    """The values of ``axis``, or of many some, the first and the last among them."""
    if axis is None:
        return [None]
    values = sorted(cells[axis].dropna().unique())
    if len(values) <= SIDE:
        return values
    return [values[round(index * (len(values) - 1) / (SIDE - 1))] for index in range(SIDE)]


@torch.no_grad()
def seen(experiment: VAEModule, originals: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Reconstructions of ``originals`` ``(N, 1, H, W)`` and as many samples.

    The noise is the same for every model: a smaller code is the beginning of a larger one.
    """
    model = experiment.model.given(labels)
    with rng.fixed_noise(torch.device("cpu"), 0, rng.PLOTS):
        reconstructed = model.reconstruct(model.encode(originals))
        p = model.prior_distribution()
        if isinstance(p, Independent) and isinstance(p.base_dist, Normal):
            drawn = torch.randn(p.event_shape.numel(), len(originals)).T
            z = p.base_dist.loc + p.base_dist.scale * drawn
        else:
            z = model.sample_latents(len(originals))
        return reconstructed, model.decode(z).mean
