"""MNIST and the sets that come in the same files: Fashion-MNIST, Kuzushiji-MNIST and EMNIST."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from vaelab.checks import flag, one_of
from vaelab.data.contracts import ImageSet
from vaelab.data.datamodule import REMEDY, ImageDataModule, Option
from vaelab.data.download import download_missing, named_root
from vaelab.data.idx import FILES, find_files, find_some, read_idx_set
from vaelab.data.packaged import read_mnist5k
from vaelab.errors import InputError

log = logging.getLogger(__name__)

EMNIST_SPLITS = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
MNIST_TRAIN = 60_000
FALLBACK_BATCH = 64  # a batch of MNIST's size would leave only a few steps per epoch of the fallback
DATASETS = ("MNIST", "FashionMNIST", "KMNIST", "EMNIST")  # torchvision's names of the sets, and of their folders


class IDXDataModule(ImageDataModule):
    """A set of four IDX files in torchvision's layout, ``<root>/<dataset>/raw/``; torchvision downloads missing files.

    **Arguments**
        root: the folder, or that of the files themselves; None for the environment variable ``VAELAB_DATA``, or else
            ``data``.
        checksums: the MD5 of each unpacked file, by its name; other files are not verified.
        fallback: whether another set may replace missing files, where ``root`` is ``data``. Only MNIST has one.
        options: those of ``ImageDataModule``.
    """

    dataset: ClassVar[str]  # torchvision's name of the set, of its class and its folder
    has_fallback: ClassVar[bool] = False
    split: str | None = None
    files: Mapping[str, str] = FILES

    def __init__(
        self,
        name: str,
        /,
        root: str | None = None,
        checksums: Mapping[str, str] | None = None,
        fallback: bool = False,
        **options: Option,
    ) -> None:
        super().__init__(name, **options)
        if flag("data.fallback", fallback) and not self.has_fallback:
            raise InputError(f"data.fallback=true: there is no fallback for {self.dataset}; take data.fallback=false")
        self.named_root = named_root(root)
        self.root = Path(self.named_root or "data").expanduser()
        self.checksums = checksums
        self.fallback = fallback
        self._failure = "it was not tried"

    @property
    def folder(self) -> Path:
        """The folder of torchvision's layout, where a download goes."""
        return self.root / self.dataset / "raw"

    def find(self) -> dict[str, Path] | None:
        """The paths of the four files: in torchvision's layout, or in ``root`` if that is one of its folders itself."""
        found = find_files(self.folder, self.files)
        for folder in (self.root / "raw", self.root):
            if found is None and not is_of_other_set(folder, self.dataset):
                found = find_files(folder, self.files)
        return found

    def fetch(self) -> None:
        failure = download_missing(
            self.root,
            self.dataset,
            lambda: self.find() is not None,
            [self.split] if self.split else [],
            check=self._check_missing,
        )
        self._failure = failure or self._failure

    def read(self) -> ImageSet:
        paths = self.find()
        if paths is not None:
            return read_idx_set(self.name, paths, self.checksums)
        self._check_missing()
        missing = f"no {self.dataset} under {self.folder}, and its download failed ({self._failure})"
        if (self.folder.parent / "processed").is_dir():
            missing += f"; the files of an old torchvision in {self.folder.parent / 'processed'} are not read"
        if self.named_root is None:
            return self.read_fallback(missing)
        raise InputError(f"{missing}; {REMEDY}{self.alternative}")

    def _check_missing(self) -> None:
        """Raise an InputError where the folder has other files than expected, so that a download would not help."""
        if is_of_other_set(self.root, self.dataset):
            raise InputError(f"data.root={self.root} is a folder of another set than {self.dataset}: {REMEDY}")
        there = find_some(self.folder, self.files)
        if there and not self.checksums:  # a download would mix its files with these, and nothing would tell
            lacking = ", ".join(name for part, name in self.files.items() if part not in there)
            raise InputError(
                f"{self.folder} holds {', '.join(path.name for path in there.values())} but not {lacking}: add what "
                "is missing, or name another folder by data.root=... to have all files downloaded there"
            )

    @property
    def alternative(self) -> str:
        """What else to do where the set is missing, for messages."""
        return ""

    def read_fallback(self, missing: str) -> ImageSet:
        """Another set in place of the missing one, where there is one and ``fallback`` allows it.

        **Arguments**
            missing: what is missing, for messages.
        """
        raise InputError(f"{missing}; {REMEDY}{self.alternative}")


class MNIST(IDXDataModule):
    """60,000 and 10,000 handwritten digits of 28 x 28 pixels; the fallback is the 5,000 of ``mnist5k``.

    **References**
        Gradient-Based Learning Applied to Document Recognition (LeCun et al., 1998).
    """

    dataset = "MNIST"
    has_fallback = True

    def __init__(self, fallback: bool = True, **options: Option) -> None:
        super().__init__("mnist", fallback=fallback, **options)

    @property
    def alternative(self) -> str:
        return ", or take the 5,000 images of data=mnist5k"

    def read_fallback(self, missing: str) -> ImageSet:
        """The set ``mnist5k``; ``val`` and ``batch_size`` become smaller in proportion."""
        if not self.fallback:
            raise InputError(f"{missing}; {REMEDY}{self.alternative}, or allow them as a fallback: data.fallback=true")
        log.warning(f"{missing}; using 5,000 of its images instead: the data of this run are called mnist5k")
        images = read_mnist5k()
        available = len(images.train_images)
        self.val = self.val * available // MNIST_TRAIN
        self.batch_size = min(self.batch_size, max(FALLBACK_BATCH, self.batch_size * available // MNIST_TRAIN))
        return images


class FashionMNIST(IDXDataModule):
    """60,000 and 10,000 images of clothes of 28 x 28 pixels.

    **References**
        Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms (Xiao et al., 2017).
    """

    dataset = "FashionMNIST"

    def __init__(self, **options: Option) -> None:
        super().__init__("fashion_mnist", **options)


class KMNIST(IDXDataModule):
    """60,000 and 10,000 cursive Japanese characters of 28 x 28 pixels.

    **References**
        Deep Learning for Classical Japanese Literature (Clanuwat et al., 2018).
    """

    dataset = "KMNIST"

    def __init__(self, **options: Option) -> None:
        super().__init__("kmnist", **options)


class EMNIST(IDXDataModule):
    """Handwritten letters and digits of 28 x 28 pixels, upright and with labels from 0.

    The files hold the images transposed, and number the letters from 1.

    **References**
        EMNIST: an Extension of MNIST to Handwritten Letters (Cohen et al., 2017).

    **Arguments**
        split: ``byclass``, ``bymerge``, ``balanced``, ``letters``, ``digits`` or ``mnist``.
    """

    dataset = "EMNIST"

    def __init__(self, split: str, **options: Option) -> None:
        split = one_of("data.split", split, EMNIST_SPLITS)
        super().__init__(f"emnist-{split}", **options)
        self.split = split
        self.files = emnist_files(split)

    def read(self) -> ImageSet:
        images = super().read()
        first = 1 if self.split == "letters" else 0
        return replace(
            images,
            train_images=_transposed(images.train_images),
            train_labels=images.train_labels - first,
            test_images=_transposed(images.test_images),
            test_labels=images.test_labels - first,
        )


def emnist_files(split: str) -> dict[str, str]:
    """The names of the four files of a split of EMNIST."""
    kinds = {"images": "images-idx3-ubyte", "labels": "labels-idx1-ubyte"}
    return {
        f"{part}_{kind}": f"emnist-{split}-{part}-{file}" for part in ("train", "test") for kind, file in kinds.items()
    }


def is_of_other_set(folder: Path, dataset: str) -> bool:
    """Whether ``folder`` is the folder of another set than ``dataset``, by its name in torchvision's layout."""
    folder = folder.resolve()
    name = folder.parent.name if folder.name == "raw" else folder.name
    return name in DATASETS and name != dataset


def _transposed(images: Tensor) -> Tensor:
    return images.transpose(2, 3).contiguous()
