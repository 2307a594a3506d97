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
OWN = "for images of your own in this format take data.checksums=null, for image files data=folder"
# No message advises to delete a file: it may be the only copy of the user's own images.
AGAIN = "for the official file move this one to another place, and the next run downloads it"


def find_some(folder: Path, files: Mapping[str, str] = FILES) -> dict[str, Path]:
    """The paths of those of ``files`` that are in ``folder``, unpacked files before gzipped ones."""
    candidates = {part: (folder / name, folder / f"{name}.gz") for part, name in files.items()}
    found = {part: [path for path in paths if path.is_file()] for part, paths in candidates.items()}
    return {part: paths[0] for part, paths in found.items() if paths}


def find_files(folder: Path, files: Mapping[str, str] = FILES) -> dict[str, Path] | None:
    """As ``find_some``; None where one of ``files`` is missing."""
    found = find_some(folder, files)
    return found if len(found) == len(files) else None


def read_idx_set(name: str, paths: Mapping[str, Path], checksums: Mapping[str, str] | None = None) -> ImageSet:
    """The image set in four IDX files of grey images.

    **Arguments**
        paths: the files, with the keys of ``FILES``.
        checksums: the MD5 of each unpacked file, by its name without ``.gz``; other files are not verified.

    **Raises**
        InputError: a file is damaged, or images and labels, or training and test images, do not belong together.
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
        if not len(images):
            raise InputError(f"{paths[f'{part}_images']} holds no image")
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = images.unsqueeze(1), labels.long()
    train, test = ("{} x {}".format(*arrays[f"{part}_images"].shape[2:]) for part in ("train", "test"))
    if train != test:
        raise InputError(
            f"the images in {paths['train_images']} have {train} pixels, and those in {paths['test_images']} {test}: "
            "a model needs images of one size"
        )
    return ImageSet(name, arrays["train_images"], arrays["train_labels"], arrays["test_images"], arrays["test_labels"])


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
        raise InputError(
            f"{path} is not the official file, or a damaged one: its unpacked content has MD5 {found}, expected "
            f"{checksum}; {OWN}; {AGAIN}"
        )
    return _parse(path, data)


def _unpack(path: Path, checksum: str | None) -> bytes:
    data = path.read_bytes()
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        found = hashlib.md5(data).hexdigest()
        expected = "" if checksum is None else f", expected MD5 of the unpacked file {checksum}"
        again = "get it again from where it came from" if checksum is None else AGAIN
        raise InputError(
            f"{path} is damaged: it cannot be unpacked ({error}; MD5 of the gzipped file {found}{expected}); {again}"
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
