"""Image files as an image set at one size: decoded in parallel into the cache, damaged ones listed."""

import hashlib
import json
import logging
import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from vaelab.checks import flag, one_of, whole
from vaelab.data.cached import CachedImages, listed
from vaelab.data.datamodule import Option
from vaelab.data.decode import BACKGROUNDS, CROPS, MODES, ImageFormat, without_warnings
from vaelab.data.folder_scan import Listing
from vaelab.data.image_cache import PARTS, CachedSource, Contents
from vaelab.errors import InputError, one_line
from vaelab.progress import progress

log = logging.getLogger(__name__)

PART = 64  # files that a process decodes between two answers
PARALLEL = 512  # files from which on processes of their own decode them

Decoded = np.ndarray | list[str]  # uint8 (C, H, W), or the path of a damaged file and the reason


class ImageFiles(CachedSource):
    """Image files in a folder, decoded by a process for each core.

    **Arguments**
        root: the folder.
        form: the shape of the images, and how they get it.
        count: how many files there are.
        content: what the images, their parts and their labels depend on besides ``form``.
    """

    def __init__(self, root: Path, form: ImageFormat, count: int, content: Sequence[object]) -> None:
        self.root, self.form, self.count = root, form, count
        self.name = str(root)
        self.beside = root
        self.shape = (form.channels, form.height, form.width)
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
        self.key = f"{form.channels}x{form.height}x{form.width}_{form.crop}_{form.background}-{digest}"
        self._unreadable: list[list[str]] = []

    @property
    @abstractmethod
    def listing(self) -> Listing:
        """The files, sorted by their part; it is not used where the cache exists already."""

    def chunks(self, folder: Path) -> Iterable[tuple[Sequence[int], np.ndarray]]:
        self._unreadable = []
        parts = _Parts(self)
        with without_warnings():
            tracked = iter(progress(parts.decoded(), "decoding", self.count))
            for numbers in parts.numbers:
                items = {number: next(tracked) for number in numbers}
                self._unreadable += [item for item in items.values() if isinstance(item, list)]
                images = {number: item for number, item in items.items() if not isinstance(item, list)}
                if images:
                    yield list(images), np.stack(list(images.values()))
        if len(self._unreadable) == self.count:
            names = listed([f"{path} ({reason})" for path, reason in sorted(self._unreadable)])
            raise InputError(f"no image in {self.root} can be read: {names}")

    def decode(self, number: int) -> Decoded:
        """The file with this number in the listing."""
        path = self.listing.files[number].path
        try:
            return self.form.read(self.root / path)
        except InputError as error:
            reason = one_line(error.__cause__ or error).replace(repr(str(self.root / path)), "").strip(" :")
            return [path, reason]

    def parts(self, kept: Sequence[int]) -> list[str]:
        """The part of each of the images ``kept``, which can be read."""
        return [self.listing.parts[number] for number in kept]

    def contents(self, kept: Sequence[int]) -> Contents:
        parts = self.parts(kept)
        return Contents(
            {part: parts.count(part) for part in PARTS},
            [self.listing.labels[number] for number in kept],
            origins=[self.listing.files[number].path for number in kept],
            classes=self.listing.classes,
            notes=self.listing.notes,
            unreadable=sorted(self._unreadable),
        )


class _Parts(Dataset[list[Decoded]]):
    """The files of a set in parts of ``PART``, for the processes of a DataLoader."""

    def __init__(self, files: ImageFiles) -> None:
        self.files = files
        self.numbers = [range(first, min(first + PART, files.count)) for first in range(0, files.count, PART)]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> list[Decoded]:
        return [self.files.decode(number) for number in self.numbers[index]]

    def decoded(self) -> Iterator[Decoded]:
        """All files, in their order."""
        workers = _processors() if self.files.count >= PARALLEL else 0
        # With a generator of its own it leaves torch's, so that a training is the same with and without a cache.
        loader = DataLoader(
            self, batch_size=None, num_workers=workers, collate_fn=_unchanged, generator=torch.Generator()
        )
        return (item for part in loader for item in part)


def _unchanged(part: list[Decoded]) -> list[Decoded]:
    """``part`` as arrays: tensors would go through shared memory, of which containers have little."""
    return part


class FileImages(CachedImages):
    """Image files, each cut or reduced to one size.

    **Arguments**
        name: what results.json calls the set.
        size: height and width in pixels, or ``[height, width]``.
        channels: 3 for colour, 1 for grey.
        crop, background: see ``ImageFormat``.
        skip_unreadable: whether damaged files are left out; otherwise they are an error.
        shape: ``[C, H, W]``, which follows from ``size`` and ``channels``.
        options: those of ``CachedImages``.

    **Attributes**
        root: the folder of the images, for messages; a subclass sets it.
    """

    root: Path

    def __init__(
        self,
        name: str,
        /,
        size: int | list[int] | None = None,
        channels: int = 3,
        crop: str = "center",
        background: str = "black",
        skip_unreadable: bool = False,
        shape: Sequence[int] | None = None,
        **options: Option,
    ) -> None:
        found = self.find_shape(size=size, channels=channels)
        super().__init__(name, shape=shape or found, **options)
        self.skip_unreadable = flag("data.skip_unreadable", skip_unreadable)
        crop, background = one_of("data.crop", crop, CROPS), one_of("data.background", background, BACKGROUNDS)
        self.form = ImageFormat(found[0], found[1], found[2], crop, background)

    @classmethod
    def find_shape(cls, size: int | list[int] | None = None, channels: int = 3, **options: Option) -> list[int]:
        """``[C, H, W]`` by the options ``size`` and ``channels``; no file is read."""
        if whole("data.channels", channels) not in MODES:
            raise InputError(f"data.channels must be 1 (grey) or 3 (colour), got {channels}")
        if size is None:
            raise InputError("data.size is missing: the height and width that the images get, such as data.size=64")
        sides = size if isinstance(size, list) else [size, size]
        if len(sides) != 2:
            raise InputError(f"data.size must be a whole number, or [height,width], got {size!r}")
        return [channels, *(whole("data.size", side) for side in sides)]

    @abstractmethod
    def source(self) -> ImageFiles:
        """The image files."""

    def check_contents(self) -> None:
        unreadable = self.contents.unreadable
        if not unreadable:
            return
        found = f"{len(unreadable):,} of {len(unreadable) + len(self.contents.labels):,} files in {self.root}"
        names = listed([f"{path} ({reason})" for path, reason in unreadable])
        if not self.skip_unreadable:
            raise InputError(
                f"{found} are no images, or damaged ones: {names}; repair or remove them, or leave them out with "
                "data.skip_unreadable=true"
            )
        log.warning(f"WARNING: {found} are no images, or damaged ones, and left out: {names}")


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
