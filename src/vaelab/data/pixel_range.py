"""Whether the pixels of an image set go from 0 to 255: binary images are often stored as 0 and 1."""

import logging
from dataclasses import replace

from torch import Tensor

from vaelab.data.contracts import ImageSet
from vaelab.data.mapped import MappedFile, chunks_of, convert
from vaelab.errors import InputError

log = logging.getLogger(__name__)

DARK = 64  # a set whose brightest pixel is below this is probably in another unit than 0 to 255


def full_range(images: ImageSet) -> ImageSet:
    """``images`` with pixels from 0 to 255: those of 0 and 1 are multiplied by 255, and a line says so.

    **Raises**
        InputError: all training images are black, or only one of training and test images has pixels above 1.
    """
    train, test = brightest(images.train_images, images.train_file), brightest(images.test_images, images.test_file)
    if train == 0:
        raise InputError(f"all training images of {images.name} are black: every pixel is 0")
    if train > 1 and test > 1:
        if train < DARK:
            log.warning(
                f"WARNING: no pixel of {images.name} is brighter than {train} of 255; if {train} means white, multiply "
                f"the pixels by {255 // train}"
            )
        return images
    if train > 1 or test > 1:
        raise InputError(
            f"the training images of {images.name} have pixels up to {train} or more, the test images up to {test}: "
            "store both with the same range, from 0 to 255"
        )
    log.warning(f"the pixels of {images.name} are 0 and 1 instead of 0 to 255: they were multiplied by 255")
    train_images, train_file = convert(images.train_images, lambda chunk: chunk * 255, images.train_file)
    test_images, test_file = convert(images.test_images, lambda chunk: chunk * 255, images.test_file)
    return replace(
        images, train_images=train_images, test_images=test_images, train_file=train_file, test_file=test_file
    )


def brightest(images: Tensor, file: MappedFile | None = None) -> int:
    """The largest pixel of images uint8 ``(N, ...)``; the search ends at a chunk with one of at least ``DARK``."""
    highest = 0
    for chunk in chunks_of(images, file):
        highest = max(highest, int(chunk.max()))
        if highest >= DARK:
            break
    return highest
