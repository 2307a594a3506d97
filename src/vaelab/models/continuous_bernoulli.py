"""The continuous Bernoulli distribution, exact in float32 for logits of any size that a network outputs.

torch's own clamps the probability, so beyond |logit| = 15.9 its density does not integrate to one.
"""

from typing import ClassVar

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

SMALL = 1.0  # below this |logit| the closed forms lose digits to cancellation, and series are exact in float32


class ContinuousBernoulli(Distribution):
    """p(x) = exp(l x) l / (exp(l) - 1) on [0, 1], with logit l: the Bernoulli's p^x (1 - p)^(1 - x), normalised.

    log p(x) = (x - ½) l - log Z(l), with Z(l) = 2 sinh(|l|/2) / |l|. For large |l| the two terms are of equal size, so
    it is computed as (x - [l > 0]) l + log |l| - log(1 - exp(-|l|)), in which nothing cancels.

    **References**
        The continuous Bernoulli: fixing a pervasive error in variational autoencoders (Loaiza-Ganem and Cunningham,
        2019).

    **Arguments**
        logits: l, of any shape, which is the batch shape.
    """

    arg_constraints: ClassVar = {"logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, logits: Tensor, validate_args: bool | None = None) -> None:
        self.logits = logits
        super().__init__(logits.shape, validate_args=validate_args)

    def _split(self) -> tuple[Tensor, Tensor, Tensor]:
        """Whether |l| is small; l where it is, else 0; l where it is not, else 1: no formula is singular."""
        is_small = self.logits.abs() < SMALL
        return is_small, self.logits.where(is_small, 0.0), self.logits.where(~is_small, 1.0)

    def log_prob(self, value: Tensor) -> Tensor:
        is_small, near, far = self._split()
        size = far.abs()
        exact = (value - (far > 0).to(far.dtype)) * far + size.log() - torch.log1p(-torch.exp(-size))
        return torch.where(is_small, (value - 0.5) * near - _log_z_series(near), exact)

    @property
    def mean(self) -> Tensor:
        """E[x] = 1 / (1 - exp(-l)) - 1 / l."""
        is_small, near, far = self._split()
        size = far.abs()
        decay = torch.exp(-size)
        below = 1 / size - decay / (1 - decay)  # of -|l|: close to 0, so that it keeps its digits
        series = 0.5 + near * (1 / 12 - near.square() * _mean_tail(near.square()))
        return torch.where(is_small, series, torch.where(far > 0, 1 - below, below))

    @property
    def variance(self) -> Tensor:
        """Var[x] = 1 / l² - 1 / (4 sinh²(l/2))."""
        is_small, near, far = self._split()
        size = far.abs()
        decay = torch.exp(-size)  # 1 / (4 sinh²(l/2)) = exp(-|l|) / (1 - exp(-|l|))²
        exact = size.square().reciprocal() - decay / (1 - decay).square()
        return torch.where(is_small, _variance_series(near.square()), exact)

    def entropy(self) -> Tensor:
        """-E log p(x) = 1 - log |l| + log(1 - exp(-|l|)) - |l| / (exp |l| - 1), in nats; it may be negative."""
        is_small, near, far = self._split()
        size = far.abs()
        decay = torch.exp(-size)
        exact = 1 - size.log() + torch.log1p(-decay) - size * decay / (1 - decay)
        mean = near * (1 / 12 - near.square() * _mean_tail(near.square()))  # E[x] - ½
        return torch.where(is_small, _log_z_series(near) - mean * near, exact)

    def icdf(self, value: Tensor) -> Tensor:
        """The x at which P(X ≤ x) is ``value``: log(1 + u (exp(l) - 1)) / l."""
        # For l > 0 by symmetry, 1 - x at -l and 1 - u, because exp(l) overflows.
        size = self.logits.abs().clamp_min(1e-6)
        u = torch.where(self.logits > 0, 1 - value, value)
        x = (torch.log1p(u * torch.expm1(-size)) / -size).clamp(0, 1)
        return torch.where(self.logits > 0, 1 - x, x)

    def rsample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        shape = self._extended_shape(Size(sample_shape))
        return self.icdf(torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device))


def _log_z_series(logit: Tensor) -> Tensor:
    """log(2 sinh(l/2) / l) = l²/24 - l⁴/2880 + l⁶/181440 - l⁸/9676800 + ..., for |l| < 1."""
    square = logit.square()
    return square * (1 / 24 - square * (1 / 2880 - square * (1 / 181_440 - square * (1 / 9_676_800))))


def _mean_tail(square: Tensor) -> Tensor:
    """E[x] = ½ + l/12 - l³ tail(l²), for |l| < 1."""
    return 1 / 720 - square * (1 / 30_240 - square * (1 / 1_209_600 - square / 47_900_160))


def _variance_series(square: Tensor) -> Tensor:
    """Var[x] = 1/12 - l²/240 + l⁴/6048 - ..., the derivative of the mean, for |l| < 1."""
    return 1 / 12 - square * (1 / 240 - square * (1 / 6_048 - square * (1 / 172_800 - square / 5_322_240)))
