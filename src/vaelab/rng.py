"""Randomness as a function of where one is: every epoch of training and every batch of evaluation has its own
seed, mixed from the run's seed and its place. Nothing has to be saved for a resumed run to draw the same noise,
and how often one evaluates does not change the training.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

# What a seed is for: two purposes never share a stream.
INIT, ORDER, TRAIN, EVALUATE, BINARIZE, PLOTS, BEGIN, CLASSIFIER, SUITE = range(9)


def mix(*numbers: int) -> int:
    """A 64-bit seed from small numbers; neighbours get unrelated seeds (numpy's SeedSequence).

    >>> mix(1, 2) == mix(1, 2), mix(1, 2) == mix(2, 1)
    (True, False)
    """
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def generator(*numbers: int) -> torch.Generator:
    """A CPU generator seeded with ``mix(*numbers)``."""
    return torch.Generator().manual_seed(mix(*numbers))


@contextmanager
def fixed_noise(device: torch.device, *numbers: int) -> Iterator[None]:
    """Within, torch's generators start from ``mix(*numbers)``; afterwards they go on as if nothing had been."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        mps_state = torch.mps.get_rng_state() if device.type == "mps" else None  # fork_rng forgets it
        torch.manual_seed(mix(*numbers))
        yield
        if mps_state is not None:
            torch.mps.set_rng_state(mps_state)
