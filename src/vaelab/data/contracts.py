"""What a data module reads: the images of a set, their labels and, where they are known, their factors."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vaelab.data.batches import IndexedImages
from vaelab.data.mapped import MappedFile, select
from vaelab.errors import InputError


@dataclass
class ImageSet:
    """All training and test images of a set, in grey values or colours from 0 to 255, and their labels.

    **Attributes**
        name: what results.json calls the images; another name than the data module's marks a fallback.
        train_images, test_images: uint8 ``(N, C, H, W)``, with the same ``(C, H, W)``.
        train_labels, test_labels: int64 ``(N,)``, from 0; all 0 where the images have no labels.
        train_factors, test_factors: the factors that the images were made of, int64 ``(N, F)``, each from 0; None where
            they are not known.
        train_file, test_file: the files that the images are in, mapped into memory; None where they are in memory.
        factor_names: F names; empty where the factors have none.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    train_factors: Tensor | None = None
    test_factors: Tensor | None = None
    train_file: MappedFile | None = None
    test_file: MappedFile | None = None
    factor_names: tuple[str, ...] = ()

    @property
    def train(self) -> IndexedImages:
        """All training images, to gather some of them by index."""
        return IndexedImages(self.train_images, self.train_labels, self.train_file)


def check_image_set(reader: str, images: ImageSet) -> None:
    """Raise an InputError where ``images``, which the method ``reader`` returned, are not as ``ImageSet`` says."""
    if not isinstance(images, ImageSet):
        raise InputError(f"{reader} must return a vaelab.data.contracts.ImageSet, got {type(images).__name__}")
    for part in ("train", "test"):
        _check_part(reader, part, getattr(images, f"{part}_images"), getattr(images, f"{part}_labels"))
    train, test = (tuple(tensor.shape[1:]) for tensor in (images.train_images, images.test_images))
    if train != test:
        raise InputError(f"{reader} must return images of one shape, got {train} for training and {test} for the test")
    _check_factors(reader, images)


def keep_classes(images: ImageSet, classes: list[int] | None) -> ImageSet:
    """``images`` with the labels ``classes`` only; None for all.

    **Raises**
        InputError: no training or no test image has one of the labels.
    """
    if classes is None:
        return images
    there = images.train_labels.unique().tolist()
    if absent := sorted({*classes} - {*there}):
        raise InputError(
            f"data.classes={classes}: {images.name} has no training image of the class {absent[0]}, "
            f"its labels are {_listed(there)}"
        )
    train, test = (torch.isin(labels, torch.tensor(classes)) for labels in (images.train_labels, images.test_labels))
    if not test.any():
        raise InputError(f"data.classes={classes}: {images.name} has no test image of these classes")
    train_images, train_file = select(images.train_images, train.nonzero().squeeze(1), images.train_file)
    test_images, test_file = select(images.test_images, test.nonzero().squeeze(1), images.test_file)
    return ImageSet(
        images.name,
        train_images, images.train_labels[train], test_images, images.test_labels[test],
        None if images.train_factors is None else images.train_factors[train],
        None if images.test_factors is None else images.test_factors[test],
        train_file, test_file, images.factor_names,
    )  # fmt: skip


def _listed(labels: list[int]) -> str:
    return (
        f"{labels[0]} to {labels[-1]}" if len(labels) > 2 and len(labels) == labels[-1] - labels[0] + 1 else str(labels)
    )


def _check_part(reader: str, part: str, images: Tensor, labels: Tensor) -> None:
    if images.dtype != torch.uint8 or images.dim() != 4:
        raise InputError(
            f"{reader} must return {part}_images as uint8 (N, C, H, W) from 0 to 255, got {_describe(images)}"
        )
    if labels.dtype != torch.int64 or labels.dim() != 1:
        raise InputError(f"{reader} must return {part}_labels as int64 (N,), got {_describe(labels)}")
    if len(images) != len(labels) or len(images) == 0:
        raise InputError(
            f"{reader} must return as many {part}_labels as {part}_images and at least one of each, "
            f"got {len(labels)} and {len(images)}"
        )
    if int(labels.min()) < 0:
        raise InputError(f"{reader} must return {part}_labels of at least 0, got {int(labels.min())}")


def _check_factors(reader: str, images: ImageSet) -> None:
    if images.train_factors is None and images.test_factors is None:
        return
    for part in ("train", "test"):
        factors, count = getattr(images, f"{part}_factors"), len(getattr(images, f"{part}_images"))
        number = len(images.factor_names) or ("F" if factors is None or factors.dim() < 2 else factors.shape[1])
        if factors is None or factors.dtype != torch.int64 or factors.shape != (count, number):
            raise InputError(
                f"{reader} must return {part}_factors as int64 ({count}, {number}), a row for each image and a column "
                f"for each factor, got {'None' if factors is None else _describe(factors)}"
            )
        if factors.numel() and int(factors.min()) < 0:
            raise InputError(f"{reader} must return {part}_factors of at least 0, got {int(factors.min())}")


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
