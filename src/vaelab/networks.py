"""Networks: plain tensors in, plain tensors out; no probability.

An encoder maps images ``(B, C, H, W)`` to ``(B, outputs)``; a decoder maps codes ``(..., latent)`` to
``(..., channels, H, W)``, where ``channels`` counts the likelihood's parameters per pixel.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from vaelab.checks import one_of, whole

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}
GROUP = 8  # channels that are normalised together


def activation_of(name: str, word: str) -> nn.Module:
    """The activation that ``word`` names; ``name`` is the option's, for the error message."""
    return ACTIVATIONS[one_of(name, word, ACTIVATIONS)]()


def widths_of(name: str, widths: Sequence[int]) -> list[int]:
    """``widths`` as a list of whole numbers; ``name`` is the option's, for the error message."""
    if isinstance(widths, (str, int, float)) or widths is None:
        raise ValueError(f"{name} must be a list of widths such as [400] or [512,256], got {widths!r}")
    return [whole(f"each width in {name}", width) for width in widths]


# ---- fully connected -------------------------------------------------------------------------------------------


def mlp(widths: Sequence[int], activation: str = "relu") -> nn.Sequential:
    """Linear layers from ``widths[0]`` to ``widths[-1]``, the activation between them; two widths: linear."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), activation_of("network.activation", activation)]
    return nn.Sequential(*layers[:-1])


def mlp_encoder(
    outputs: int, *, image: Sequence[int], hidden: Sequence[int], activation: str = "relu"
) -> nn.Sequential:
    """Flatten, then ``hidden`` layers: ``(B, *image)`` -> ``(B, outputs)``."""
    widths = [prod(image), *widths_of("network.hidden", hidden), outputs]
    return nn.Sequential(nn.Flatten(-len(image)), mlp(widths, activation))


def mlp_decoder(
    latent: int, channels: int, *, image: Sequence[int], hidden: Sequence[int], activation: str = "relu"
) -> nn.Sequential:
    """The encoder's mirror image: ``hidden`` is given from the image's side, as there, and used backwards.

    ``(..., latent)`` -> ``(..., channels, H, W)``; ``channels`` parameters per pixel of a grey image.
    """
    shape = (channels * image[0], *image[1:])
    widths = [latent, *reversed(widths_of("network.hidden", hidden)), prod(shape)]
    return nn.Sequential(mlp(widths, activation), nn.Unflatten(-1, shape))


# ---- convolutions ----------------------------------------------------------------------------------------------


class Folded(nn.Module):
    """``body`` wants ``(N, features)``; codes come as ``(K, B, features)``: fold the samples in, and unfold."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, z: Tensor) -> Tensor:
        images = self.body(z.reshape(-1, z.shape[-1]))
        return images.reshape(*z.shape[:-1], *images.shape[1:])


class Residual(nn.Module):
    """x + f(x), f being twice norm, SiLU and a 3 x 3 convolution that keeps the shape.

    Identity Mappings in Deep Residual Networks (He et al., 2016), with group normalisation (Wu and He, 2018): an
    image's result does not depend on the others in its batch.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(channels // GROUP, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(channels // GROUP, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def _small_image(image: Sequence[int], channels: Sequence[int]) -> tuple[int, int, int]:
    """The shape behind the last of the convolutions, each of which halves height and width."""
    if not channels:
        raise ValueError("network.channels must name at least one convolution's channels, such as [32,64], got []")
    factor = 2 ** len(channels)
    if any(side % factor for side in image[1:]):
        raise ValueError(
            f"network.channels={list(channels)} halves the image {len(channels)} times, which {image[1]} x {image[2]} "
            "pixels do not allow: take fewer"
        )
    return (channels[-1], image[1] // factor, image[2] // factor)


def _blocks(channels: Sequence[int], blocks: int) -> int:
    if blocks and any(width % GROUP for width in channels):
        raise ValueError(f"network.channels must be multiples of {GROUP} in a residual network, got {list(channels)}")
    return whole("network.blocks", blocks, 0)


def conv_encoder(
    outputs: int,
    *,
    image: Sequence[int],
    channels: Sequence[int],
    hidden: Sequence[int],
    activation: str = "relu",
    blocks: int = 0,
) -> nn.Sequential:
    """Convolutions that halve the image, each followed by ``blocks`` residual ones, then an MLP to ``outputs``."""
    channels = widths_of("network.channels", channels)
    small = _small_image(image, channels)
    layers: list[nn.Module] = []
    for before, after in pairwise([image[0], *channels]):
        layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1))
        layers += [Residual(after) for _ in range(_blocks(channels, blocks))] or [
            activation_of("network.activation", activation)
        ]
    if blocks:
        layers += [nn.GroupNorm(channels[-1] // GROUP, channels[-1]), nn.SiLU()]
    widths = [prod(small), *widths_of("network.hidden", hidden), outputs]
    return nn.Sequential(*layers, nn.Flatten(), mlp(widths, activation))


def conv_decoder(
    latent: int,
    channels_out: int,
    *,
    image: Sequence[int],
    channels: Sequence[int],
    hidden: Sequence[int],
    activation: str = "relu",
    blocks: int = 0,
) -> Folded:
    """The encoder's mirror image, with transposed convolutions: ``(..., latent)`` -> ``(..., channels_out, H, W)``."""
    channels = widths_of("network.channels", channels)
    small = _small_image(image, channels)
    widths = [latent, *reversed(widths_of("network.hidden", hidden)), prod(small)]
    layers: list[nn.Module] = [mlp(widths, activation), nn.Unflatten(-1, small)]
    backwards = [*reversed(channels), channels_out * image[0]]
    for before, after in pairwise(backwards):
        layers += [Residual(before) for _ in range(_blocks(channels, blocks))]
        if blocks:
            layers.append(nn.GroupNorm(before // GROUP, before))
        layers.append(nn.SiLU() if blocks else activation_of("network.activation", activation))
        layers.append(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1))
    return Folded(nn.Sequential(*layers))
