"""Binary images from grey ones."""

import torch
from torch import Tensor

from vaelab import rng

BINARIZE = ("none", "threshold", "static", "dynamic")
CHUNK = 10_000  # images at a time, which bounds the memory for the random numbers


def draw_binary(images: Tensor, part: int) -> Tensor:
    """Images of 0 and 255, each pixel drawn with its grey value as the probability of 255.

    The draw depends on the images and ``part`` alone, so that all runs see the same binary images.

    **References**
        On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov and Murray, 2008).

    **Arguments**
        images: uint8 ``(N, ...)``.
        part: 0, 1 or 2 for the training, validation or test images; each part has its own random numbers.
    """
    generator = rng.generator(rng.BINARIZE, part)
    chunks = [torch.rand(chunk.shape, generator=generator).mul_(255).lt(chunk) for chunk in images.split(CHUNK)]
    return torch.cat(chunks).to(torch.uint8).mul_(255) if chunks else images
