"""MNIST and its kin as tensors: found or fetched, verified, split, and batched by index.

Images stay uint8 in memory; a batch is gathered by one index operation and scaled and binarised on the device.
No image goes through a per-image transform, which would cost more than the training.
"""

import gzip
import hashlib
import socket
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vaelab.data.contracts import ImageSet
from vaelab.errors import InputError

FOLDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST", "emnist": "EMNIST"}  # torchvision's
EMNIST_SPLITS = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
DOWNLOAD_TIMEOUT_S = 15
REMEDY = "point data.root (or $VAELAB_DATA) at a folder that holds it"


def read_idx(path: Path, checksum: str | None = None) -> Tensor:
    """The array in an IDX file of bytes, gzipped or not (LeCun's format).

    ``checksum`` is the MD5 of the unpacked file; torchvision publishes that of the packed one, which differs
    between compressors.
    """
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            found = hashlib.md5(data).hexdigest()
            raise InputError(
                f"{path} is damaged: it does not unpack ({error}; MD5 as it lies {found}, "
                f"of the unpacked file expected {checksum}); delete it to have it fetched anew"
            ) from error
    found = hashlib.md5(data).hexdigest()
    if checksum is not None and found != checksum:
        raise InputError(
            f"{path} is damaged: its unpacked content has MD5 {found}, expected {checksum}; "
            "delete it to have it fetched anew"
        )
    # Two zero bytes, the type (8: unsigned byte), the number of dimensions, their sizes as big-endian int32.
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise InputError(f"{path} is no IDX file of bytes: it starts with {data[:4]!r}")
    dims = data[3]
    header = 4 + 4 * dims
    if len(data) < header:
        raise InputError(f"{path} is damaged: it ends inside its header, after {len(data)} bytes")
    shape = struct.unpack(f">{dims}i", data[4:header])
    if len(data) - header != int(np.prod(shape)):
        raise InputError(f"{path} is damaged: {len(data) - header} bytes of content for an array of {shape}")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=header).reshape(shape).copy())


def files_of(name: str, split: str | None) -> dict[str, str]:
    """The names of the four files of an image set, as torchvision unpacks them."""
    if name != "emnist":
        return FILES
    kinds = {"images": "images-idx3-ubyte", "labels": "labels-idx1-ubyte"}
    return {
        f"{part}_{kind}": f"emnist-{split}-{part}-{file}" for part in ("train", "test") for kind, file in kinds.items()
    }


def locate(folder: Path, files: Mapping[str, str] = FILES) -> dict[str, Path] | None:
    """The four files in ``folder``, plain before gzipped; None where one is missing."""
    found = {}
    for part, name in files.items():
        candidates = [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
        if not candidates:
            return None
        found[part] = candidates[0]
    return found


def read_folder(
    name: str, folder: Path, checksums: Mapping[str, str] | None, files: Mapping[str, str] = FILES
) -> ImageSet | None:
    """The image set in ``folder``; None where files are missing; an InputError where one is damaged."""
    paths = locate(folder, files)
    if paths is None:
        return None
    arrays = {part: read_idx(path, (checksums or {}).get(files[part])) for part, path in paths.items()}
    for split in ("train", "test"):
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        if images.dim() != 3 or labels.dim() != 1 or len(images) != len(labels):
            raise InputError(
                f"{paths[f'{split}_images']} and its labels do not fit: "
                f"arrays of {tuple(images.shape)} and {tuple(labels.shape)}"
            )
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images.unsqueeze(1), labels.long()
    return ImageSet(name, **arrays)


def as_mnist(images: ImageSet, split: str) -> ImageSet:
    """EMNIST as MNIST is: upright, since its files hold the images transposed, and labels from 0."""
    first = 1 if split == "letters" else 0
    return ImageSet(
        f"emnist-{split}",
        images.train_images.transpose(2, 3).contiguous(),
        images.train_labels - first,
        images.test_images.transpose(2, 3).contiguous(),
        images.test_labels - first,
    )


def download(root: Path, name: str = "mnist", split: str | None = None) -> str | None:
    """torchvision's own download of an image set into ``root``, checksums verified; the reason where it failed."""
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"torchvision does not import ({str(error).splitlines()[0]}): it was built against another torch than "
            f"{torch.__version__}; install both from the same index: pip install --force-reinstall torch torchvision"
        ) from error
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_S)  # torchvision sets none: behind a silent firewall it would hang
    try:
        getattr(datasets, FOLDERS[name])(str(root), download=True, **({"split": split} if split else {}))
    except (RuntimeError, OSError) as error:  # URLError is an OSError
        return " ".join(str(error).split()[-12:])  # the last mirror's answer, after a list of all
    finally:
        socket.setdefaulttimeout(before)
    return None
