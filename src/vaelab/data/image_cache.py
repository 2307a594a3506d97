"""A cache of decoded images: one file of bytes, written whole or not at all, which all runs map into memory.

The cache of a set is two files: ``<key>.npy`` with the images uint8 ``(N, C, H, W)``, which numpy opens too, and
``<key>.json`` with what belongs to them. The key says which images and which options the cache was made of.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vaelab.data.mapped import MappedFile
from vaelab.errors import InputError, RunFailed
from vaelab.files import replacing, write_json
from vaelab.locks import exclusive, is_locked

log = logging.getLogger(__name__)

VERSION = 1  # of the caches' format and of the decoding; caches of other versions are not used
FOLDER = ".vaelab"  # the folder of the caches, beside the images
PARTS = ("train", "val", "test")


def count_tests(count: int, share: float) -> int:
    """How many of at least 2 images are for the test: at least one, and not all."""
    return min(count - 1, max(1, round(share * count)))


@dataclass
class Contents:
    """What belongs to the images of a cache, which are sorted by their part: first train, then val, then test.

    **Attributes**
        counts: how many images each part has.
        labels: of each image.
        factors: of each image, whole numbers; empty where there are none.
        origins: where each image is from: its path, or its row in an array.
        classes: the names of the labels; empty where they have none.
        unreadable: the paths of the files that could not be read, with the reasons.
        notes: what else a user should know.
        duplicates: how many test images are among the images of the other parts, too.
        is_grey: whether all channels of all images are the same.
        digest: identifies pixels, labels and parts.
    """

    counts: dict[str, int]
    labels: list[int]
    factors: list[list[int]] = field(default_factory=list)
    origins: list[str | int] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    unreadable: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    duplicates: int = 0
    is_grey: bool = False
    digest: str = ""


class CachedSource(ABC):
    """Images that are converted once into a cache.

    **Attributes**
        name: for messages.
        beside: the folder of the images.
        key: the name of the cache; ``<options>-<content>``, of which only one content is kept.
        shape: ``(C, H, W)``.
        count: how many images there are, at most.
    """

    name: str
    beside: Path
    key: str
    shape: tuple[int, int, int]
    count: int

    @abstractmethod
    def chunks(self, folder: Path) -> Iterable[tuple[Sequence[int], np.ndarray]]:
        """The images in the order of their parts: their numbers from 0, ascending, and uint8 ``(B, C, H, W)``.

        **Arguments**
            folder: where temporary files may be written.
        """

    @abstractmethod
    def contents(self, kept: Sequence[int]) -> Contents:
        """What belongs to the images with the numbers ``kept``, called after ``chunks``."""


@dataclass
class Cache:
    """A cache that is open."""

    path: Path
    images: MappedFile
    contents: Contents


def obtain(source: CachedSource, folder: str | None = None) -> Cache:
    """The cache of ``source``: opened, or made first, once for all processes that ask for it.

    **Arguments**
        folder: where it is or goes; None for the folder of the images or, where that cannot be written to, the user's
            own folder of caches.

    **Raises**
        InputError: the source holds nothing that can be read.
        RunFailed: there is no place for the cache.
    """
    places = _places(source, folder)
    for place in places:
        if (cache := _opened(place, source)) is not None:
            return cache
    place = _place_with_room(source, places)
    lock = place / f"{source.key}.lock"
    if is_locked(lock):
        log.info(f"another process decodes the images of {source.name}: waiting for it")
    with exclusive(lock):
        if (cache := _opened(place, source)) is None:  # no other process has made it meanwhile
            _make(source, place)
            cache = _opened(place, source)
    assert cache is not None  # it was just written
    return cache


def user_folder() -> Path:
    """The folder of the user's caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vaelab"


def _places(source: CachedSource, folder: str | None) -> list[Path]:
    place = hashlib.sha256(str(source.beside.resolve()).encode()).hexdigest()[:8]
    own = f"{source.beside.resolve().name}-{place}"
    if folder is not None:
        return [Path(folder).expanduser() / own]
    return [source.beside / FOLDER, user_folder() / own]


def _place_with_room(source: CachedSource, places: Sequence[Path]) -> Path:
    """The first of ``places`` that can be written to and has room."""
    needed = source.count * int(np.prod(source.shape))
    reasons = []
    for place in places:
        there = next(parent for parent in (place, *place.parents) if parent.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            reasons.append(f"{there} cannot be written to")
        elif (free := shutil.disk_usage(there).free) < needed:
            reasons.append(f"{there} has {free / 1e9:.1f} GB free")
        else:
            return place
    raise _no_place(source, "; ".join(reasons))


def _no_place(source: CachedSource, reason: str) -> RunFailed:
    needed = source.count * int(np.prod(source.shape))
    return RunFailed(
        f"no place for the {needed / 1e9:.1f} GB of decoded images of {source.name}: {reason}; make room, or name "
        "another folder with data.cache=..."
    )


def _opened(place: Path, source: CachedSource) -> Cache | None:
    """The cache of ``source`` in ``place``; None where there is none, or a damaged one."""
    path = place / f"{source.key}.npy"
    try:
        contents = Contents(**json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            return Cache(path, MappedFile(file, place, dtype, shape, file.tell()), contents)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        log.warning(f"{path} is damaged and replaced ({error})")
        return None


def _make(source: CachedSource, place: Path) -> None:
    """Write the cache of ``source``, and remove those that were made of its former content."""
    began, path = time.monotonic(), place / f"{source.key}.npy"
    log.info(f"decoding {source.count:,} images of {source.name}, once for all runs")
    try:
        with replacing(path) as part:
            contents = _write(source, part)
            write_json(path.with_suffix(".json"), asdict(contents))
    except OSError as error:
        path.with_suffix(".json").unlink(missing_ok=True)
        raise _no_place(source, f"{place}: {error.strerror or error}") from error
    size = path.stat().st_size / 1e6
    log.info(f"decoded in {time.monotonic() - began:.0f} s; {size:,.0f} MB in {path}")
    former = f"{source.key.rpartition('-')[0]}-*"
    for old in place.glob(former):
        if old.suffix in (".npy", ".json") and old.stem != source.key:
            with suppress(OSError):  # Windows keeps files that another run uses
                old.unlink()


def _write(source: CachedSource, part: Path) -> Contents:
    seen: list[bytes] = []
    kept: list[int] = []
    is_grey = True
    with part.open("wb") as file:
        _write_header(file, source.count, source.shape)
        begin = file.tell()
        for numbers, images in source.chunks(part.parent):
            kept += numbers
            seen += [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]
            is_grey = is_grey and bool((images == images[:, :1]).all())
            file.write(np.ascontiguousarray(images).data)
        if not kept:
            raise InputError(f"no image of {source.name} can be read")
        file.seek(0)
        _write_header(file, len(kept), source.shape)
        assert file.tell() == begin  # numpy leaves room for the largest number of images
    contents = source.contents(kept)
    last = len(kept) - contents.counts["test"]
    others = set(seen[:last])
    contents.duplicates = sum(digest in others for digest in seen[last:])
    contents.is_grey = is_grey
    said = json.dumps([contents.counts, contents.labels, contents.factors]).encode()
    contents.digest = hashlib.sha256(b"".join(seen) + said).hexdigest()[:12]
    return contents


def _write_header(file: BinaryIO, count: int, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
    np.lib.format.write_array_header_1_0(file, header)
