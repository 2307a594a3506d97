"""The contract of an image set: what reads it, and what every set shares (splits, binarisation, batches)."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from lightning import LightningDataModule
from torch import Tensor

from vaelab.checks import image_shape, one_of, whole
from vaelab.data.batches import Batches, IndexedImages
from vaelab.data.binarize import BINARIZE, drawer
from vaelab.data.contracts import ImageSet, check_image_set, keep_classes
from vaelab.data.mapped import convert
from vaelab.data.pixel_range import full_range
from vaelab.errors import InputError
from vaelab.models.covariance import Spectrum, is_exact, leading_spectrum

REMEDY = "point data.root (or $VAELAB_DATA) at a folder that holds it"  # what to do where an image set is missing
SPECTRUM_IMAGES = 5_000  # training images whose covariance is estimated, at most, where it is not exact
Option = Any  # the value of an option, which Hydra passes untyped; ``ImageDataModule.__init__`` checks it


class ImageDataModule(LightningDataModule, ABC):
    """Training, validation and test images of one set: a subclass reads them, this class does the rest.

    All images stay in memory as bytes, or in a file that is mapped into memory. A batch is gathered by one index
    operation, and scaled and binarised on the device: a transform of each image alone would take longer than the
    training. Models get batches ``(x, y)`` of
    images float32 ``(B, C, H, W)`` in [0, 1] and labels int64 ``(B,)``. ``C``, ``H`` and ``W`` are those of the images
    that ``read`` returns.

    A subclass must have ``read``, and may have ``fetch`` and options of its own; ``_target_`` in the configuration
    names it. Options that it passes on as ``**options`` are checked as if they were its own.

    **Example**
        >>> class Noise(ImageDataModule):
        ...     def __init__(self, size: int = 8, **options):
        ...         super().__init__("noise", **options)
        ...         self.size = size
        ...
        ...     def read(self) -> ImageSet:
        ...         images = torch.randint(0, 256, (60, 3, self.size, self.size), dtype=torch.uint8)
        ...         labels = torch.zeros(60, dtype=torch.int64)
        ...         return ImageSet(self.name, images[:50], labels[:50], images[50:], labels[50:])
        >>> data = Noise(size=4, batch_size=10, eval_batch_size=10, val=20)
        >>> data.setup()
        >>> data.describe()
        {'name': 'noise', 'train': 30, 'val': 20, 'test': 10, 'binarize': 'none', 'batch_size': 10}

    **Arguments**
        name: what results.json and the plots call the set.
        batch_size: images per optimizer step, over all processes together.
        eval_batch_size: images per batch of validation and test, over all processes together.
        val: how many images at the end of the training images are kept for validation; may be 0.
        shape: ``[C, H, W]`` of an image, which networks and priors take from here; None for that of the images.
        classes: the labels whose images are used, in all parts; None for all. Labels keep their values.
        train: how many of the other training images to use; None for all.
        test: how many of the test images to use; None for all.
        binarize: ``none``; ``threshold`` at one half; ``static``: drawn once, the same in every run; ``dynamic``: the
            training images drawn anew every epoch, the others as with ``static``.
        seed: of the order of the training images.

    **Attributes**
        name: the name of the images in use; after ``setup`` that of a fallback, if there is one.
        shape: ``[C, H, W]``; known after ``setup``.
        image_set: all images that ``read`` returned, in grey values; set by ``setup``.
        sets: the parts ``train``, ``val`` and ``test`` that this run uses; set by ``setup``.
    """

    __signature__: ClassVar[inspect.Signature]
    name: str
    image_set: ImageSet

    def __init_subclass__(cls, **keywords: object) -> None:
        super().__init_subclass__(**keywords)
        cls.__signature__ = _signature(cls)

    def __init__(
        self,
        name: str,
        /,
        batch_size: int,
        eval_batch_size: int,
        val: int,
        shape: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        train: int | None = None,
        test: int | None = None,
        binarize: str = "none",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.name = self.wanted = name
        self.batch_size = whole("data.batch_size", batch_size)
        self.eval_batch_size = whole("data.eval_batch_size", eval_batch_size)
        self.val = whole("data.val", val, 0)
        self.shape = None if shape is None else image_shape("data.shape", shape)
        self.classes = None if classes is None else _check_classes(classes)
        self.train = None if train is None else whole("data.train", train)
        self.test = None if test is None else whole("data.test", test)
        self.binarize = one_of("data.binarize", binarize, BINARIZE)
        self.seed = whole("data.seed", seed, 0)
        self.sets: dict[str, IndexedImages] = {}
        self._factors: tuple[Tensor | None, Tensor | None] = (None, None)
        self._spectra: dict[int, Spectrum] = {}

    @abstractmethod
    def read(self) -> ImageSet:
        """All images and labels of the set, called once by ``setup`` in every process; see ``ImageSet`` for the shapes.

        A subclass that has a fallback returns those images under their own name.

        **Raises**
            InputError: files are missing or damaged, or an option does not fit them. Any other exception is a bug.
        """

    @classmethod
    def find_shape(cls, **options: Option) -> list[int]:
        """The shape ``[C, H, W]`` of the images that ``options`` describe, where the configuration does not say it.

        It is called with all options of the set, before the networks are made. A subclass whose images can have any
        shape finds it, by its options or by a look at the files.

        **Raises**
            InputError: it cannot be known.
        """
        raise InputError(
            "data.shape is missing: give the shape [C,H,W] of the images, such as data.shape=[3,64,64], "
            "from which networks and priors take it"
        )

    def fetch(self) -> None:
        """Download what ``read`` needs and is missing, called once per machine; the default does nothing.

        Where a download fails, ``read`` says why.
        """

    @property
    def is_fallback(self) -> bool:
        """Whether ``read`` returned the images of another set, because those that were asked for are missing."""
        return self.name != self.wanted

    @property
    def is_binary(self) -> bool:
        """Whether models see only pixels of 0 and 1."""
        return self.binarize != "none"

    def prepare_data(self) -> None:
        """Fetch what is missing; Lightning calls this once per machine."""
        if not self.sets:
            self.fetch()

    def setup(self, stage: str | None = None) -> None:
        """Read, check, split and binarise the images; a second call does nothing.

        **Raises**
            InputError: the images cannot be read, or ``val`` or ``batch_size`` is too large for them.
        """
        if self.sets:
            return
        images = self.read()
        check_image_set(f"{type(self).__name__}.read", images)
        self.image_set = full_range(images)
        self.name = self.image_set.name
        self._check_shape(list(self.image_set.train_images.shape[1:]))
        kept = keep_classes(self.image_set, self.classes)
        self.sets, self._factors = self._split(kept), (kept.train_factors, kept.test_factors)
        self._binarize_once()

    def _check_shape(self, found: list[int]) -> None:
        if self.shape not in (None, found):
            given = str(self.shape).replace(" ", "")
            raise InputError(
                f"data.shape={given} is not the shape of the images of {self.name}: "
                f"take data.shape={str(found).replace(' ', '')}"
            )
        self.shape = found

    def _split(self, images: ImageSet) -> dict[str, IndexedImages]:
        available = len(images.train_images)
        if self.val >= available:
            raise InputError(f"data.val={self.val} leaves no training image of {available}: take a smaller one")
        end = available - self.val
        train = min(end, self.train or end)
        if self.batch_size > train:
            raise InputError(
                f"data.batch_size={self.batch_size} is larger than the {train} training images: take a smaller one"
            )
        return {
            "train": IndexedImages(images.train_images[:train], images.train_labels[:train], images.train_file),
            "val": IndexedImages(images.train_images[end:], images.train_labels[end:], images.train_file),
            "test": IndexedImages(images.test_images[: self.test], images.test_labels[: self.test], images.test_file),
        }

    def _binarize_once(self) -> None:
        """Draw the binary pixels that are the same in all epochs; ``scale`` draws those of ``dynamic``."""
        for part, (which, images) in enumerate(self.sets.items()):
            if self.binarize == "static" or (self.binarize == "dynamic" and which != "train"):
                images.images, images.file = convert(images.images, drawer(part), images.file)

    def describe(self) -> dict[str, str | int | list[int]]:
        """The entry ``data`` of results.json: the name, the sizes of the parts, binarisation and batch size."""
        sizes = {which: len(images) for which, images in self.sets.items()}
        classes = {} if self.classes is None else {"classes": self.classes}
        return {"name": self.name, **classes, **sizes, "binarize": self.binarize, "batch_size": self.batch_size}

    def factors(self, which: str) -> Tensor | None:
        """The factors int64 ``(N, F)`` of the images in ``sets[which]``; None where they are unknown."""
        (train, test), count = self._factors, len(self.sets[which])
        if train is None or test is None:
            return None
        return train[len(train) - count :] if which == "val" else (test if which == "test" else train)[:count]

    def spectrum(self, count: int) -> Spectrum:
        """The ``count`` largest eigenvalues of the covariance of the training images; a second call takes no time.

        Of images with more than ``covariance.EXACT_PIXELS`` pixels at most ``SPECTRUM_IMAGES`` are used, evenly spaced.
        """
        if count not in self._spectra:
            train = self.sets["train"]
            images = train.images
            if not is_exact(images[0].numel(), count) and len(images) > SPECTRUM_IMAGES:
                images, _ = train[torch.arange(SPECTRUM_IMAGES) * len(images) // SPECTRUM_IMAGES]
            self._spectra[count] = leading_spectrum(images, count, lambda chunk: self.scale(chunk, drawn=True))
            if train.file is not None:
                train.file.release()
        return self._spectra[count]

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

    def on_after_batch_transfer(self, batch: tuple[Tensor, Tensor], dataloader_idx: int) -> tuple[Tensor, Tensor]:
        x, y = batch
        training = self.trainer is not None and self.trainer.training
        return self.scale(x, drawn=training and self.binarize == "dynamic"), y

    def scale(self, images: Tensor, drawn: bool = False) -> Tensor:
        """Images uint8 ``(..., C, H, W)`` as models get them: float32 in [0, 1], cut at the threshold if there is one.

        **Arguments**
            drawn: whether to draw binary pixels anew, where ``binarize`` is ``static`` or ``dynamic``.
        """
        return self.binarized(images.float().div_(255), drawn)

    def binarized(self, x: Tensor, drawn: bool = False) -> Tensor:
        """Grey images float32 ``(..., C, H, W)`` in [0, 1] as models get them; see ``scale``."""
        if self.binarize == "threshold":
            return x.ge_(0.5)
        if drawn and self.binarize in ("static", "dynamic"):
            return torch.bernoulli(x)
        return x


def _check_classes(classes: object) -> list[int]:
    if not isinstance(classes, Sequence) or isinstance(classes, str) or not classes:
        raise InputError(f"data.classes must be a list of labels such as [3,8], or null for all, got {classes!r}")
    return sorted({whole("each label in data.classes", label, 0) for label in classes})


def _signature(cls: type[ImageDataModule]) -> inspect.Signature:
    """The signature of ``cls`` with the base class's options in place of ``**options``.

    Options in a configuration are checked against this signature, so a wrong one is found in a subclass, too.
    """
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    if not parameters or parameters[-1].kind is not inspect.Parameter.VAR_KEYWORD:
        return inspect.Signature(parameters)
    own = parameters[:-1]
    base = next(base for base in cls.__mro__[1:] if issubclass(base, ImageDataModule))
    inherited = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(base).parameters.values()
        if parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        and parameter.name not in {mine.name for mine in own}
    ]
    return inspect.Signature([*own, *inherited])
