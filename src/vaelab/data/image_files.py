"""A user's own image files as the tensors that models see."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from vaelab.errors import InputError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def find(paths: list[Path]) -> list[Path]:
    """The image files among ``paths``, in folders too (not in theirs), by name; an InputError where there is none."""
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
    """Grey uint8 images ``(N, 1, H, W)`` of ``shape`` ``(1, H, W)``, resized where they are of another one.

    Transparent pixels count as background, which in the data is black; ``invert`` turns dark digits on light paper
    into that.
    """
    _, height, width = shape
    images = []
    for path in paths:
        try:
            with Image.open(path) as image:
                coloured = _eight_bits(ImageOps.exif_transpose(image)).convert("RGBA")
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
            raise InputError(f"{path} is no image, or a damaged one ({error})") from error
        paper = Image.new("RGBA", coloured.size, "white" if invert else "black")
        grey = Image.alpha_composite(paper, coloured).convert("L")
        if grey.size != (width, height):
            grey = grey.resize((width, height), Image.Resampling.LANCZOS)
        images.append(torch.from_numpy(np.array(grey)).unsqueeze(0))
    pixels = torch.stack(images)
    return 255 - pixels if invert else pixels


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey values of more bits than eight, scaled; Pillow would cut them off at 255."""
    if image.mode == "F":
        raise InputError("its pixels are floating-point numbers; save it with 8 or 16 bits")
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65_535) // 257).astype(np.uint8))


def look_inverted(images: Tensor) -> bool:
    """Whether images ``(N, 1, H, W)`` seem dark on light: their borders are brighter than half."""
    border = torch.cat([images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]], -1)
    return float(border.float().mean()) > 127
