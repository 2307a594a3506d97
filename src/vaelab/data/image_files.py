"""A user's own image files as tensors for a trained model."""

import logging
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from vaelab.data.pixel_range import brightest
from vaelab.errors import InputError

log = logging.getLogger(__name__)

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
DAMAGE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError)  # what Pillow raises


def find(paths: list[Path]) -> list[Path]:
    """The image files among ``paths`` and directly in the folders among them, these sorted by name.

    **Raises**
        InputError: a path does not exist, or a folder has no image in it.
    """
    found = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in ENDINGS)
            if not inside:
                raise InputError(f"{path} holds no image ({', '.join(ENDINGS)})")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"{path}: no such file or folder")
    return found


def read(paths: list[Path], shape: tuple[int, ...], invert: bool = False) -> Tensor:
    """Grey images uint8 ``(N, 1, H, W)``.

    Files of another size are resized with their aspect ratio kept, and centred on the background. Transparent pixels
    become background, too. A line warns where the images seem to be light where the training images are dark.

    **Arguments**
        shape: the shape ``(1, H, W)`` of an image.
        invert: for dark digits on a light background; in the data digits are light and the background is black.

    **Raises**
        InputError: a file is damaged or no image, or the pixels are 0 and 1 instead of 0 to 255.
    """
    _, height, width = shape
    opened = [_read_grey(path, (width, height), "white" if invert else "black") for path in paths]
    images = torch.stack([image for image, _ in opened])
    if brightest(images) == 1:
        raise InputError(
            f"no pixel of {paths[0]}{' and the others' if len(paths) > 1 else ''} is brighter than 1 of 255: store "
            "the images with pixels from 0 to 255"
        )
    border = sum(border for _, border in opened) / len(opened)
    if (255 - border if invert else border) > 127:
        log.warning(
            "the images are bright at their borders, and the training images are dark there: "
            "is --invert missing, or wrong?"
        )
    return 255 - images if invert else images


def _read_grey(path: Path, size: tuple[int, int], background: str) -> tuple[Tensor, float]:
    """The grey image uint8 ``(1, H, W)`` on its background, and the mean of its own border."""
    try:
        with Image.open(path) as image:
            coloured = _to_eight_bits(ImageOps.exif_transpose(image)).convert("RGBA")
    except DAMAGE as error:
        raise InputError(f"{path} is no image, or a damaged one ({error})") from error
    grey = Image.alpha_composite(Image.new("RGBA", coloured.size, background), coloured).convert("L")
    pixels = np.asarray(grey)
    border = float(np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).mean())
    if grey.size != size:
        grey = ImageOps.pad(grey, size, Image.Resampling.LANCZOS, color=background)
    return torch.from_numpy(np.array(grey)).unsqueeze(0), border


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey values of 16 bits to 8; Pillow would cut them off at 255."""
    if image.mode == "F":
        raise InputError("its pixels are floating-point numbers; save it with 8 or 16 bits")
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65_535) // 257).astype(np.uint8))
