"""Arrays in .npy, .npz and .pt files: their shapes, read from the headers, and their content, mapped into memory."""

import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from torch import Tensor

from vaelab.data.mapped import MappedFile, unnamed_file
from vaelab.errors import InputError, one_line
from vaelab.tensor_files import read_tensors

ENDINGS = (".npz", ".npy", ".pt")
ONLY = "images"  # the name of the array in a file that holds one
LOCAL_HEADER = 30  # bytes of a zip member's header before its name; its lengths are in the last four


@dataclass(frozen=True)
class StoredArray:
    """An array in a file.

    **Attributes**
        shape, dtype: by its header.
        load: its content, mapped into memory where that is possible; gets the folder for temporary files.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    load: Callable[[Path], MappedFile | np.ndarray]

    def read(self) -> np.ndarray:
        """The content in memory, for small arrays."""
        loaded = self.load(Path(tempfile.gettempdir()))
        return np.array(loaded.array) if isinstance(loaded, MappedFile) else loaded


def list_arrays(path: Path) -> dict[str, StoredArray]:
    """The arrays in the file ``path`` by their names; an array alone is called ``ONLY``. Objects are left out.

    **Raises**
        InputError: there is no such file, it is damaged, or it is of another format.
    """
    if not path.is_file():
        raise InputError(f"data.root={path} is no file: name a file {' or '.join(ENDINGS)}; data=folder reads folders")
    if not os.access(path, os.R_OK):
        raise InputError(f"data.root={path} cannot be read: permission denied")
    readers = {".npy": _list_npy, ".npz": _list_npz, ".pt": _list_pt}
    if path.suffix not in readers:
        raise InputError(f"data.root={path} must end in {', '.join(ENDINGS)}")
    with _explaining(path):
        return readers[path.suffix](path)


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Turn the exceptions that a damaged file causes in the block into an InputError of one line."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise InputError(f"{path} is no {path.suffix} file of arrays, or a damaged one ({one_line(error)})") from error


def _list_npy(path: Path) -> dict[str, StoredArray]:
    with path.open("rb") as file:
        return {ONLY: _stored(path, file, lambda folder: path.open("rb"))}


def _list_npz(path: Path) -> dict[str, StoredArray]:
    found = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.filename.endswith(".npy"):
                with archive.open(info) as member:
                    stored = _stored(path, member, _opener(path, info))
                if not stored.dtype.hasobject:
                    found[info.filename.removesuffix(".npy")] = stored
    return found


def _stored(path: Path, file: IO[bytes], reopen: Callable[[Path], IO[bytes]]) -> StoredArray:
    """The array whose header ``file`` is at; ``reopen`` opens it at the same place."""
    shape, _, dtype = read_header(file)

    def load(folder: Path) -> MappedFile:
        with _explaining(path), reopen(folder) as again:
            shape, is_fortran, dtype = read_header(again)
            return MappedFile(again, folder, dtype, shape, again.tell(), "F" if is_fortran else "C")

    return StoredArray(shape, dtype, load)


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the order is Fortran's, and type of the array in numpy's format that ``file`` is at."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _opener(path: Path, info: zipfile.ZipInfo) -> Callable[[Path], IO[bytes]]:
    """Opens a zip member as a file of its own: in the archive, or unpacked if it is compressed."""

    def open_in_archive(folder: Path) -> IO[bytes]:
        file = path.open("rb")
        file.seek(info.header_offset + LOCAL_HEADER - 4)
        lengths = np.frombuffer(file.read(4), "<u2")
        file.seek(int(lengths.sum()), 1)
        return file

    def unpack(folder: Path) -> IO[bytes]:
        file = unnamed_file(folder)
        with zipfile.ZipFile(path) as archive, archive.open(info) as member:
            shutil.copyfileobj(member, file)
        file.flush()
        file.seek(0)
        return file

    return open_in_archive if info.compress_type == zipfile.ZIP_STORED else unpack


def _list_pt(path: Path) -> dict[str, StoredArray]:
    content = read_tensors(path, "file", mmap=True)
    if isinstance(content, Tensor):
        content = {ONLY: content}
    elif isinstance(content, (tuple, list)):  # as in torch's TensorDataset and torchvision's old files
        content = dict(zip((ONLY, "labels", "factors"), content, strict=False))
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds {type(content).__name__}: store tensors, or a dict of them")
    arrays = {str(name): _array(path, tensor) for name, tensor in content.items() if isinstance(tensor, Tensor)}
    return {name: _in_memory(array) for name, array in arrays.items()}


def _in_memory(array: np.ndarray) -> StoredArray:
    return StoredArray(array.shape, array.dtype, lambda folder: array)


def _array(path: Path, tensor: Tensor) -> np.ndarray:
    try:
        return tensor.detach().numpy()
    except (TypeError, RuntimeError) as error:  # bfloat16, sparse and quantised tensors
        raise InputError(f"{path}: a tensor of {tensor.dtype} has no array ({one_line(error)})") from error
