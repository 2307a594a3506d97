"""Two stochastic layers z = (z₁, z₂): what the posterior and the prior of a hierarchy share."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Independent

from vaelab.checks import interval, whole
from vaelab.errors import InputError
from vaelab.models.contracts import Piece
from vaelab.models.distributions import normal_from_outputs
from vaelab.models.layers import Style, check_widths, mlp


class GaussianLayer(Piece):
    """p(b|a) = N(m(a), diag(exp s(a))) between two layers of latents, or p(b|a, h) with a vector h per image.

    **Arguments**
        inputs: the size of a, or of a and h together.
        outputs: the size of b.
        style: of the network's hidden layers.
        hidden: their widths.
        clamp: the smallest and the largest s; None for -30 and 10.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        style: Style,
        hidden: Sequence[int],
        clamp: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        widths = check_widths(f"{style.group}.hidden", hidden)
        self.network = style.initialised(mlp([inputs, *widths, 2 * outputs], style))
        self.clamp = None if clamp is None else interval(f"{style.group}.clamp", clamp)

    def forward(self, a: Tensor, context: Tensor | None = None) -> Independent:
        """``a`` ``(..., A)`` and ``context`` ``(..., H)`` -> batch ``(...)``, event ``(outputs,)``."""
        inputs = a if context is None else _joined(a, context)
        return normal_from_outputs(self.network(inputs).to(a.dtype), self.clamp)


def _joined(a: Tensor, context: Tensor) -> Tensor:
    """``(..., A)`` and ``(..., H)`` -> ``(..., A + H)``, with the dimensions before the last broadcast."""
    batch = torch.broadcast_shapes(a.shape[:-1], context.shape[:-1])
    return torch.cat([a.expand(*batch, -1), context.expand(*batch, -1)], -1)


def layer_sizes(latent: int, bottom: int | None) -> tuple[int, int]:
    """The sizes of z₁ and z₂: ``bottom``, or two thirds of ``latent``, and the rest."""
    if whole("latent", latent) < 2:
        raise InputError(f"two stochastic layers need at least 2 latents, got latent={latent}")
    bottom = min(-(-2 * latent // 3), latent - 1) if bottom is None else whole("bottom", bottom)
    if bottom >= latent:
        raise InputError(f"bottom={bottom} leaves none of latent={latent} for the upper layer: take a smaller one")
    return bottom, latent - bottom
