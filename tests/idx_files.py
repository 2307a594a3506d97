"""Small image sets in IDX files, in torchvision's layout."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np

from vaelab.data.idx import FILES
from vaelab.data.mnist import MNIST

SIZES = {"train_images": (50, 28, 28), "train_labels": (50,), "test_images": (20, 28, 28), "test_labels": (20,)}


def idx(array: np.ndarray) -> bytes:
    """The content of an IDX file."""
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()


def lay_out(folder: Path, arrays: dict[str, np.ndarray], files: dict[str, str]) -> None:
    """Write ``arrays`` to ``folder``, unpacked, under the names ``files``."""
    folder.mkdir(parents=True)
    for part, array in arrays.items():
        (folder / files[part]).write_bytes(idx(array))


def small_mnist(root: Path, arrays: dict[str, np.ndarray], **options: object) -> MNIST:
    """The files under ``root``, verified against ``arrays``, after its setup."""
    checksums = {FILES[part]: hashlib.md5(idx(array)).hexdigest() for part, array in arrays.items()}
    defaults = {"batch_size": 8, "eval_batch_size": 8, "val": 10, "root": str(root), "checksums": checksums}
    images = MNIST(**{**defaults, **options})
    images.setup()
    return images


def pack(folder: Path, part: str, array: np.ndarray) -> Path:
    """Write ``array`` to ``folder``, gzipped."""
    path = folder / f"{FILES[part]}.gz"
    path.write_bytes(gzip.compress(idx(array)))
    return path
