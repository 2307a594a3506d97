"""Small folders of image files."""

from pathlib import Path

import numpy as np
from PIL import Image

from vaelab.data.folder import FolderImages


def pixels(number: int, height: int = 12, width: int = 12) -> np.ndarray:
    """A colour image (H, W, 3) of its own for each number."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


def write_images(folder: Path, *names: str, first: int = 0) -> Path:
    """Write an image for each name, numbered from ``first``; returns ``folder``."""
    for number, name in enumerate(names, first):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(number)).save(path)
    return folder


def many(count: int, template: str = "{:03d}.png") -> list[str]:
    return [template.format(number) for number in range(count)]


def open_folder(folder: Path, **options: object) -> FolderImages:
    """The images below ``folder`` after their setup."""
    data = FolderImages(**{"root": str(folder), "size": 12, "batch_size": 4, "eval_batch_size": 4, **options})
    data.prepare_data()
    data.setup()
    return data
