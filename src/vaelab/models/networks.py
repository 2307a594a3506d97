"""Networks: plain tensors in, plain tensors out, no probability.

An encoder maps images ``(B, C, H, W)`` to ``(B, outputs)``. A decoder maps latents ``(..., latent)`` to
``(..., channels · C, H, W)``, where ``channels`` counts the likelihood's parameters per value of the image.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from vaelab.checks import whole
from vaelab.errors import InputError
from vaelab.models.contracts import Network
from vaelab.models.layers import Style, activation, check_widths, mlp

GROUP = 8  # channels that are normalised together


class MLP(Network):
    """Fully connected layers; without hidden layers it is the linear network of PCA.

    **Arguments**
        image: the shape ``(C, H, W)``.
        hidden: widths from the image to the latents; the decoder has them in reverse order.
        activation, gated, init: see `vaelab.models.layers.Style`.
        output: unused here; ``likelihood=squared_error`` reads it as the activation of an auto-encoder's pixels.
    """

    def __init__(
        self,
        image: Sequence[int],
        hidden: Sequence[int],
        activation: str = "relu",
        gated: bool = False,
        init: str = "torch",
        output: str = "sigmoid",
    ) -> None:
        self.image = list(image)
        self.hidden = check_widths("network.hidden", hidden)
        self.style = Style(activation, gated, init)
        self.output = output

    def encoder(self, outputs: int) -> nn.Sequential:
        """Flatten, then the hidden layers: ``(B, C, H, W)`` -> ``(B, outputs)``."""
        widths = [prod(self.image), *self.hidden, outputs]
        return self.style.initialised(nn.Sequential(nn.Flatten(-len(self.image)), mlp(widths, self.style)))

    def decoder(self, latent: int, channels: int) -> nn.Sequential:
        """Mirrors the encoder: ``(..., latent)`` -> ``(..., channels · C, H, W)``."""
        shape = (channels * self.image[0], *self.image[1:])
        widths = [latent, *reversed(self.hidden), prod(shape)]
        return self.style.initialised(nn.Sequential(mlp(widths, self.style), nn.Unflatten(-1, shape)))


class FoldSamples(nn.Module):
    """Applies ``body``, which takes ``(N, features)``, to latents ``(..., features)`` with any leading dimensions."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, z: Tensor) -> Tensor:
        images = self.body(z.reshape(-1, z.shape[-1]))
        return images.reshape(*z.shape[:-1], *images.shape[1:])


class ResidualBlock(nn.Module):
    """x + f(x), with f = two times group normalisation, SiLU and a 3 x 3 convolution that keeps the shape.

    Group normalisation, unlike batch normalisation, treats each image by itself.

    **References**
        Identity Mappings in Deep Residual Networks (He et al., 2016).
        Group Normalization (Wu and He, 2018).
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


class ConvNet(Network):
    """Convolutions that halve the image, each followed by ``blocks`` residual blocks, then fully connected layers.

    **Arguments**
        image: the shape ``(C, H, W)``.
        channels: of each convolution; every one halves height and width.
        hidden: fully connected widths between the convolutions and the latents.
        activation, gated, init: see `vaelab.models.layers.Style`. The first two are for the fully connected layers, and
            for the convolutions where there are no residual blocks.
        blocks: residual blocks after each convolution.
        output: unused here; ``likelihood=squared_error`` reads it as the activation of an auto-encoder's pixels.

    **Raises**
        InputError: height or width is no multiple of 2^(number of convolutions), or the channels of a residual network
            are no multiples of 8.
    """

    def __init__(
        self,
        image: Sequence[int],
        channels: Sequence[int],
        hidden: Sequence[int],
        activation: str = "relu",
        blocks: int = 0,
        gated: bool = False,
        init: str = "torch",
        output: str = "sigmoid",
    ) -> None:
        self.image = list(image)
        self.channels = check_widths("network.channels", channels)
        self.hidden = check_widths("network.hidden", hidden)
        self.style = Style(activation, gated, init)
        self.blocks = whole("network.blocks", blocks, 0)
        self.output = output
        self.smallest = self._smallest_image()
        if self.blocks and any(width % GROUP for width in self.channels):
            raise InputError(
                f"network.channels must be multiples of {GROUP} in a residual network, got {self.channels}"
            )

    def _smallest_image(self) -> tuple[int, int, int]:
        """The shape after the last convolution."""
        if not self.channels:
            raise InputError("network.channels must name at least one convolution, such as [32,64], got []")
        _, height, width = self.image
        factor = 2 ** len(self.channels)
        if height % factor or width % factor:
            raise InputError(
                f"network.channels={self.channels} halves the image {len(self.channels)} times, and {height} x {width} "
                f"is not divisible by {factor}: take fewer channels"
            )
        return self.channels[-1], height // factor, width // factor

    def encoder(self, outputs: int) -> nn.Sequential:
        """``(B, C, H, W)`` -> ``(B, outputs)``."""
        layers: list[nn.Module] = []
        for before, after in pairwise([self.image[0], *self.channels]):
            convolution = partial(nn.Conv2d, before, after, 4, stride=2, padding=1)
            if self.blocks:
                layers += [convolution(), *(ResidualBlock(after) for _ in range(self.blocks))]
            else:
                layers += self.style.hidden(convolution)
        if self.blocks:
            layers += [_group_norm(self.channels[-1]), nn.SiLU()]
        widths = [prod(self.smallest), *self.hidden, outputs]
        return self.style.initialised(nn.Sequential(*layers, nn.Flatten(), mlp(widths, self.style)))

    def decoder(self, latent: int, channels: int) -> FoldSamples:
        """Mirrors the encoder, with transposed convolutions: ``(..., latent)`` -> ``(..., channels · C, H, W)``."""
        widths = [latent, *reversed(self.hidden), prod(self.smallest)]
        gated = self.style.gated and not self.blocks
        layers: list[nn.Module] = [mlp(widths, self.style, ends_hidden=gated), nn.Unflatten(-1, self.smallest)]
        pairs = list(pairwise([*reversed(self.channels), channels * self.image[0]]))
        for index, (before, after) in enumerate(pairs, 1):
            convolution = partial(nn.ConvTranspose2d, before, after, 4, stride=2, padding=1)
            layers += [] if gated else self._before(before)
            layers += self.style.hidden(convolution) if gated and index < len(pairs) else [convolution()]
        return self.style.initialised(FoldSamples(nn.Sequential(*layers)))

    def _before(self, channels: int) -> list[nn.Module]:
        """What a decoder without gates has before each transposed convolution."""
        if not self.blocks:
            return [activation("network.activation", self.style.activation)]
        return [*(ResidualBlock(channels) for _ in range(self.blocks)), _group_norm(channels), nn.SiLU()]


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // GROUP, channels)
