"""Grids of images: tensors in, a matplotlib figure out.

Images are enlarged by a whole factor without interpolation, so that every pixel is a square with sharp edges.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import pad

from vaelab.plots.style import FONT, canvas, fitted, text_width, title_height, write

SCALE = 3  # screen pixels per image pixel, at most
LARGEST = 128  # screen pixels to which an image is enlarged, at most
GAP = 2  # image pixels between two images
GAP_GREY = 0.35
COLOURS = 3  # channels of an image in colour
HEADS = 20  # screen pixels for the names of the columns
NAME_MARGIN = 8  # screen pixels to either side of a row's name


def sheet(images: Tensor, columns: int) -> np.ndarray:
    """Images side by side, row by row, as one array ``(rows · (H + GAP) + GAP, columns · (W + GAP) + GAP)``.

    Of three channels it has a third dimension: red, green and blue. Of two, or of more than three, the mean is drawn.

    **Arguments**
        images: ``(N, C, H, W)``, clipped to [0, 1].
        columns: images per row.
    """
    shown = visible(images).movedim(1, -1).numpy()
    count, height, width, channels = shown.shape
    rows = -(-count // columns)
    page = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels), GAP_GREY, np.float32)
    for index, image in enumerate(shown):
        top = GAP + index // columns * (height + GAP)
        left = GAP + index % columns * (width + GAP)
        page[top : top + height, left : left + width] = image
    return page if channels == COLOURS else page[..., 0]


def visible(images: Tensor) -> Tensor:
    """Images ``(N, C, H, W)`` of any channels as a screen shows them: ``(N, 1 or 3, H, W)``, in [0, 1]."""
    images = images.detach().cpu().float().clamp(0, 1)
    return images if images.shape[1] in (1, COLOURS) else images.mean(1, keepdim=True)


def squares(images: Tensor) -> Tensor:
    """`visible` images, each in the middle of a square of the page's grey: ``(N, 1 or 3, S, S)``."""
    height, width = images.shape[2:]
    rows, columns = max(0, width - height), max(0, height - width)
    margins = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    return pad(visible(images), margins, value=GAP_GREY)


def scale_of(height: int, width: int) -> int:
    """Screen pixels per pixel of an image of this size: three, and fewer where the image is large."""
    return max(1, min(SCALE, LARGEST // max(height, width)))


def grid(images: Tensor, title: str = "", columns: int = 8, rows: Sequence[str] = ()) -> Figure:
    """A grid of images, row by row.

    **Arguments**
        images: ``(N, C, H, W)`` in [0, 1].
        title: one line or more.
        columns: images per row.
        rows: the names of the rows, written to their left; empty for none.
    """
    return _figure_of_sheet(sheet(images, columns), scale_of(*images.shape[2:]), title, rows)


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
    return _figure_of_sheet(page, scale_of(*next(iter(images.values())).shape[2:]), title, list(images), columns)


def reconstructions(originals: Tensor, reconstructed: Tensor, title: str = "") -> Figure:
    """A row of originals ``(N, C, H, W)`` above a row of their reconstructions."""
    return labelled_rows({"original": originals, "reconstruction": reconstructed}, title)


def show_page(axes: Axes, page: np.ndarray) -> None:
    """Fill ``axes`` with a `sheet`, or with several in one array, in grey or in colour."""
    colours = (255 * page).round().astype(np.uint8) if page.ndim == 3 else page  # matplotlib would truncate floats
    axes.imshow(colours, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axes.set_axis_off()


def _figure_of_sheet(
    page: np.ndarray, scale: int, title: str, rows: Sequence[str] = (), columns: Sequence[str] = ()
) -> Figure:
    """``page``, enlarged, with the title and the columns' names above it and the rows' names to its left."""
    height, width = (scale * side for side in page.shape[:2])
    left = 2 * NAME_MARGIN + round(max(map(text_width, rows))) if rows else 0
    top = title_height(title) + (HEADS if columns else 0)
    figure = canvas(left + width, top + height)
    axes = figure.add_axes((left / (left + width), 0, width / (left + width), height / (top + height)), frameon=False)
    show_page(axes, page)
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
