"""Networks: plain tensors in, plain tensors out; no probability.

An encoder maps images ``(B, C, H, W)`` to ``(B, outputs)``; a decoder maps codes ``(..., latent)`` to
``(..., channels, H, W)``, where ``channels`` counts the likelihood's parameters per pixel.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

from torch import nn

from vaelab.checks import one_of, whole

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}


def activation_of(name: str, word: str) -> nn.Module:
    """The activation that ``word`` names; ``name`` is the option's, for the error message."""
    return ACTIVATIONS[one_of(name, word, ACTIVATIONS)]()


def mlp(widths: Sequence[int], activation: str = "relu") -> nn.Sequential:
    """Linear layers from ``widths[0]`` to ``widths[-1]``, the activation between them; two widths: linear."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), activation_of("network.activation", activation)]
    return nn.Sequential(*layers[:-1])


def _widths(hidden: Sequence[int]) -> list[int]:
    if isinstance(hidden, (str, int)):
        raise ValueError(f"network.hidden must be a list of widths such as [400] or [512,256], got {hidden!r}")
    return [whole("each width in network.hidden", width) for width in hidden]


def mlp_encoder(
    outputs: int, *, image: Sequence[int], hidden: Sequence[int], activation: str = "relu"
) -> nn.Sequential:
    """Flatten, then ``hidden`` layers: ``(B, *image)`` -> ``(B, outputs)``."""
    widths = [prod(image), *_widths(hidden), outputs]
    return nn.Sequential(nn.Flatten(-len(image)), mlp(widths, activation))


def mlp_decoder(
    latent: int, channels: int, *, image: Sequence[int], hidden: Sequence[int], activation: str = "relu"
) -> nn.Sequential:
    """The encoder's mirror image: ``hidden`` is given from the image's side, as there, and used backwards.

    ``(..., latent)`` -> ``(..., channels, H, W)``; ``channels`` parameters per pixel of a grey image.
    """
    shape = (channels * image[0], *image[1:])
    widths = [latent, *reversed(_widths(hidden)), prod(shape)]
    return nn.Sequential(mlp(widths, activation), nn.Unflatten(-1, shape))
