"""The image files below a folder: found, sorted into training, validation and test images, and labelled."""

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vaelab.data.decode import ENDINGS
from vaelab.data.image_cache import PARTS, count_tests
from vaelab.errors import InputError

# Names of folders that hold a part of the images, in any case.
PART_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
              "test": "test", "testing": "test"}  # fmt: skip
SKIPPED = ("__MACOSX",)  # folders that hold no images of their own; those with a leading dot are skipped, too


@dataclass(frozen=True)
class Found:
    """An image file.

    **Attributes**
        path: below the folder, with ``/`` between its parts.
        size, changed: in bytes and nanoseconds; -1 where the file cannot be looked at.
    """

    path: str
    size: int
    changed: int

    @property
    def names(self) -> list[str]:
        return self.path.split("/")


@dataclass
class Listing:
    """The image files of a folder in the order of their parts, and within a part in a random one.

    **Attributes**
        files, parts, labels: of each image; labels are 0 where there are no classes.
        classes: their names, sorted.
        is_split: whether the test images are a share of the training images, and there are no others.
        notes: what a user should know about what was found.
    """

    files: list[Found]
    parts: list[str]
    labels: list[int]
    classes: list[str]
    is_split: bool
    notes: list[str]


def scan(root: Path, test_share: float, seed: int) -> Listing:
    """List the images below ``root``.

    Folders named ``train``, ``val`` and ``test`` in ``root`` are the parts. Otherwise a share of the training images
    becomes test images, chosen by the paths and ``seed``: neither the order of the files nor other files matter.

    Where every image lies in a subfolder of ``root``, or of its part, the subfolders are the classes.

    **Raises**
        InputError: there is no image, or no training or no test image.
    """
    if not root.is_dir():
        raise InputError(f"data.root={root} is no folder: name the folder of the images")
    found, others = _find(root)
    if not found:
        there = ", ".join(f"{count} {ending or 'without an ending'}" for ending, count in others.most_common(3))
        raise InputError(
            f"{root} holds no image ({', '.join(ENDINGS)}){f', but other files: {there}' if there else ''}"
        )
    parts, notes = _split_by_folder(root, found)
    labels, classes, more = _label(found, parts)
    ranks = [_rank(file.path, seed) for file in found]
    is_split = "val" not in parts and "test" not in parts
    if "test" not in parts:
        _choose_test(root, parts, ranks, test_share)
    used = [index for index, part in enumerate(parts) if part]
    used.sort(key=lambda index: (PARTS.index(parts[index]), ranks[index], found[index].path))
    return Listing(
        [found[index] for index in used],
        [parts[index] for index in used],
        [labels[index] for index in used],
        classes,
        is_split,
        notes + more,
    )


def _find(root: Path) -> tuple[list[Found], Counter[str]]:
    """The image files below ``root``, sorted by path, and how many other files there are by ending."""
    found, others = [], Counter[str]()
    for path in _walk(root):
        ending = os.path.splitext(path)[1].lower()
        if ending in ENDINGS:
            try:
                status = os.stat(f"{root}/{path}")
                size, changed = status.st_size, status.st_mtime_ns
            except OSError:  # a link to nothing, which is then listed as unreadable
                size = changed = -1
            found.append(Found(path, size, changed))
        else:
            others[ending] += 1
    return sorted(found, key=lambda file: file.path), others


def _walk(root: Path) -> Iterator[str]:
    """The path below ``root`` of every file there, with ``/``; through links to folders too, each folder once."""
    entered = set()
    for folder, subfolders, files in os.walk(root, onerror=_refuse, followlinks=True):
        subfolders[:] = [name for name in subfolders if name[0] != "." and name not in SKIPPED]
        if (place := os.path.realpath(folder)) in entered:
            subfolders.clear()
            continue
        entered.add(place)
        below = "" if folder == str(root) else os.path.relpath(folder, root).replace(os.sep, "/") + "/"
        yield from (below + name for name in files if name[0] != ".")


def _refuse(error: OSError) -> None:
    raise InputError(f"the folder {error.filename} cannot be read: {error.strerror}") from error


def _split_by_folder(root: Path, found: list[Found]) -> tuple[list[str], list[str]]:
    """The part of each image by its first folder: ``""`` for an image that is left out; and notes."""
    firsts = [_part_of(file) for file in found]
    if not any(firsts):
        return ["train"] * len(found), []
    if "train" not in firsts:
        names = ", ".join(sorted({part for part in firsts if part}))
        raise InputError(f"{root} has a folder of {names} images but none of training images: name it {root}/train")
    outside = firsts.count("")
    note = f"{outside:,} images outside the folders train, val and test are not used"
    return firsts, [note] if outside else []


def _label(found: list[Found], parts: list[str]) -> tuple[list[int], list[str], list[str]]:
    """The label of each image, the names of the classes, and notes."""
    depth = 1 if any(_part_of(file) for file in found) else 0
    names = [file.names[depth] if len(file.names) > depth + 1 else "" for file in found]
    used = {part: {name for name, at in zip(names, parts, strict=True) if at == part} for part in PARTS}
    every = set().union(*used.values())
    if "" in every:
        mixed = "some images lie in subfolders and some do not, so the subfolders are not taken as classes"
        return [0] * len(found), [], [mixed] if len(every) > 1 else []
    if unknown := sorted(every - used["train"]):
        raise InputError(f"the class folder {unknown[0]!r} has validation or test images but no training images")
    classes = sorted(every)
    number = {name: label for label, name in enumerate(classes)}
    return [number.get(name, 0) for name in names], classes, []


def _part_of(file: Found) -> str:
    """The part that the first folder of ``file`` names, or ``""``."""
    return PART_NAMES.get(file.names[0].lower(), "") if len(file.names) > 1 else ""


def _rank(path: str, seed: int) -> bytes:
    """A random number of an image that depends on its path alone (in one form of Unicode) and on the seed."""
    return hashlib.blake2b(f"{seed} {unicodedata.normalize('NFC', path)}".encode("utf-8", "surrogateescape")).digest()


def _choose_test(root: Path, parts: list[str], ranks: list[bytes], share: float) -> None:
    """Make the share of the training images that has the highest ranks test images."""
    train = sorted((rank, index) for index, rank in enumerate(ranks) if parts[index] == "train")
    if len(train) < 2:
        raise InputError(f"{root} holds one training image: at least two are needed, one to train and one to test")
    for _, index in train[-count_tests(len(train), share) :]:
        parts[index] = "test"
