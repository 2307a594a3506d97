"""Two stochastic layers z = (z₁, z₂): what the posterior and the prior of a hierarchy share."""

from collections.abc import Sequence

from torch import Tensor
from torch.distributions import Independent

from vaelab.checks import whole
from vaelab.errors import InputError
from vaelab.models.contracts import Piece
from vaelab.models.distributions import normal_from_outputs
from vaelab.models.networks import check_widths, mlp


class GaussianLayer(Piece):
    """p(b|a) = N(m(a), diag(exp s(a))) between two layers of latents."""

    def __init__(self, inputs: int, outputs: int, hidden: Sequence[int], activation: str = "tanh") -> None:
        super().__init__()
        self.network = mlp([inputs, *check_widths("hidden", hidden), 2 * outputs], activation)

    def forward(self, a: Tensor) -> Independent:
        """``a`` ``(..., inputs)`` -> batch ``(...)``, event ``(outputs,)``."""
        return normal_from_outputs(self.network(a).to(a.dtype))


def layer_sizes(latent: int, bottom: int | None) -> tuple[int, int]:
    """The sizes of z₁ and z₂: ``bottom``, or two thirds of ``latent``, and the rest."""
    if whole("latent", latent) < 2:
        raise InputError(f"two stochastic layers need at least 2 latents, got latent={latent}")
    bottom = min(-(-2 * latent // 3), latent - 1) if bottom is None else whole("bottom", bottom)
    if bottom >= latent:
        raise InputError(f"bottom={bottom} leaves none of latent={latent} for the upper layer: take a smaller one")
    return bottom, latent - bottom
