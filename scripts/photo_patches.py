"""Write colour patches of two photographs that come with scikit-learn, as a folder of PNG files for data=folder.

    python scripts/photo_patches.py patches
    python train.py data=folder data.root=patches data.size=32

Each patch is a square of 32 to 96 pixels at a random place, reduced to 32 x 32. The folders flower and temple are the
classes. The same command writes the same files.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from vaelab.cli import tools
from vaelab.errors import InputError

SIZE, SEED = 32, 0
PHOTOS = {"china.jpg": "temple", "flower.jpg": "flower"}  # the file's name, and the class


def patch(photo: np.ndarray, random: np.random.Generator) -> Image.Image:
    """One patch of ``photo``, uint8 ``(H, W, 3)``."""
    side = int(random.integers(SIZE, 3 * SIZE + 1))
    top, left = (int(random.integers(0, length - side + 1)) for length in photo.shape[:2])
    return Image.fromarray(photo[top : top + side, left : left + side]).resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def work() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files go; it must not exist")
    parser.add_argument("--number", type=int, default=2_000, help="of patches, half of each photograph (2000)")
    arguments = parser.parse_args()
    if arguments.folder.exists():
        raise InputError(f"{arguments.folder} exists already and was not touched; take another folder")
    if arguments.number < 2:
        raise InputError(f"--number must be at least 2, got {arguments.number}")
    photos, random = load_sample_images(), np.random.default_rng(SEED)
    for file, image in zip(photos.filenames, photos.images, strict=True):
        folder = arguments.folder / PHOTOS[Path(file).name]
        folder.mkdir(parents=True)
        for number in range(arguments.number // 2):
            patch(image, random).save(folder / f"{number:04d}.png")
    print(f"{arguments.number // 2 * 2:,} patches in {arguments.folder}")


if __name__ == "__main__":
    tools.main(work)
