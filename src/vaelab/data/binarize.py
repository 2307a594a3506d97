"""Binary images from grey ones."""

from collections.abc import Callable

import torch
from torch import Tensor

from vaelab import rng

BINARIZE = ("none", "threshold", "static", "dynamic")


def drawer(part: int) -> Callable[[Tensor], Tensor]:
    """Makes grey images uint8 ``(N, ...)`` binary: a pixel is 255 with its grey value as the probability, else 0.

    Images may come in chunks, one after the other; how many there are does not matter. The draw depends on the images
    and ``part`` alone, so that all runs see the same binary images.

    **References**
        On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov and Murray, 2008).

    **Arguments**
        part: 0, 1 or 2 for the training, validation or test images; each part has its own random numbers.
    """
    generator = rng.generator(rng.BINARIZE, part)

    def draw(chunk: Tensor) -> Tensor:
        return torch.rand(chunk.shape, generator=generator).mul_(255).lt(chunk).to(torch.uint8).mul_(255)

    return draw
