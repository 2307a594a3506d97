"""A drawing or a file of the user as an image of the size that a model takes."""

import math
from collections.abc import Sequence
from io import BytesIO

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from vaelab.data.decode import DAMAGE, MODES, ImageFormat, upright, without_warnings
from vaelab.errors import InputError

Stroke = Sequence[tuple[float, float]]  # points from 0 to 1, to the right and downwards

BOX, SIDE = 20, 28  # MNIST: a digit fits into 20 x 20 pixels, its centre of mass is in the middle of 28 x 28
CANVAS = 280  # pixels on which strokes are drawn before they are reduced
PEN = 0.08  # width of a stroke, as a share of the canvas
MAX_POINTS = 20_000  # points of a drawing
MAX_BYTES = 20 << 20  # bytes of a file
MAX_PIXELS = 50_000_000  # pixels of a file


def check_strokes(strokes: object) -> list[list[tuple[float, float]]]:
    """``strokes`` as the browser sent them: lists of points from 0 to 1; points beyond are moved to the border.

    **Raises**
        InputError: they are something else, or too many.
    """
    wrong = InputError("a drawing is a list of strokes, and a stroke a list of points (x, y)")
    if not isinstance(strokes, list) or not all(isinstance(stroke, list) for stroke in strokes):
        raise wrong
    if sum(map(len, strokes)) > MAX_POINTS:
        raise InputError(f"a drawing has at most {MAX_POINTS:,} points: clear the canvas")
    try:
        return [[(_share(x), _share(y)) for x, y in stroke] for stroke in strokes if stroke]
    except (TypeError, ValueError) as error:
        raise wrong from error


def _share(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(value)
    return min(max(float(value), 0.0), 1.0)


def draw(strokes: Sequence[Stroke]) -> np.ndarray:
    """The strokes in white on black with round ends, uint8 ``(CANVAS, CANVAS)``."""
    image = Image.new("L", (CANVAS, CANVAS))
    pen, radius = ImageDraw.Draw(image), PEN * CANVAS / 2
    for stroke in strokes:
        points = [(CANVAS * x, CANVAS * y) for x, y in stroke]
        pen.line(points, 255, round(2 * radius), "curve")
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), 255)
    return np.asarray(image)


def centred(drawn: np.ndarray, shape: Sequence[int]) -> Tensor:
    """A light drawing on black as MNIST's images are: uint8 ``(C, H, W)``.

    It is scaled so that it fits into 20 of 28 pixels, with its aspect ratio kept, and moved so that its centre of mass
    is in the middle.

    **References**
        Gradient-Based Learning Applied to Document Recognition (LeCun et al., 1998), section III-A.

    **Arguments**
        drawn: uint8 ``(height, width)``.
        shape: ``[C, H, W]``.

    **Raises**
        InputError: nothing is drawn.
    """
    channels, height, width = shape
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    if not len(rows):
        raise InputError("the canvas is empty: draw something")
    cut = Image.fromarray(drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = BOX / SIDE * min(height, width) / max(cut.size)
    size = (max(1, round(scale * cut.width)), max(1, round(scale * cut.height)))
    small = np.asarray(cut.resize(size, Image.Resampling.BOX))
    page = np.zeros((3 * height, 3 * width), np.uint8)
    page[height : height + size[1], width : width + size[0]] = small
    mass = small.astype(float)
    down = (mass.sum(1) @ (np.arange(size[1]) + 0.5)) / mass.sum()
    right = (mass.sum(0) @ (np.arange(size[0]) + 0.5)) / mass.sum()
    top, left = height + round(down - height / 2), width + round(right - width / 2)
    image = torch.from_numpy(page[top : top + height, left : left + width].copy())
    return image.expand(channels, height, width).clone()


def from_strokes(strokes: object, shape: Sequence[int]) -> Tensor:
    """A drawing, as the browser sent it, as an image of ``shape``: uint8 ``(C, H, W)``; see `centred`."""
    return centred(draw(check_strokes(strokes)), shape)


def from_file(content: bytes, name: str, shape: Sequence[int], invert: bool = False) -> Tensor:
    """A file of the user, scaled and cropped at its centre: uint8 ``(C, H, W)``.

    **Arguments**
        content: the file's bytes.
        name: for messages.
        invert: for images that are dark on light where the training images are light on dark.

    **Raises**
        InputError: the file is no image, a damaged one, or too large.
    """
    channels, height, width = shape
    if channels not in MODES:
        raise InputError(f"image files have 1 or 3 channels, and this model's images {channels}")
    if len(content) > MAX_BYTES:
        raise InputError(
            f"{name} has {len(content) >> 20} MiB, and at most {MAX_BYTES >> 20} are read: make it smaller"
        )
    form = ImageFormat(channels, height, width, "center", "white" if invert else "black")
    try:
        with without_warnings(), Image.open(BytesIO(content)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise InputError(
                    f"{name} has {opened.width} x {opened.height} pixels, and at most {MAX_PIXELS:,} are read: "
                    "make it smaller"
                )
            opened.draft(None, (2 * width, 2 * height))
            pixels = form.resized(upright(opened, form.mode, form.background))
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{name} has more than {MAX_PIXELS:,} pixels: make it smaller") from error
    except DAMAGE as error:
        raise InputError(f"{name} is no image, or a damaged one") from error
    made = torch.from_numpy(pixels.copy())
    return 255 - made if invert else made
