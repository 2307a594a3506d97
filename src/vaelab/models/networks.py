"""Networks: plain tensors in, plain tensors out, no probability.

An encoder maps images ``(B, C, H, W)`` to ``(B, outputs)``. A decoder maps latents ``(..., latent)`` to
``(..., channels · C, H, W)``, where ``channels`` counts the likelihood's parameters per value of the image.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from math import prod

from torch import Tensor, nn
from torch.nn.functional import pad

from vaelab.checks import whole
from vaelab.errors import InputError
from vaelab.models.contracts import Network
from vaelab.models.layers import Style, activation, check_widths, mlp

GROUP = 8  # channels that are normalised together
FIRST_WIDTH, WIDTH = 32, 64  # channels of the first convolution and of each further one, by default
SMALLEST = 7  # pixels: by default the image is halved until neither side is longer


class MLP(Network):
    """Fully connected layers; without hidden layers it is the linear network of PCA.

    **Arguments**
        image: the shape ``(C, H, W)``.
        hidden: widths from the image to the latents; the decoder has them in reverse order.
        decoder_hidden: the decoder's own widths, from the latents to the image; None: those of ``hidden``.
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
        decoder_hidden: Sequence[int] | None = None,
    ) -> None:
        self.image = list(image)
        self.hidden = check_widths("network.hidden", hidden)
        self.decoder_hidden = (
            self.hidden[::-1] if decoder_hidden is None else check_widths("network.decoder_hidden", decoder_hidden)
        )
        self.style = Style(activation, gated, init)
        self.output = output

    def encoder(self, outputs: int) -> nn.Sequential:
        """Flatten, then the hidden layers: ``(B, C, H, W)`` -> ``(B, outputs)``."""
        widths = [prod(self.image), *self.hidden, outputs]
        return self.style.initialised(nn.Sequential(nn.Flatten(-len(self.image)), mlp(widths, self.style)))

    def decoder(self, latent: int, channels: int) -> nn.Sequential:
        """Mirrors the encoder, unless it has widths of its own: ``(..., latent)`` -> ``(..., channels · C, H, W)``."""
        shape = (channels * self.image[0], *self.image[1:])
        widths = [latent, *self.decoder_hidden, prod(shape)]
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


def halved(side: int) -> int:
    """Half of ``side`` pixels, rounded up: the side after one convolution."""
    return -(-side // 2)


def default_channels(height: int, width: int) -> list[int]:
    """The channels of as many convolutions as make the image at most ``SMALLEST`` pixels high and wide.

    >>> default_channels(28, 28), default_channels(33, 47), default_channels(64, 64)
    ([32, 64], [32, 64, 64], [32, 64, 64, 64])
    """
    longest, channels = halved(max(height, width)), [FIRST_WIDTH]
    while longest > SMALLEST:
        longest = halved(longest)
        channels.append(WIDTH)
    return channels


class Halving(nn.Conv2d):
    """A 4 x 4 convolution with stride 2: ``(N, C, H, W)`` -> ``(N, C', H/2, W/2)``, rounded up.

    A side of an odd length gets one more row or column of zeros at its end.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[-2] % 2, x.shape[-1] % 2
        return super().forward(pad(x, (0, columns, 0, rows)) if rows or columns else x)


class Doubling(nn.ConvTranspose2d):
    """The transpose of `Halving`: ``(N, C, H/2, W/2)``, rounded up, -> ``(N, C', H, W)``.

    **Arguments**
        size: H and W.
    """

    def __init__(self, before: int, after: int, size: tuple[int, int]) -> None:
        super().__init__(before, after, 4, stride=2, padding=1)
        self.size = size

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        doubled, (height, width) = super().forward(x, output_size), self.size
        return doubled if doubled.shape[-2:] == self.size else doubled[..., :height, :width]


class ConvNet(Network):
    """Convolutions that halve the image, each followed by ``blocks`` residual blocks, then fully connected layers.

    Height and width may have any length. Half of an odd length is rounded up.

    **Arguments**
        image: the shape ``(C, H, W)``.
        channels: of each convolution; every one halves height and width. None: as many as the size of the image needs,
            see `default_channels`.
        hidden: fully connected widths between the convolutions and the latents.
        activation, gated, init: see `vaelab.models.layers.Style`. The first two are for the fully connected layers, and
            for the convolutions where there are no residual blocks.
        blocks: residual blocks after each convolution.
        output: unused here; ``likelihood=squared_error`` reads it as the activation of an auto-encoder's pixels.

    **Raises**
        InputError: a convolution would halve an image of one pixel, or the channels of a residual network are no
            multiples of 8.
    """

    def __init__(
        self,
        image: Sequence[int],
        channels: Sequence[int] | None,
        hidden: Sequence[int],
        activation: str = "relu",
        blocks: int = 0,
        gated: bool = False,
        init: str = "torch",
        output: str = "sigmoid",
    ) -> None:
        self.image = list(image)
        _, height, width = self.image
        self.channels = check_widths(
            "network.channels", default_channels(height, width) if channels is None else channels
        )
        self.hidden = check_widths("network.hidden", hidden)
        self.style = Style(activation, gated, init)
        self.blocks = whole("network.blocks", blocks, 0)
        self.output = output
        self.sizes = self._sizes(height, width)
        self.smallest = (self.channels[-1], *self.sizes[-1])
        if self.blocks and any(width % GROUP for width in self.channels):
            raise InputError(
                f"network.channels must be multiples of {GROUP} in a residual network, got {self.channels}"
            )

    def _sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Height and width of the image, then those after each convolution."""
        if not self.channels:
            raise InputError("network.channels must name at least one convolution, such as [32,64], got []")
        sizes = [(height, width)]
        for count in range(len(self.channels)):
            if sizes[-1] == (1, 1):
                instead = f"take {count} channels or fewer" if count else "take network=mlp"
                raise InputError(
                    f"network.channels={self.channels} halves the image {len(self.channels)} times, and {height} x "
                    f"{width} is one pixel after {count}: {instead}"
                )
            sizes.append((halved(sizes[-1][0]), halved(sizes[-1][1])))
        return sizes

    def encoder(self, outputs: int) -> nn.Sequential:
        """``(B, C, H, W)`` -> ``(B, outputs)``."""
        layers: list[nn.Module] = []
        for before, after in pairwise([self.image[0], *self.channels]):
            convolution = partial(Halving, before, after)
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
        for index, ((before, after), size) in enumerate(zip(pairs, reversed(self.sizes[:-1]), strict=True), 1):
            convolution = partial(Doubling, before, after, size)
            layers += [] if gated else self._before(before)
            layers += self.style.hidden(convolution) if gated and index < len(pairs) else [convolution()]
        return self.style.initialised(FoldSamples(nn.Sequential(*layers)))

    def _before(self, channels: int) -> list[nn.Module]:
        """The layers before each transposed convolution of a decoder without gates."""
        if not self.blocks:
            return [activation("network.activation", self.style.activation)]
        return [*(ResidualBlock(channels) for _ in range(self.blocks)), _group_norm(channels), nn.SiLU()]


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // GROUP, channels)
