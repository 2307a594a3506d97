"""Colour image sets that torchvision downloads and reads: CIFAR-10, SVHN and CelebA."""

from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vaelab.data.contracts import ImageSet
from vaelab.data.datamodule import REMEDY, ImageDataModule, Option
from vaelab.data.decode import ImageFormat
from vaelab.data.download import download_missing, named_root, torchvision_class
from vaelab.data.folder_scan import Found, Listing
from vaelab.data.image_cache import PARTS, VERSION
from vaelab.data.image_sources import FileImages, ImageFiles
from vaelab.errors import InputError

Opened = Any  # a data set of torchvision, which carries no types


class Files:
    """The files of a set in torchvision's layout; missing ones are downloaded.

    **Arguments**
        dataset: the name of torchvision's class.
        names: files or folders of the set below the folder, which are there if it is complete.
        splits: those that torchvision downloads one by one.
        within: the folder that a download makes; empty for the files themselves.
        root: the folder; None for the environment variable ``VAELAB_DATA``, or else ``data``.
    """

    def __init__(
        self, dataset: str, names: tuple[str, ...], root: object, splits: tuple[str, ...] = (), within: str = ""
    ) -> None:
        self.dataset, self.names, self.splits, self.within = dataset, names, splits, within
        self.root = Path(named_root(root) or "data").expanduser()
        self._failure = "it was not tried"

    @property
    def is_complete(self) -> bool:
        """Whether all files are there; torchvision verifies them when it reads them."""
        return all((self.root / self.within / name).exists() for name in self.names)

    def fetch(self) -> None:
        """Download what is missing; where that fails, ``check`` says why."""
        failure = download_missing(self.root, self.dataset, lambda: self.is_complete, self.splits, self.within)
        self._failure = failure or self._failure

    def check(self) -> None:
        """Raise an InputError where files are missing."""
        if not self.is_complete:
            lacking = next(name for name in self.names if not (self.root / self.within / name).exists())
            raise InputError(
                f"no {self.dataset} in {self.root} (there is no {Path(self.within, lacking)}), and its download failed "
                f"({self._failure}); {REMEDY}"
            )

    def opened(self, **options: str | bool) -> Opened:
        """torchvision's data set with ``options``, without a download; it verifies the checksums.

        **Raises**
            InputError: files are missing or damaged.
        """
        self.check()
        make = torchvision_class(self.dataset)
        try:
            return make(self.root, download=False, **options)
        except RuntimeError as error:
            raise InputError(
                f"{self.dataset} in {self.root}: a file is not the official one, by torchvision's checksum; name "
                "another folder by data.root, or read your own images by data=folder or data=arrays"
            ) from error


class TorchvisionSet(ImageDataModule):
    """A set whose images torchvision reads into memory.

    **Arguments**
        name: what results.json calls the set.
        files: where it is.
        options: those of ``ImageDataModule``.
    """

    parts: ClassVar[tuple[dict[str, str | bool], dict[str, str | bool]]]  # options of torchvision's class: train, test

    def __init__(self, name: str, files: Files, /, **options: Option) -> None:
        super().__init__(name, **options)
        self.files = files

    @abstractmethod
    def tensors(self, opened: Opened) -> tuple[Tensor, Tensor]:
        """Images uint8 ``(N, C, H, W)`` and labels int64 ``(N,)`` of a data set of torchvision."""

    def fetch(self) -> None:
        self.files.fetch()

    def read(self) -> ImageSet:
        train, test = (self.tensors(self.files.opened(**options)) for options in self.parts)
        return ImageSet(self.name, *train, *test)


class CIFAR10(TorchvisionSet):
    """50,000 and 10,000 colour photographs of 32 x 32 pixels in ten classes.

    **References**
        Learning Multiple Layers of Features from Tiny Images (Krizhevsky, 2009).

    **Arguments**
        root: the folder with ``cifar-10-batches-py``; None for ``VAELAB_DATA``, or else ``data``.
        options: those of ``ImageDataModule``.
    """

    parts = ({"train": True}, {"train": False})

    def __init__(self, root: str | None = None, **options: Option) -> None:
        names = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")
        super().__init__("cifar10", Files("CIFAR10", names, root, within="cifar-10-batches-py"), **options)

    def tensors(self, opened: Opened) -> tuple[Tensor, Tensor]:
        images = torch.from_numpy(opened.data).permute(0, 3, 1, 2).contiguous()
        return images, torch.tensor(opened.targets)


class SVHN(TorchvisionSet):
    """73,257 and 26,032 colour photographs of 32 x 32 pixels of the digits of house numbers, without the extra ones.

    **References**
        Reading Digits in Natural Images with Unsupervised Feature Learning (Netzer et al., 2011).

    **Arguments**
        root: the folder with ``train_32x32.mat`` and ``test_32x32.mat``; None for ``VAELAB_DATA``, or else ``data``.
        options: those of ``ImageDataModule``.
    """

    parts = ({"split": "train"}, {"split": "test"})

    def __init__(self, root: str | None = None, **options: Option) -> None:
        names = ("train_32x32.mat", "test_32x32.mat")
        super().__init__("svhn", Files("SVHN", names, root, splits=("train", "test")), **options)

    def tensors(self, opened: Opened) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(opened.data).contiguous(), torch.from_numpy(opened.labels)


class CelebASource(ImageFiles):
    """The image files of CelebA, with the official parts.

    **Arguments**
        files: where they are.
        form: the shape of the images, and how they get it.
        attribute: one of the 40 attributes, which is the label; None for no labels.
    """

    def __init__(self, files: Files, form: ImageFormat, attribute: str | None) -> None:
        files.check()
        self.files, self.attribute = files, attribute
        folder = files.root / files.within
        names, parts = _read_parts(folder / "list_eval_partition.txt")
        self._order = parts.argsort(kind="stable")
        self._found = [Found(f"img_align_celeba/{names[row]}", -1, -1) for row in self._order]
        self._parts = [PARTS[parts[row]] for row in self._order]
        changed = [(folder / name).stat().st_mtime_ns for name in files.names]
        super().__init__(folder, form, len(self._found), [VERSION, attribute, changed])

    @cached_property
    def listing(self) -> Listing:
        opened = self.files.opened(split="all")
        if self.attribute is None:
            return Listing(self._found, self._parts, [0] * self.count, [], False, [])
        names = [name for name in opened.attr_names if name]
        if self.attribute not in names:
            raise InputError(f"data.attribute={self.attribute} is none of CelebA's: {', '.join(names)}")
        labels = opened.attr[self._order, names.index(self.attribute)].tolist()
        classes = [f"not {self.attribute}", self.attribute]
        return Listing(self._found, self._parts, labels, classes, False, [])


def _read_parts(path: Path) -> tuple[list[str], np.ndarray]:
    """The name of each file, and its part by number."""
    table = pd.read_csv(path, sep=r"\s+", header=None, dtype=str)
    if table.shape[1] != 2 or not table[1].isin(["0", "1", "2"]).all():
        raise InputError(f"{path} is damaged: expected a name and 0, 1 or 2 in each line; download it again")
    return table[0].tolist(), table[1].astype(int).to_numpy()


class CelebA(FileImages):
    """202,599 faces, cut to their middle and reduced once for all runs, with the official parts.

    torchvision's download of it needs the package gdown.

    **References**
        Deep Learning Face Attributes in the Wild (Liu et al., 2015).

    **Arguments**
        root: the folder with ``celeba``, in torchvision's layout; None for ``VAELAB_DATA``, or else ``data``.
        attribute: one of the 40 attributes, such as ``Smiling``, which is the label 0 or 1; None for no labels.
        options: those of ``FileImages``.
    """

    def __init__(self, root: str | None = None, attribute: str | None = None, **options: Option) -> None:
        super().__init__("celeba", **options)
        names = (
            "list_eval_partition.txt", "list_attr_celeba.txt", "identity_CelebA.txt", "list_bbox_celeba.txt",
            "list_landmarks_align_celeba.txt", "img_align_celeba",
        )  # fmt: skip
        self.files = Files("CelebA", names, root, within="celeba")
        self.root = self.files.root / self.files.within
        self.attribute = attribute

    def fetch(self) -> None:
        self.files.fetch()
        if self.files.is_complete:
            super().fetch()

    def source(self) -> CelebASource:
        return CelebASource(self.files, self.form, self.attribute)
