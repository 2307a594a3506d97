"""Image files as arrays of bytes: every format that Pillow reads, turned upright, without transparency, at one size."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vaelab.errors import InputError, one_line

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
CROPS = ("center", "none")
BACKGROUNDS = ("black", "white")
# What Pillow raises for a damaged file.
DAMAGE = (
    UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError, EOFError, IndexError,
    KeyError, TypeError, OverflowError, struct.error, zlib.error,
)  # fmt: skip
MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class ImageFormat:
    """How image files become arrays of one shape.

    **Arguments**
        channels: 1 for grey, 3 for colour.
        height, width: in pixels.
        crop: ``center`` enlarges or reduces the image until it covers ``height`` x ``width`` and cuts off what is
            beyond; ``none`` keeps the whole image and adds a margin. Neither changes the image's aspect ratio.
        background: ``black`` or ``white``: the margin, and what is behind transparent pixels.
    """

    channels: int
    height: int
    width: int
    crop: str = "center"
    background: str = "black"

    def read(self, path: Path) -> np.ndarray:
        """The image at ``path``, uint8 ``(C, H, W)``.

        **Raises**
            InputError: the file is damaged or no image.
        """
        return self.resized(open_image(path, self.mode, self.background, 2 * max(self.height, self.width)))

    @property
    def mode(self) -> str:
        """Pillow's name of the channels."""
        return MODES[self.channels]

    def resized(self, image: Image.Image) -> np.ndarray:
        """``image``, opened with this ``mode``, as uint8 ``(C, H, W)``."""
        size, method = (self.width, self.height), Image.Resampling.LANCZOS
        if self.crop == "center":
            image = ImageOps.fit(image, size, method)
        else:
            image = ImageOps.pad(image, size, method, color=self.background)
        return np.asarray(image).reshape(self.height, self.width, self.channels).transpose(2, 0, 1)


@contextmanager
def without_warnings() -> Iterator[None]:
    """In the block, Pillow does not warn about damaged EXIF data and large images; not thread-safe."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def open_image(path: Path, mode: str, background: str, least: int | None = None) -> Image.Image:
    """The image at ``path`` with 8 bits per channel, turned as its EXIF orientation says, on ``background``.

    **Arguments**
        mode: ``L`` or ``RGB``.
        least: how many pixels each side must keep; a larger JPEG is read at a fraction of its size, which is faster.

    **Raises**
        InputError: the file is damaged or no image.
    """
    try:
        with Image.open(path) as image:
            if least is not None:
                image.draft(None, (least, least))
            return upright(image, mode, background)
    except DAMAGE as error:
        raise InputError(f"{path} is no image, or a damaged one ({one_line(error)})") from error


def upright(image: Image.Image, mode: str, background: str = "black") -> Image.Image:
    """``image`` with 8 bits per channel, turned as its EXIF orientation says, on ``background``; see `open_image`."""
    return _on_background(_to_eight_bits(ImageOps.exif_transpose(image)), mode, background)


def _on_background(image: Image.Image, mode: str, background: str) -> Image.Image:
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert(mode)
    coloured = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", coloured.size, background), coloured).convert(mode)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey values of 16 bits to 8; Pillow would cut them off at 255."""
    if image.mode == "F":
        raise InputError("its pixels are floating-point numbers; save it with 8 or 16 bits")
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65_535) // 257).astype(np.uint8))
