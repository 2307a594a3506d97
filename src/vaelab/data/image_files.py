"""A user's own image files as tensors for a trained model."""

import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vaelab.data.decode import ENDINGS, MODES, ImageFormat, open_image, without_warnings
from vaelab.data.pixel_range import brightest
from vaelab.errors import InputError

log = logging.getLogger(__name__)


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
    """Grey or coloured images uint8 ``(N, C, H, W)``.

    Files of another size are resized with their aspect ratio kept, and centred on the background. Transparent pixels
    become background, too. A line warns of grey images that seem to be light where the training images are dark.

    **Arguments**
        shape: the shape ``(C, H, W)`` of an image; C is 1 or 3.
        invert: for dark digits on a light background; in the data digits are light and the background is black.

    **Raises**
        InputError: a file is damaged or no image, or the pixels are 0 and 1 instead of 0 to 255.
    """
    channels, height, width = shape
    if channels not in MODES:
        raise InputError(f"image files have 1 or 3 channels, and this model's images {channels}")
    form = ImageFormat(channels, height, width, "none", "white" if invert else "black")
    with without_warnings():
        opened = [_read(path, form) for path in paths]
    images = torch.stack([image for image, _ in opened])
    if brightest(images) == 1:
        raise InputError(
            f"no pixel of {paths[0]}{' and the others' if len(paths) > 1 else ''} is brighter than 1 of 255: store "
            "the images with pixels from 0 to 255"
        )
    border = sum(border for _, border in opened) / len(opened)
    if channels == 1 and (255 - border if invert else border) > 127:
        log.warning(
            "the images are bright at their borders, and the training images are dark there: "
            "is --invert missing, or wrong?"
        )
    return 255 - images if invert else images


def _read(path: Path, form: ImageFormat) -> tuple[Tensor, float]:
    """The image uint8 ``(C, H, W)`` on its background, and the mean of its own border."""
    image = open_image(path, form.mode, form.background)
    pixels = np.asarray(image)
    border = float(np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).mean())
    return torch.from_numpy(form.resized(image).copy()), border
