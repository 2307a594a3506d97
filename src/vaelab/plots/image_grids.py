"""image_grids."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from vaelab.plots.style import FONT, INK, canvas, fitted

SCALE = 3  # screen pixels per image pixel
GAP = 2  # image pixels between two images
GAP_GREY = 0.35


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
    left = 16 + 8 * max(len(name) for name in rows) if rows else 0
    figure = canvas(left + width, top + height)
    axes = figure.add_axes((left / (left + width), 0, width / (left + width), height / (top + height)), frameon=False)
    axes.imshow(page, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    if title:
        middle = 1 - 0.5 * top / (top + height)
        title, size = fitted(title, left + width - 12)
        figure.text(6 / (left + width), middle, title, fontsize=size, color=INK, va="center")
    for index, name in enumerate(rows):
        middle = (len(rows) - index - 0.5) / len(rows) * height / (top + height)
        figure.text(
            (left - 8) / (left + width), middle, name.strip(), fontsize=FONT, color=INK, ha="right", va="center"
        )
    return figure


def grid(images: Tensor, title: str = "", columns: int = 8) -> Figure:
    """Images ``(N, 1, H, W)`` in a grid: the likelihood's means at codes from the prior."""
    return _figure_of_sheet(sheet(images, columns), title)


def labelled_rows(images: Mapping[str, Tensor], title: str = "") -> Figure:
    """Images ``(N, 1, H, W)`` in a row for each name, the name to its left; a row may have fewer than others."""
    longest = max(len(row) for row in images.values())
    sheets = [sheet(row, longest) for row in images.values()]
    return _figure_of_sheet(np.concatenate([sheets[0], *(row[GAP:] for row in sheets[1:])]), title, list(images))


def reconstructions(originals: Tensor, reconstructed: Tensor, title: str = "") -> Figure:
    """Originals ``(N, 1, H, W)`` in a row over their reconstructions."""
    return labelled_rows({"original": originals, "reconstruction": reconstructed}, title)
