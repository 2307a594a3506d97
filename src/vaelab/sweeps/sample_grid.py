"""The sample grid of a sweep: the same test images and the same noise through the models of all configurations."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from vaelab import rng
from vaelab.models.contracts import Model
from vaelab.plots.image_grids import GAP, sheet, show_page
from vaelab.plots.style import DPI, FONT, INK, canvas
from vaelab.runs.load import load_run
from vaelab.sweeps.jobs import as_text
from vaelab.sweeps.plots import LETTER, wrap

IMAGES = 8  # reconstructions, and as many samples, per model
SIDE = 8  # rows and columns of models at most
SCALE = 2  # screen pixels per image pixel
BETWEEN = 8  # image pixels between two models
MARGIN = 8  # screen pixels
LINE = 18  # screen pixels of a line of text
NAME = 24  # letters in a line of a name
NARROWEST = 560  # screen pixels, for the title

Panel = tuple[Tensor, Tensor]  # reconstructions and samples of one model, each (N, C, H, W)


def sample_grid(
    jobs: pd.DataFrame, configurations: pd.DataFrame, axes: Sequence[str], rows: str | None, columns: str | None,
    title: str, folders: Sequence[Path] = (),
) -> Figure | None:  # fmt: skip
    """Reconstructions of the first test images, and samples, by the first seed of each configuration.

    **Arguments**
        jobs: the completed ones of a comparable group, with their ``directory``.
        configurations: those to show; where an option has many values, some of them.
        axes: all swept options; each besides ``rows`` and ``columns`` has one value in ``configurations``.
        rows: the option that changes downwards; None for a single row.
        columns: the option that changes across; None for a single column.
        folders: where the user's own pieces are now; empty for where they were when the jobs were trained.
    """
    down, across = spread(configurations, rows), spread(configurations, columns)
    fixed = {axis: configurations[axis].iloc[0] for axis in axes if axis not in (rows, columns)}
    directories = [
        [first_job(jobs, {**fixed, **_options(rows, row), **_options(columns, column)}) for column in across]
        for row in down
    ]
    first = next((found for line in directories for found in line if found is not None), None)
    if first is None:
        return None
    _, data = load_run(first[0], folders=folders)
    test = data.sets["test"]
    images, labels = test[torch.arange(min(IMAGES, len(test)))]
    originals = data.scale(images)
    panels = [
        [None if found is None else show(_model(*found, folders), originals, labels) for found in line]
        for line in directories
    ]  # fmt: skip
    names = [[_name(axis, value) for value in values] for axis, values in ((rows, down), (columns, across))]
    return draw(originals, panels, names[0], names[1], title=title)


def spread(configurations: pd.DataFrame, option: str | None) -> list:
    """The values of ``option``; of many, ``SIDE`` of them from the first to the last."""
    if option is None:
        return [None]
    values = sorted(configurations[option].dropna().unique())
    if len(values) <= SIDE:
        return values
    return [values[round(index * (len(values) - 1) / (SIDE - 1))] for index in range(SIDE)]


def _model(directory: Path, beta: float | None, folders: Sequence[Path]) -> Model:
    model = load_run(directory, False, folders)[0].model
    return model if beta is None else model.at(beta)


def first_job(jobs: pd.DataFrame, options: Mapping[str, object]) -> tuple[Path, float | None] | None:
    """The directory of the job with these ``options`` and the smallest seed, and the β of a multi-rate run's row."""
    for option, value in options.items():
        jobs = jobs[jobs[option] == value]
    if jobs.empty:
        return None
    first = jobs.sort_values("seed").iloc[0]
    return first["directory"], None if pd.isna(first["curve_beta"]) else float(first["curve_beta"])


def _options(option: str | None, value: object) -> dict[str, object]:
    return {} if option is None else {option: value}


def _name(option: str | None, value: object) -> str:
    return "" if option is None else f"{option}={as_text(value)}"


@torch.no_grad()
def show(model: Model, originals: Tensor, labels: Tensor) -> Panel:
    """Reconstructions of ``originals`` ``(N, C, H, W)``, and as many samples.

    The noise is the same for every model. With a standard normal prior, the latents of a smaller model are the first
    latents of a larger one.
    """
    model = model.given(labels)
    with rng.fixed_noise(torch.device("cpu"), 0, rng.PLOTS):
        reconstructions = model.reconstruct(model.encode(originals))
        if model.prior.is_standard_normal:
            latents, drawn = model.prior_distribution().event_shape.numel(), -len(originals) // 16 * -16
            z = torch.randn(latents, drawn)[:, : len(originals)].T  # torch draws 16 numbers at a time
        else:
            z = model.sample_latents(len(originals))
        return reconstructions, model.decode(z).mean


def draw(
    originals: Tensor, panels: Sequence[Sequence[Panel | None]], rows: Sequence[str], columns: Sequence[str],
    title: str = "",
) -> Figure:  # fmt: skip
    """The originals on top, and for each model its reconstructions above its samples, with labels.

    **Arguments**
        originals: ``(N, C, H, W)`` in [0, 1].
        panels: by row and column; None where there is no model.
        rows: the name of each row.
        columns: the name of each column.
    """
    across = -(-len(originals) // 2)
    top = sheet(originals, across)
    page = _page(panels, top, across)
    panel_height, panel_width = (SCALE * size for size in _panel_size(top))
    step_down, step_across = panel_height + SCALE * BETWEEN, panel_width + SCALE * BETWEEN
    side_names = [wrap(name, NAME) for name in rows]
    column_names = [wrap(name, panel_width / LETTER) for name in columns]
    side = 2 * MARGIN + round(LETTER * max(len(line) for name in (*side_names, "reconstructions")
                                           for line in name.split("\n")))  # fmt: skip
    width = max(side + SCALE * page.shape[1], NARROWEST)
    heading = wrap(title, (width - 2 * MARGIN) / LETTER)
    originals_at = MARGIN + LINE * len(heading.split("\n")) + MARGIN
    models_at = originals_at + SCALE * top.shape[0] + MARGIN + LINE * max(name.count("\n") + 1 for name in column_names)
    figure = canvas(width, models_at + SCALE * page.shape[0])
    _write(figure, MARGIN, MARGIN, heading, ha="left", va="top")
    _place(figure, top, side, originals_at)
    _place(figure, page, side, models_at)
    _write(figure, side - MARGIN, originals_at + SCALE * top.shape[0] / 2, "originals", ha="right")
    for index, name in enumerate(column_names):
        _write(figure, side + index * step_across + panel_width / 2, models_at - 4, name, ha="center", va="bottom")
    for index, name in enumerate(side_names):
        for share, text, weight in (
            (0.25, "reconstructions", "normal"),
            (0.5, name, "bold"),
            (0.75, "samples", "normal"),
        ):
            at = models_at + index * step_down + share * panel_height
            _write(figure, side - MARGIN, at, text, ha="right", weight=weight)
    return figure


def _panel_size(half: np.ndarray) -> tuple[int, int]:
    """Height and width of a model's images, which share the gap between the halves."""
    return 2 * half.shape[0] - GAP, half.shape[1]


def _page(panels: Sequence[Sequence[Panel | None]], half: np.ndarray, across: int) -> np.ndarray:
    """All models' images on one page, ``BETWEEN`` apart."""
    height, width = _panel_size(half)
    size = (len(panels) * (height + BETWEEN), len(panels[0]) * (width + BETWEEN))
    page = np.ones((*size, *half.shape[2:]), np.float32)
    for row, line in enumerate(panels):
        for column, panel in enumerate(line):
            if panel is not None:
                upper, lower = (sheet(images, across) for images in panel)
                top, left = row * (height + BETWEEN), column * (width + BETWEEN)
                page[top : top + height, left : left + width] = np.concatenate([upper, lower[GAP:]])
    return page


def _place(figure: Figure, page: np.ndarray, left: int, top: int) -> None:
    """``page`` into ``figure``, ``left`` and ``top`` in screen pixels."""
    wide, high = (side * DPI for side in figure.get_size_inches())
    height, width = (SCALE * side for side in page.shape[:2])
    axes = figure.add_axes((left / wide, 1 - (top + height) / high, width / wide, height / high), frameon=False)
    show_page(axes, page)


def _write(figure: Figure, x: float, y: float, text: str, ha: str, va: str = "center", weight: str = "normal") -> None:
    """``text`` at ``x`` from the left and ``y`` from the top, in screen pixels."""
    wide, high = (side * DPI for side in figure.get_size_inches())
    figure.text(x / wide, 1 - y / high, text, fontsize=FONT, color=INK, ha=ha, va=va, weight=weight)
