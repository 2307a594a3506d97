"""Random numbers as a function of the seed and the place where they are drawn.

Every epoch of training and every batch of evaluation has its own seed, mixed from the run's seed, a stream and a
position. A resumed run therefore draws the same noise without a saved state, and evaluation does not change training.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

# The streams: a number that goes into every seed, so that two purposes never draw the same noise.
INIT = 0  # first weights
ORDER = 1  # the order of the training images in an epoch
TRAIN = 2  # latent samples and binarization in an epoch of training
EVALUATE = 3  # latent samples in validation and test
BINARIZE = 4  # binary images that are drawn once
PLOTS = 5  # plots
BEGIN = 6  # first weights that are taken from training images, and the check of the pieces
CLASSIFIER = 7  # training of the classifier that rates samples
SUITE = 8  # the parts of the evaluation
SPECTRUM = 9  # eigenvalues of the training images' covariance
SPLIT = 10  # which images of a user's own set are for the test


def mix(*numbers: int) -> int:
    """A 64-bit seed from non-negative numbers; neighbours get unrelated seeds (the SeedSequence of numpy).

    >>> mix(1, 2) == mix(1, 2), mix(1, 2) == mix(2, 1)
    (True, False)
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def generator(*numbers: int) -> torch.Generator:
    """A CPU generator with the seed ``mix(*numbers)``."""
    return torch.Generator().manual_seed(mix(*numbers))


@contextmanager
def fixed_noise(device: torch.device, *numbers: int) -> Iterator[None]:
    """In the block, the generators of torch start from ``mix(*numbers)``; after it they have their former state."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        mps_state = torch.mps.get_rng_state() if device.type == "mps" else None  # fork_rng does not save it
        torch.manual_seed(mix(*numbers))
        yield
        if mps_state is not None:
            torch.mps.set_rng_state(mps_state)


def state(device: torch.device) -> torch.Tensor:
    """The state of torch's generators of the CPU and of ``device``, uint8 ``(S,)``."""
    of_device = {"cuda": torch.cuda.get_rng_state, "mps": lambda _: torch.mps.get_rng_state()}.get(device.type)
    parts = [torch.get_rng_state(), *([] if of_device is None else [of_device(device)])]
    return torch.cat(parts)


def restore(device: torch.device, saved: torch.Tensor) -> None:
    """Give torch's generators the `state` that was ``saved`` on a device of the same type."""
    length = len(torch.get_rng_state())
    torch.set_rng_state(saved[:length])
    if device.type == "cuda":
        torch.cuda.set_rng_state(saved[length:], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(saved[length:])
