"""datamodule."""

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from lightning import LightningDataModule
from torch import Tensor

from vaelab.checks import flag, one_of, whole
from vaelab.data.batches import Batches, IndexedImages
from vaelab.data.binarize import BINARIZE, draw_binary
from vaelab.data.contracts import ImageSet
from vaelab.data.mnist import EMNIST_SPLITS, FOLDERS, REMEDY, as_mnist, download, files_of, locate, read_folder
from vaelab.data.packaged import PACKAGED, read_mnist5k
from vaelab.errors import InputError
from vaelab.locks import locked

log = logging.getLogger(__name__)


MNIST_TRAIN = 60_000
FALLBACK_BATCH = 64  # a batch of MNIST's size would leave mnist5k a handful of steps per epoch


class ImageDataModule(LightningDataModule):
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
        self.image_set: ImageSet  # all images in grey values, whatever part of them this data set uses
        self.name = self.wanted
        self._why_missing = "it was not looked for"

    @property
    def folder(self) -> Path:
        return self.root / FOLDERS[self.wanted] / "raw"

    @property
    def is_fallback(self) -> bool:
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
        with locked(lock, wait=True):  # a sweep's jobs may all miss it at once
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
        self.image_set = images = self._read()
        self.name = images.name
        available = len(images.train_images)
        if self.is_fallback:  # the same shares of fewer images
            self.val = self.val * available // MNIST_TRAIN
            self.batch_size = min(self.batch_size, max(FALLBACK_BATCH, self.batch_size * available // MNIST_TRAIN))
        if self.val >= available:
            raise InputError(f"data.val={self.val} leaves no training image of {available}: take a smaller one")
        tail = available - self.val
        train = min(tail, self.limits["train"] or tail)
        if self.batch_size > train:
            raise InputError(
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
            raise InputError(f"{missing}; {REMEDY}")
        if not self.fallback:
            raise InputError(f"{missing}; {REMEDY}, or take data=mnist5k, or let it stand in with data.fallback=true")
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
