"""A user's own image files as tensors for a trained model."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from vaelab.errors import InputError

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
    """Grey images uint8 ``(N, 1, H, W)``; files of another size are resized, and transparent pixels become background.

    **Arguments**
        shape: the shape ``(1, H, W)`` of an image.
        invert: for dark digits on a light background; in the data digits are light and the background is black.

    **Raises**
        InputError: a file is damaged or no image.
    """
    _, height, width = shape
    images = torch.stack([_read_grey(path, (width, height), "white" if invert else "black") for path in paths])
    return 255 - images if invert else images


def _read_grey(path: Path, size: tuple[int, int], background: str) -> Tensor:
    try:
        with Image.open(path) as image:
            coloured = _to_eight_bits(ImageOps.exif_transpose(image)).convert("RGBA")
    except DAMAGE as error:
        raise InputError(f"{path} is no image, or a damaged one ({error})") from error
    grey = Image.alpha_composite(Image.new("RGBA", coloured.size, background), coloured).convert("L")
    if grey.size != size:
        grey = grey.resize(size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(grey)).unsqueeze(0)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey values of 16 bits to 8; Pillow would cut them off at 255."""
    if image.mode == "F":
        raise InputError("its pixels are floating-point numbers; save it with 8 or 16 bits")
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65_535) // 257).astype(np.uint8))


def look_inverted(images: Tensor) -> bool:
    """Whether images uint8 ``(N, 1, H, W)`` seem dark on light: the mean of their borders is above half."""
    border = torch.cat([images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]], -1)
    return float(border.float().mean()) > 127
