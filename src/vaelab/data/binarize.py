"""binarize."""

import torch
from torch import Tensor

from vaelab import rng

BINARIZE = ("none", "threshold", "static", "dynamic")


def draw_binary(images: Tensor, part: int) -> Tensor:
    """Images ``(N, ...)`` of 0 and 255, each pixel lit with its grey value as the probability.

    On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov and Murray, 2008). The draw depends on
    nothing but the images and ``part``, so every run sees the same binary images.
    """
    generator = rng.generator(rng.BINARIZE, part)
    chunks = [torch.rand(chunk.shape, generator=generator).mul_(255).lt(chunk) for chunk in images.split(10_000)]
    return torch.cat(chunks).to(torch.uint8).mul_(255) if chunks else images
