"""Arrays that stay in a file and are mapped into memory, so that sets larger than memory can be used."""

import errno
import mmap
import os
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

CHUNK_BYTES = 1 << 22  # bytes of images converted at a time
RELEASE_BYTES = 1 << 22  # bytes read between two calls of ``MappedFile.release``
KEPT_BYTES = 1 << 28  # a file that is not larger may stay in the memory of the process


class MappedFile:
    """An array in a file, mapped into memory.

    The system reads a page of the file when it is first used, and counts it to the memory of the process, with up to
    2 MB around it. ``release`` gives the pages back, and ``gather`` does not use them; what was read stays in the
    system's cache of files as long as memory is free.

    **Arguments**
        file: open for reading; it may be closed afterwards.
        folder: where further files of this size may be written.
        dtype, shape, order: of the array; ``order`` is ``C`` or ``F``.
        offset: where in the file it begins, in bytes.
    """

    def __init__(
        self,
        file: IO[bytes],
        folder: Path,
        dtype: np.dtype,
        shape: tuple[int, ...],
        offset: int = 0,
        order: str = "C",
    ) -> None:
        self.folder = folder
        # A private mapping: torch takes only arrays that can be written to, and nothing writes to this one.
        self._mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        count = int(np.prod(shape, dtype=np.int64))
        flat = np.frombuffer(self._mapping, dtype, count, offset)
        self.array: np.ndarray = flat.reshape(shape, order="F" if order == "F" else "C")
        self._used, self._offset = 0, offset
        self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)

    @property
    def tensor(self) -> Tensor:
        """The array as a tensor on the same memory."""
        return torch.from_numpy(self.array)

    def gather(self, images: Tensor, indices: Tensor) -> Tensor:
        """``images[indices]``, read from the file if it is a large one.

        **Arguments**
            images: a part of ``tensor``, uint8 ``(N, ...)``.
            indices: on the CPU, ``(B,)``.
        """
        is_kept = self.array.nbytes <= KEPT_BYTES or not hasattr(os, "preadv")  # Windows has none
        if is_kept or not len(indices):
            return images.index_select(0, indices)
        chosen = torch.empty((len(indices), *images.shape[1:]), dtype=torch.uint8)
        row = chosen[:1].numel()
        place = images.data_ptr() - self.array.ctypes.data
        assert 0 <= place <= self.array.nbytes - images.numel(), "these images are not in this file"
        target = chosen.view(-1).numpy()
        for number, index in enumerate(indices.tolist()):
            part = target[number * row : (number + 1) * row].data
            if os.preadv(self._descriptor, [part], self._offset + place + index * row) != row:
                raise OSError(errno.EIO, "a file of images became shorter while it was used")
        return chosen

    def release(self) -> None:
        """Give the pages that were read back to the system, where it can take them."""
        self._used = 0
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self._mapping.madvise(mmap.MADV_DONTNEED)

    def count(self, size: int) -> None:
        """Note that ``size`` bytes were read; from time to time their pages are given back."""
        self._used += size
        if self._used >= RELEASE_BYTES:
            self.release()


def convert(
    images: Tensor, function: Callable[[Tensor], Tensor], source: MappedFile | None
) -> tuple[Tensor, MappedFile | None]:
    """``function`` of ``images`` ``(N, ...)``, a chunk at a time: in memory or, if they are in a file, in a file too.

    **Arguments**
        function: maps images uint8 ``(B, ...)`` to images uint8 of the same shape.
        source: the file that ``images`` are in; None where they are in memory.
    """
    chunks = (function(chunk) for chunk in chunks_of(images, source))
    if source is None or not len(images):
        return torch.cat([images[:0], *chunks]), None
    return _write(chunks, tuple(images.shape), source)


def select(images: Tensor, rows: Tensor, source: MappedFile | None) -> tuple[Tensor, MappedFile | None]:
    """``images[rows]``, uint8 ``(N, ...)``: in memory or, if they are in a file, in a file too."""
    if source is None or not len(rows):
        return images[rows], None
    chunks = (source.gather(images, chunk) for chunk in rows.split(_rows_of_chunk(images)))
    return _write(chunks, (len(rows), *images.shape[1:]), source)


def _write(chunks: Iterable[Tensor], shape: tuple[int, ...], source: MappedFile) -> tuple[Tensor, MappedFile]:
    with unnamed_file(source.folder) as file:
        for chunk in chunks:  # written, not mapped: on a full disk this is an error that can be explained
            file.write(chunk.contiguous().numpy().data)
        file.flush()
        made = MappedFile(file, source.folder, np.dtype(np.uint8), shape)
    return made.tensor, made


def chunks_of(images: Tensor, source: MappedFile | None = None) -> Iterator[Tensor]:
    """``images`` in chunks of at most ``CHUNK_BYTES``; of a file, whose pages are given back after each."""
    for chunk in images.split(_rows_of_chunk(images)) if len(images) else ():
        yield chunk
        if source is not None:
            source.count(chunk.numel())


def _rows_of_chunk(images: Tensor) -> int:
    return max(1, CHUNK_BYTES // max(1, images[:1].numel()))


def unnamed_file(folder: Path) -> IO[bytes]:
    """A file without a name, which is gone when nothing uses it any more; in ``folder``, if that can be written to."""
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError:
        return tempfile.TemporaryFile()
