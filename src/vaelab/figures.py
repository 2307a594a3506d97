"""Pictures: tensors in, a matplotlib Figure out. When they are drawn and where they go is for callbacks.py.

Digits are enlarged by whole factors without interpolation, so that every pixel is a crisp square.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

SCALE = 3  # screen pixels per image pixel
GAP = 2  # image pixels between two images
GAP_GREY = 0.35
DPI = 100
FONT = 10
INK = "#222222"
TRAIN, VAL = "#4878a8", "#d1603d"
CURVES = {
    "loss": "minimised, at the β of the moment",
    "elbo": "at β = 1",
    "rate": "KL(q(z|x) ‖ p(z))",
    "distortion": "-E log p(x|z)",
}


def sheet(images: Tensor, columns: int) -> np.ndarray:
    """Images ``(N, 1, H, W)`` in [0, 1] side by side, row by row: ``(rows · H + gaps, columns · W + gaps)``."""
    count, _, height, width = images.shape
    rows = -(-count // columns)
    page = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP), GAP_GREY, np.float32)
    for index, image in enumerate(images.detach().cpu().float().clamp(0, 1).numpy()):
        top = GAP + index // columns * (height + GAP)
        left = GAP + index % columns * (width + GAP)
        page[top : top + height, left : left + width] = image[0]
    return page


def _figure_of_sheet(page: np.ndarray, title: str, rows: Sequence[str] = ()) -> Figure:
    """``page`` at a whole factor, ``title`` above it, the names of its rows to its left."""
    height, width = (SCALE * side for side in page.shape)
    top = 34 if title else 0
    left = 125 if rows else 0
    figure = Figure(figsize=((left + width) / DPI, (top + height) / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((left / (left + width), 0, width / (left + width), height / (top + height)), frameon=False)
    axes.imshow(page, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    if title:
        middle = 1 - 0.5 * top / (top + height)
        size = min(FONT, (left + width - 12) / (0.62 * max(1, len(title))) * 72 / DPI)  # as wide as the page at most
        figure.text(6 / (left + width), middle, title, fontsize=size, color=INK, va="center")
    for index, name in enumerate(rows):
        middle = (len(rows) - index - 0.5) / len(rows) * height / (top + height)
        figure.text((left - 8) / (left + width), middle, name, fontsize=FONT, color=INK, ha="right", va="center")
    return figure


def samples(images: Tensor, title: str = "", columns: int = 8) -> Figure:
    """Images ``(N, 1, H, W)`` in a grid: the likelihood's means at codes from the prior."""
    return _figure_of_sheet(sheet(images, columns), title)


def rows(images: Mapping[str, Tensor], title: str = "") -> Figure:
    """Images ``(N, 1, H, W)`` in a row for each name, the name to its left."""
    sheets = [sheet(row, len(row)) for row in images.values()]
    return _figure_of_sheet(np.concatenate([sheets[0], *(row[GAP:] for row in sheets[1:])]), title, list(images))


def reconstructions(originals: Tensor, reconstructed: Tensor, title: str = "") -> Figure:
    """Originals ``(N, 1, H, W)`` in a row over their reconstructions."""
    return rows({"original": originals, "reconstruction": reconstructed}, title)


def schedules(betas: Mapping[str, Callable[[int, int], float]], steps: int = 1_000) -> Figure:
    """A panel for each schedule of β, over the training."""
    figure = Figure(figsize=(2.6 * len(betas), 2.1), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for position, (name, beta) in enumerate(betas.items(), start=1):
        axes = figure.add_subplot(1, len(betas), position)
        axes.plot([step / steps for step in range(steps)], [beta(step, steps) for step in range(steps)], color=TRAIN)
        axes.set_title(f"beta={name}", fontsize=FONT, color=INK, loc="left")
        axes.set_xlabel("share of the training", fontsize=FONT - 1)
        axes.set_ylabel("β" if position == 1 else "", fontsize=FONT - 1)
        axes.set_ylim(-0.05, 1.1)
        axes.tick_params(labelsize=FONT - 2)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def curves(history: dict[str, dict[str, tuple[list[float], list[float]]]], title: str = "") -> Figure:
    """Training and validation curves: one panel per figure of CURVES that the history has.

    Args:
        history: figure -> split -> (epochs, values), as ``read_history`` returns it.
    """
    names = [name for name in CURVES if name in history]
    columns = 2 if len(names) > 1 else 1
    rows = max(1, -(-len(names) // columns))
    figure = Figure(figsize=(4.6 * columns, 3.0 * rows + 0.4), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for position, name in enumerate(names, start=1):
        axes = figure.add_subplot(rows, columns, position)
        shown = []
        for split, colour in (("train", TRAIN), ("val", VAL)):
            if split not in history[name]:
                continue
            epochs, values = history[name][split]
            axes.plot(
                epochs,
                values,
                color=colour,
                label=split,
                linewidth=1.4,
                marker="." if len(epochs) < 3 else "",
            )
            start = 0.05 * epochs[-1]
            shown += [value for epoch, value in zip(epochs, values, strict=True) if epoch > start]
        if shown:  # the fall of the first steps would press all the rest into a line
            low, high = min(shown), max(shown)
            margin = 0.06 * (high - low) or 1.0
            axes.set_ylim(low - margin, high + margin)
        axes.set_title(f"{name}: {CURVES[name]}", fontsize=FONT, color=INK, loc="left")
        axes.set_xlabel("epoch", fontsize=FONT - 1)
        axes.set_ylabel("nats per image", fontsize=FONT - 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.tick_params(labelsize=FONT - 2)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=FONT - 1)
    if title:
        figure.suptitle(title, fontsize=FONT, color=INK, x=0.01, ha="left")
    return figure


def read_history(path: Path) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
    """The curves in a run's metrics.csv: figure -> split -> (epochs, values)."""
    history: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for key, value in row.items():
                split, _, name = key.partition("/")
                if name and value and split in ("train", "val"):
                    epochs, values = history.setdefault(name, {}).setdefault(split, ([], []))
                    epochs.append(float(row["epoch"]))
                    values.append(float(value))
    return history


def pixels(figure: Figure) -> np.ndarray:
    """The figure as uint8 ``(H, W, 3)``, as TensorBoard takes it."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
