"""An array of images in a file as an image set."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from vaelab import rng
from vaelab.checks import folder_name, one_of
from vaelab.data.array_files import StoredArray, list_arrays
from vaelab.data.array_roles import LAYOUTS, Roles, channels_first, find_layout, find_roles, image_shape
from vaelab.data.cached import CachedImages
from vaelab.data.datamodule import Option
from vaelab.data.image_cache import PARTS, VERSION, CachedSource, Contents, count_tests
from vaelab.data.mapped import CHUNK_BYTES, MappedFile
from vaelab.errors import InputError
from vaelab.progress import progress


class ArraySource(CachedSource):
    """The images in a file of arrays.

    **Arguments**
        path: the file.
        named: the options ``images``, ``labels`` and ``factors``.
        layout: the option of that name.
        test_share, seed: of the split, where the file does not have one.
    """

    def __init__(
        self, path: Path, named: dict[str, str | None], layout: str | None, test_share: float, seed: int
    ) -> None:
        self.path, self.name, self.beside, self.seed = path, str(path), path.parent, seed
        self.arrays = list_arrays(path)
        self.roles = find_roles(path, self.arrays, named)
        shapes = {part: self._images(roles).shape for part, roles in self.roles.items()}
        self.layouts = {
            part: find_layout(f"{path}: {self.roles[part].images}", shape, layout) for part, shape in shapes.items()
        }
        self.counts = {part: shape[0] for part, shape in shapes.items()}
        found = {part: image_shape(shape, self.layouts[part]) for part, shape in shapes.items()}
        self.shape, *others = dict.fromkeys(found.values())
        if others:
            raise InputError(f"{path} holds images of several shapes (C, H, W): {self.shape} and {others[0]}")
        self.count = sum(self.counts.values())
        for part, roles in self.roles.items():
            self._check_lengths(part, roles)
        self.order = self._order(test_share)
        status = path.stat()
        content = [VERSION, path.name, status.st_size, status.st_mtime_ns, named, self.layouts, test_share, seed]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
        self.key = f"{re.sub(r'[^A-Za-z0-9]+', '_', path.name)}-{digest}"

    def _images(self, roles: Roles) -> StoredArray:
        return self.arrays[roles.images]

    def _check_lengths(self, part: str, roles: Roles) -> None:
        """Raise an InputError where labels or factors do not fit the images."""
        for role, dimensions in (("labels", 1), ("factors", 2)):
            name = getattr(roles, role)
            if (name is None) != (getattr(next(iter(self.roles.values())), role) is None):
                raise InputError(f"{self.path} has {role} for some of its parts only: give {role} to all, or to none")
            shape = None if name is None else self.arrays[name].shape
            if shape is not None and (shape[:1] != (self.counts[part],) or int(np.prod(shape[dimensions:])) != 1):
                raise InputError(
                    f"{self.path}: {name} has the shape {shape}, and there are {self.counts[part]} images: {role} are "
                    f"({'N,' if dimensions == 1 else 'N, F'})"
                )

    def _order(self, test_share: float) -> list[tuple[str, str, np.ndarray]]:
        """For each part of the set: the part of the file that it is from, and the rows there."""
        order: list[tuple[str, str, np.ndarray]] = []
        for number, (part, count) in enumerate(self.counts.items()):
            rows = torch.randperm(count, generator=rng.generator(rng.SPLIT, self.seed, number)).numpy()
            if part in ("all", "train") and "test" not in self.counts:
                if count < 2:
                    raise InputError(f"{self.path} holds {count} image: at least two are needed, to train and to test")
                tests = count_tests(count, test_share)
                order += [("train", part, rows[:-tests]), ("test", part, rows[-tests:])]
            else:  # test images stay in the order of the file
                order.append((part, part, np.arange(count) if part == "test" else rows))
        return sorted(order, key=lambda entry: PARTS.index(entry[0]))

    def chunks(self, folder: Path) -> Iterable[tuple[Sequence[int], np.ndarray]]:
        rows = max(1, CHUNK_BYTES // (4 * int(np.prod(self.shape))))
        pieces = [
            (source, chosen[first : first + rows])
            for _, source, chosen in self.order
            for first in range(0, len(chosen), rows)
        ]
        loaded = {source: self._images(roles).load(folder) for source, roles in self.roles.items()}
        done = 0
        for source, chosen in progress(pieces, "reading"):
            file = loaded[source]
            array = file.array if isinstance(file, MappedFile) else file
            images = self._to_bytes(source, array[chosen])
            if isinstance(file, MappedFile):
                file.release()
            yield range(done, done + len(chosen)), channels_first(images, self.layouts[source])
            done += len(chosen)

    def _to_bytes(self, source: str, images: np.ndarray) -> np.ndarray:
        """Images uint8, from bytes, booleans or floats in [0, 1]."""
        if images.dtype == np.uint8:
            return images
        where = f"{self.path}: {self.roles[source].images}"
        if images.dtype == np.bool_:
            return images.astype(np.uint8) * 255
        if not np.issubdtype(images.dtype, np.floating):
            raise InputError(f"{where} is of type {images.dtype}: store uint8 from 0 to 255, or floats in [0, 1]")
        low, high = float(images.min()), float(images.max())
        if not (low >= 0 and high <= 1):  # nan is neither
            raise InputError(
                f"{where} has floats from {low:g} to {high:g}: store floats in [0, 1], or uint8 from 0 to 255"
            )
        return np.round(images * 255).astype(np.uint8)

    def contents(self, kept: Sequence[int]) -> Contents:
        labels, factors = self._gather("labels"), self._gather("factors")
        numbers, classes = ([0] * self.count, []) if labels is None else code_labels(str(self.path), labels)
        return Contents(
            {part: sum(len(rows) for name, _, rows in self.order if name == part) for part in PARTS},
            numbers,
            factors=[] if factors is None else code_factors(factors),
            origins=[int(row) for _, _, rows in self.order for row in rows],
            classes=classes,
        )

    def _gather(self, role: str) -> np.ndarray | None:
        """The array of all images in the order of the cache; None where the file has none."""
        names = {part: getattr(roles, role) for part, roles in self.roles.items()}
        if not any(names.values()):
            return None
        stored = {part: self.arrays[name].read() for part, name in names.items()}
        whole = np.concatenate([stored[source][rows] for _, source, rows in self.order])
        return whole.reshape(self.count, -1) if role == "factors" else whole.reshape(self.count)


def code_labels(where: str, labels: np.ndarray) -> tuple[list[int], list[str]]:
    """Labels as whole numbers from 0, and the names of the classes where the labels were texts.

    **Raises**
        InputError: they are neither whole numbers from 0 nor texts.
    """
    if labels.dtype.kind in "US":
        classes, numbers = np.unique(labels, return_inverse=True)
        return numbers.tolist(), [str(name) for name in classes]
    if labels.dtype.kind not in "biuf" or not (np.asarray(labels, float) == np.floor(labels)).all() or labels.min() < 0:
        raise InputError(f"{where}: labels are whole numbers from 0, or texts")
    return labels.astype(np.int64).tolist(), []


def code_factors(factors: np.ndarray) -> list[list[int]]:
    """Each column of factors ``(N, F)`` as whole numbers from 0, in the order of its values."""
    return np.stack([np.unique(column, return_inverse=True)[1] for column in factors.T], 1).tolist()


class ArrayImages(CachedImages):
    """The images in a file .npz, .npy or .pt: uint8, or floats in [0, 1].

    Arrays with the usual names are found: ``images``, ``labels`` and ``factors``, or ``x_train``, ``y_train``,
    ``x_test`` and ``y_test``. Where the file has no test images, the images are split at random.

    **Arguments**
        root: the file.
        layout: ``NHW``, ``NHWC`` or ``NCHW``, the axes of the images; None where their shape says it.
        images, labels, factors: the names of the arrays, where they have others than the usual ones.
        shape: ``[C, H, W]``, which the file says.
        options: those of ``CachedImages``.
    """

    def __init__(
        self,
        root: str | None = None,
        layout: str | None = None,
        images: str | None = None,
        labels: str | None = None,
        factors: str | None = None,
        **options: Option,
    ) -> None:
        self.root = _file(root)
        super().__init__(re.sub(r"\W+", "_", self.root.stem), **options)
        self.layout = None if layout is None else one_of("data.layout", layout, LAYOUTS)
        self.named = {"images": images, "labels": labels, "factors": factors}

    @classmethod
    def find_shape(cls, **options: Option) -> list[int]:
        """``[C, H, W]`` by the header of the array of images."""
        return list(cls(**options).source().shape)

    def source(self) -> ArraySource:
        return ArraySource(self.root, self.named, self.layout, self.test_share, self.split_seed)


def _file(root: object) -> Path:
    named = folder_name("data.root", root)
    if named is None:
        raise InputError("data.root is missing: name a file .npz, .npy or .pt, such as data.root=images.npz")
    return Path(named).expanduser()
