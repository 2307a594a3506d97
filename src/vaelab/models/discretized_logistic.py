"""The logistic distribution, discretized to grey values."""

from typing import ClassVar

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints
from torch.nn.functional import logsigmoid, softplus


class DiscretizedLogistic(Distribution):
    """A logistic distribution, discretized to ``levels`` equidistant grey values from 0 to 1.

    P(x) = sigmoid((x + h - loc) / scale) - sigmoid((x - h - loc) / scale), with h half a level. The tails belong to
    P(0) and P(1).

    **References**
        Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016).
    """

    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}

    def __init__(self, loc: Tensor, scale: Tensor, levels: int = 256, validate_args: bool | None = None) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        self.levels = levels
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The integral of P(X > t) over [0, 1]; it differs from the mean of the levels by a fraction of a level."""
        below = (self.loc - 1) / self.scale
        narrow = softplus(self.loc / self.scale) - softplus(below)
        # The same difference where its terms are nearly equal; untrained pixels get scales of thousands.
        wide = torch.log1p(torch.sigmoid(below) * torch.expm1(self.scale.reciprocal().clamp_max(1)))
        return self.scale * torch.where(self.scale > 1, wide, narrow)

    def log_prob(self, value: Tensor) -> Tensor:
        half = 0.5 / (self.levels - 1)
        above = (value + half - self.loc) / self.scale
        below = (value - half - self.loc) / self.scale
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), without cancellation
        log_width = torch.log(-torch.expm1(-2 * half / self.scale))
        inside = logsigmoid(above) + logsigmoid(-below) + log_width
        return torch.where(value < half, logsigmoid(above), torch.where(value > 1 - half, logsigmoid(-below), inside))

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        with torch.no_grad():
            uniform = torch.rand(self._extended_shape(Size(sample_shape)), device=self.loc.device).to(self.loc.dtype)
            drawn = self.loc + self.scale * torch.logit(uniform, eps=1e-6)
            top = self.levels - 1
            return (drawn * top).round().clamp(0, top) / top
