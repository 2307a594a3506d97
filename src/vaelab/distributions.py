"""What torch.distributions lacks, and the shapes that this field uses: one event per image or per code.

torch's argument validation costs as much as the arithmetic in a training step, and refuses grey pixels for a
Bernoulli. It is switched off here, object by object, and nowhere globally.
"""

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, Independent, Normal, constraints


def joint(distribution: Distribution, event_dims: int) -> Independent:
    """The last ``event_dims`` batch dimensions as one event: log densities are summed over them."""
    return Independent(distribution, event_dims, validate_args=False)


def diagonal_normal(loc: Tensor, scale: Tensor, event_dims: int = 1) -> Independent:
    """N(loc, diag(scale²)) over the last ``event_dims`` dimensions."""
    return joint(Normal(loc, scale, validate_args=False), event_dims)


class PointMass(Distribution):
    """All mass at ``loc`` ``(..., D)``: the posterior of a plain auto-encoder.

    It has a mean and samples, but no density, hence neither a rate nor an ELBO.
    """

    arg_constraints = {"loc": constraints.real_vector}  # noqa: RUF012 (torch declares it so)
    has_rsample = True

    def __init__(self, loc: Tensor) -> None:
        self.loc = loc
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return torch.zeros_like(self.loc)

    def rsample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        return self.loc.expand(*sample_shape, *self.loc.shape)

    def log_prob(self, value: Tensor) -> Tensor:
        raise ValueError("a point mass has no density: the Dirac posterior defines no rate, ELBO or likelihood")
