"""What a data module reads: the images of a set and their labels."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vaelab.errors import InputError


@dataclass
class ImageSet:
    """All training and test images of a set, in grey values or colours from 0 to 255, and their labels.

    **Attributes**
        name: what results.json calls the images; another name than the data module's marks a fallback.
        train_images, test_images: uint8 ``(N, C, H, W)``, with the same ``(C, H, W)``.
        train_labels, test_labels: int64 ``(N,)``, from 0; all 0 where the images have no labels.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def check_image_set(reader: str, images: ImageSet) -> None:
    """Raise an InputError where ``images``, which the method ``reader`` returned, are not as ``ImageSet`` says."""
    if not isinstance(images, ImageSet):
        raise InputError(f"{reader} must return a vaelab.data.contracts.ImageSet, got {type(images).__name__}")
    for part in ("train", "test"):
        _check_part(reader, part, getattr(images, f"{part}_images"), getattr(images, f"{part}_labels"))
    train, test = (tuple(tensor.shape[1:]) for tensor in (images.train_images, images.test_images))
    if train != test:
        raise InputError(f"{reader} must return images of one shape, got {train} for training and {test} for the test")


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
    kept = {
        part: torch.isin(getattr(images, f"{part}_labels"), torch.tensor(classes)).nonzero().squeeze(1)
        for part in ("train", "test")
    }
    if not len(kept["test"]):
        raise InputError(f"data.classes={classes}: {images.name} has no test image of these classes")
    return replace(
        images,
        **{
            f"{part}_{what}": getattr(images, f"{part}_{what}")[kept[part]]
            for part in kept
            for what in ("images", "labels")
        },
    )


def _listed(labels: list[int]) -> str:
    return (
        f"{labels[0]} to {labels[-1]}" if len(labels) > 2 and len(labels) == labels[-1] - labels[0] + 1 else str(labels)
    )


def _check_part(reader: str, part: str, images: Tensor, labels: Tensor) -> None:
    if images.dtype != torch.uint8 or images.dim() != 4:
        raise InputError(f"{reader} must return {part}_images as uint8 (N, C, H, W), got {_describe(images)}")
    if labels.dtype != torch.int64 or labels.dim() != 1:
        raise InputError(f"{reader} must return {part}_labels as int64 (N,), got {_describe(labels)}")
    if len(images) != len(labels) or len(images) == 0:
        raise InputError(
            f"{reader} must return as many {part}_labels as {part}_images and at least one of each, "
            f"got {len(labels)} and {len(images)}"
        )
    if int(labels.min()) < 0:
        raise InputError(f"{reader} must return {part}_labels of at least 0, got {int(labels.min())}")


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
