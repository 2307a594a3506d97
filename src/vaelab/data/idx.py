"""Image sets in IDX files, the format of MNIST: found, verified and read, gzipped or not."""

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vaelab.data.contracts import ImageSet
from vaelab.errors import InputError

FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
DELETE = "delete it, and the next run downloads it again"


def find_files(folder: Path, files: Mapping[str, str] = FILES) -> dict[str, Path] | None:
    """The paths of ``files`` in ``folder``, unpacked files before gzipped ones; None where one is missing."""
    found = {}
    for part, name in files.items():
        candidates = [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
        if not candidates:
            return None
        found[part] = candidates[0]
    return found


def read_idx_set(name: str, paths: Mapping[str, Path], checksums: Mapping[str, str] | None = None) -> ImageSet:
    """The image set in four IDX files of grey images.

    **Arguments**
        paths: the files, with the keys of ``FILES``.
        checksums: the MD5 of each unpacked file, by its name without ``.gz``; other files are not verified.

    **Raises**
        InputError: a file is damaged, or images and labels do not belong together.
    """
    arrays = {
        part: read_idx(path, (checksums or {}).get(path.name.removesuffix(".gz"))) for part, path in paths.items()
    }
    for part in ("train", "test"):
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        if images.dim() != 3 or labels.dim() != 1 or len(images) != len(labels):
            raise InputError(
                f"{paths[f'{part}_images']} and its labels do not fit: "
                f"arrays of {tuple(images.shape)} and {tuple(labels.shape)}"
            )
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = images.unsqueeze(1), labels.long()
    return ImageSet(name, **arrays)


def read_idx(path: Path, checksum: str | None = None) -> Tensor:
    """The array of bytes in an IDX file (the format of LeCun, Cortes and Burges), gzipped or not.

    **Arguments**
        checksum: the MD5 of the unpacked file. torchvision publishes that of the gzipped file, which differs between
            compressors.

    **Raises**
        InputError: the file is damaged or no IDX file of bytes.
    """
    data = _unpack(path, checksum)
    found = hashlib.md5(data).hexdigest()
    if checksum is not None and found != checksum:
        raise InputError(f"{path} is damaged: its unpacked content has MD5 {found}, expected {checksum}; {DELETE}")
    return _parse(path, data)


def _unpack(path: Path, checksum: str | None) -> bytes:
    data = path.read_bytes()
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        found = hashlib.md5(data).hexdigest()
        raise InputError(
            f"{path} is damaged: it cannot be unpacked ({error}; MD5 of the gzipped file {found}, "
            f"expected MD5 of the unpacked file {checksum}); {DELETE}"
        ) from error


def _parse(path: Path, data: bytes) -> Tensor:
    """The array in the content of an IDX file.

    Two zero bytes, the type (8: unsigned byte), the number of dimensions, big-endian int32 sizes, then the bytes.
    """
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise InputError(f"{path} is no IDX file of bytes: it starts with {data[:4]!r}")
    dims = data[3]
    header = 4 + 4 * dims
    if len(data) < header:
        raise InputError(f"{path} is damaged: it ends inside its header, after {len(data)} bytes")
    shape = struct.unpack(f">{dims}i", data[4:header])
    if len(data) - header != math.prod(shape):
        raise InputError(f"{path} is damaged: {len(data) - header} bytes of content for an array of {shape}")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=header).reshape(shape).copy())
