"""Binary images from grey ones."""

from collections.abc import Callable

import torch
from torch import Tensor

from vaelab import rng
from vaelab.data.mapped import convert

BINARIZE = ("none", "threshold", "static", "dynamic")


def draw_binary(images: Tensor, part: int) -> Tensor:
    """Images of 0 and 255, each pixel drawn with its grey value as the probability of 255.

    The draw depends on the images and ``part`` alone, so that all runs see the same binary images.

    **References**
        On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov and Murray, 2008).

    **Arguments**
        images: uint8 ``(N, ...)``.
        part: 0, 1 or 2 for the training, validation or test images; each part has its own random numbers.
    """
    return convert(images, drawer(part), None)[0]


def drawer(part: int) -> Callable[[Tensor], Tensor]:
    """``draw_binary`` for images that come in chunks, one after the other; how many there are does not matter."""
    generator = rng.generator(rng.BINARIZE, part)

    def draw(chunk: Tensor) -> Tensor:
        return torch.rand(chunk.shape, generator=generator).mul_(255).lt(chunk).to(torch.uint8).mul_(255)

    return draw
