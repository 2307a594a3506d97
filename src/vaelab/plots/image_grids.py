"""Grids of images: tensors in, a matplotlib figure out.

Images are enlarged by a whole factor without interpolation, so that every pixel is a square with sharp edges.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from vaelab.plots.style import FONT, canvas, fitted, text_width, title_height, write

SCALE = 3  # screen pixels per image pixel
GAP = 2  # image pixels between two images
GAP_GREY = 0.35
HEADS = 20  # screen pixels for the names of the columns
NAME_MARGIN = 8  # screen pixels to either side of a row's name


def sheet(images: Tensor, columns: int) -> np.ndarray:
    """Images side by side, row by row, as one array ``(rows · (H + GAP) + GAP, columns · (W + GAP) + GAP)``.

    **Arguments**
        images: ``(N, C, H, W)``, clipped to [0, 1]; the first channel is drawn.
        columns: images per row.
    """
    count, _, height, width = images.shape
    rows = -(-count // columns)
    page = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP), GAP_GREY, np.float32)
    for index, image in enumerate(images.detach().cpu().float().clamp(0, 1).numpy()):
        top = GAP + index // columns * (height + GAP)
        left = GAP + index % columns * (width + GAP)
        page[top : top + height, left : left + width] = image[0]
    return page


def grid(images: Tensor, title: str = "", columns: int = 8, rows: Sequence[str] = ()) -> Figure:
    """A grid of images, row by row.

    **Arguments**
        images: ``(N, C, H, W)`` in [0, 1].
        title: one line or more.
        columns: images per row.
        rows: the names of the rows, written to their left; empty for none.
    """
    return _figure_of_sheet(sheet(images, columns), title, rows)


def labelled_rows(images: Mapping[str, Tensor], title: str = "", columns: Sequence[str] = ()) -> Figure:
    """A row of images for each name, which is written to its left.

    **Arguments**
        images: the name and the images ``(N, C, H, W)`` in [0, 1] of each row; a row may have fewer than others.
        title: one line or more.
        columns: the names of the columns, written above them; empty for none.
    """
    longest = max(len(row) for row in images.values())
    sheets = [sheet(row, longest) for row in images.values()]
    page = np.concatenate([sheets[0], *(row[GAP:] for row in sheets[1:])])
    return _figure_of_sheet(page, title, list(images), columns)


def reconstructions(originals: Tensor, reconstructed: Tensor, title: str = "") -> Figure:
    """A row of originals ``(N, C, H, W)`` above a row of their reconstructions."""
    return labelled_rows({"original": originals, "reconstruction": reconstructed}, title)


def _figure_of_sheet(page: np.ndarray, title: str, rows: Sequence[str] = (), columns: Sequence[str] = ()) -> Figure:
    """``page``, enlarged, with the title and the columns' names above it and the rows' names to its left."""
    height, width = (SCALE * side for side in page.shape)
    left = 2 * NAME_MARGIN + round(max(map(text_width, rows))) if rows else 0
    top = title_height(title) + (HEADS if columns else 0)
    figure = canvas(left + width, top + height)
    axes = figure.add_axes((left / (left + width), 0, width / (left + width), height / (top + height)), frameon=False)
    axes.imshow(page, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    if title:
        shown, size = fitted(title, left + width - 12)
        write(figure, 6, title_height(title) / 2, shown, size)
    for index, name in enumerate(rows):
        write(figure, left - NAME_MARGIN, top + (index + 0.5) / len(rows) * height, name, align="right")
    if columns:
        pitch = width / len(columns)
        step = int(max(text_width(name, FONT - 1) + 6 for name in columns) // pitch) + 1  # names must not overlap
        for index in range(0, len(columns), step):
            write(figure, left + (index + 0.5) * pitch, top - HEADS / 2, columns[index], FONT - 1, "center")
    return figure
