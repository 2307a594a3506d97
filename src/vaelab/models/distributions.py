"""Distributions that torch lacks. An event is one image or one vector of latents.

The argument validation of torch takes as long as the arithmetic of a training step, and refuses grey pixels for a
Bernoulli. It is switched off here for single objects, never for the process.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import ClassVar, TypeAlias

import torch
from torch import Size, Tensor
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    Normal,
    constraints,
)
from torch.nn.functional import linear
from torch.quasirandom import SobolEngine

from vaelab.errors import InputError
from vaelab.models.continuous_bernoulli import ContinuousBernoulli
from vaelab.models.log_sums import log_sum_exp

Shape: TypeAlias = Size | list[int] | tuple[int, ...]

# A standard deviation of 3e-7. Without a KL term, as at β = 0, the variance shrinks until it underflows; the rate would
# then be infinite, and 0 times infinity is nan. Above, one wrong step at a large learning rate would overflow: so a
# network of convolutions with likelihood=gaussian ended in nan, at one of two seeds.
LOG_VARIANCES = (-30.0, 10.0)
CHAIN_DRAWS = 256  # values of the first layer for the mean and variance of the second


@contextmanager
def unvalidated() -> Iterator[None]:
    """Distributions that are made in the block do not validate their arguments, nor do their parts."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


def joint(distribution: Distribution, event_dims: int) -> Independent:
    """The last ``event_dims`` batch dimensions as one event: log densities are summed over them."""
    return Independent(distribution, event_dims, validate_args=False)


def is_product(distribution: Distribution) -> bool:
    """Whether it is ``Independent(..., 1)``: the components of its event are independent."""
    return isinstance(distribution, Independent) and distribution.reinterpreted_batch_ndims == 1


def factors(distribution: Distribution) -> Distribution:
    """The distributions of the single latents, batch ``(..., D)``, of a product over latents ``Independent(..., 1)``.

    **Raises**
        InputError: a piece sets ``is_product`` and returns something else.
    """
    if not isinstance(distribution, Independent) or not is_product(distribution):
        raise InputError(
            "a posterior or prior with is_product = True must return torch.distributions.Independent(..., 1), "
            f"got {type(distribution).__name__}"
        )
    return distribution.base_dist


def diagonal_normal(loc: Tensor, scale: Tensor) -> Independent:
    """N(loc, diag(scale²)) over the last dimension."""
    return joint(Normal(loc, scale, validate_args=False), 1)


def normal_from_outputs(outputs: Tensor, clamp: tuple[float, float] | None = None) -> Independent:
    """N(m, diag(exp s)) of a network's outputs (m, s) ``(..., 2 D)``, with s within ``clamp`` or `LOG_VARIANCES`."""
    loc, log_variance = outputs.chunk(2, dim=-1)
    return diagonal_normal(loc, torch.exp(0.5 * log_variance.clamp(*(clamp or LOG_VARIANCES))))


class PointMass(Distribution):
    """All mass at ``loc`` ``(..., D)``: the posterior of a plain auto-encoder.

    It has a mean and samples but no density, so there is no rate and no ELBO.
    """

    arg_constraints: ClassVar = {"loc": constraints.real_vector}
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

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        return self.loc.expand(*sample_shape, *self.loc.shape)

    def log_prob(self, value: Tensor) -> Tensor:
        raise InputError("a point mass has no density, so the Dirac posterior has no rate, ELBO or log-likelihood")


class Chain(Distribution):
    """p(z) = p(a) p(b|a) over the vector z = (a, b), or z = (b, a) with ``first_last``: two stochastic layers.

    ``mean`` and ``variance`` are exact for a. For b they are estimates from ``CHAIN_DRAWS`` values of a:

        E[b] = E_a[E[b|a]],   Var[b] = E_a[Var[b|a]] + Var_a[E[b|a]]

    The noise of a normal a is the same for every image, so that differences between images are not noise.

    **References**
        Importance Weighted Autoencoders (Burda et al., 2016), section 2.

    **Arguments**
        first: p(a), event ``(A,)``.
        second: a ``(..., A)`` -> p(b|a), batch ``(...)``, event ``(B,)``.
        length: A + B.
        first_last: whether z = (b, a), as in a prior that is sampled from the top.
        is_markov: whether p(b|a) is the same for all members of the batch, such as all images.
    """

    arg_constraints: ClassVar = {}

    def __init__(
        self,
        first: Distribution,
        second: Callable[[Tensor], Distribution],
        length: int,
        first_last: bool = False,
        is_markov: bool = True,
    ) -> None:
        self.first = first
        self.second = second
        self.first_last = first_last
        self.is_markov = is_markov
        self._drawn: tuple[Tensor, int, Distribution] | None = None
        super().__init__(first.batch_shape, Size([length]), validate_args=False)

    def split(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """The parts a and b of z ``(..., length)``."""
        first = self.first.event_shape[0]
        rest = self.event_shape[0] - first
        parts = value.split([rest, first] if self.first_last else [first, rest], -1)
        return (parts[1], parts[0]) if self.first_last else parts

    def joined(self, first: Tensor, second: Tensor) -> Tensor:
        """z ``(..., length)`` of the parts a and b."""
        return torch.cat([second, first] if self.first_last else [first, second], -1)

    @cached_property
    def _second_moments(self) -> tuple[Tensor, Tensor]:
        """E[b] and Var[b] ``(*batch, B)``."""
        second = self.second(self._values_of_first())
        means = second.mean
        return means.mean(0), second.variance.mean(0) + means.var(0, correction=0)

    def _values_of_first(self) -> Tensor:
        """``CHAIN_DRAWS`` values of a: even ones of a product of normal distributions, of others samples."""
        if not (isinstance(self.first, Independent) and isinstance(self.first.base_dist, Normal)):
            return self.first.sample((CHAIN_DRAWS,))
        length = self.first.event_shape[0]
        noise = _even_noise(length).to(self.first.mean).view(CHAIN_DRAWS, *[1] * len(self.batch_shape), length)
        return self.first.mean + self.first.stddev * noise

    @property
    def mean(self) -> Tensor:
        return self.joined(self.first.mean, self._second_moments[0])

    @property
    def variance(self) -> Tensor:
        return self.joined(self.first.variance, self._second_moments[1])

    @property
    def has_rsample(self) -> bool:  # type: ignore[override] # a mixture on top has none
        return self.first.has_rsample

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        first = self.first.rsample(sample_shape)
        second = self.second(first)
        return self._remembered(self.joined(first, second.rsample()), second)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        with torch.no_grad():
            first = self.first.sample(sample_shape)
            second = self.second(first)
            return self._remembered(self.joined(first, second.sample()), second)

    def _remembered(self, value: Tensor, second: Distribution) -> Tensor:
        """``value``, of which `log_prob` needs p(b|a) again.

        Not with gradients: the density's must reach ``value``, and p(b|a) was computed before it. Nor of an inference
        tensor, which does not say whether it was changed in place.
        """
        is_kept = not (value.requires_grad or value.is_inference())
        self._drawn = (value, value._version, second) if is_kept else None
        return value

    def log_prob(self, value: Tensor) -> Tensor:
        first, second = self.split(value)
        return self.first.log_prob(first) + self._second_at(value, first).log_prob(second)

    def _second_at(self, value: Tensor, first: Tensor) -> Distribution:
        """p(b|a) at the a of ``value``: without gradients that of the last sample, where ``value`` is this.

        That saves a pass of the network. Changes in place are seen, but for those by ``value.data`` or NumPy.
        """
        if self._drawn is not None and not torch.is_grad_enabled():
            drawn, version, second = self._drawn
            if value is drawn and value._version == version:
                return second
        return self.second(first)


def _even_noise(length: int) -> Tensor:
    """Values of N(0, I) ``(CHAIN_DRAWS, length)`` that cover it evenly; each column has mean 0 and variance 1.

    Of functions of a trained encoder's latents they give the mean twice as accurately as independent draws.
    """
    uniform = SobolEngine(length, scramble=True, seed=0).draw(CHAIN_DRAWS, dtype=torch.float64)
    noise = torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))
    noise = noise - noise.mean(0)
    return noise / noise.square().mean(0).sqrt()


class Mixture(MixtureSameFamily):
    """p(z) = sum_m P(m) p(z|m).

    **Arguments**
        log_weights: log P(m) ``(M,)``, normalised or not.
        components: p(z|m), batch ``(M,)``.
    """

    def __init__(self, log_weights: Tensor, components: Distribution) -> None:
        super().__init__(Categorical(logits=log_weights, validate_args=False), components, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        log_weights = torch.log_softmax(self.mixture_distribution.logits, -1)
        return log_sum_exp(pairwise_log_prob(self.component_distribution, value) + log_weights, -1)


def pairwise_log_prob(components: Distribution, value: Tensor) -> Tensor:
    """log p(value|m) of every value ``(..., *event)`` for every component, batch ``(M,)``: ``(..., M)``.

    Bernoulli and normal log densities are inner products of statistics and natural parameters: one matrix product,
    without the memory of all pairs. All other distributions take the memory of all pairs.
    """
    if isinstance(components, Chain) and components.is_markov:
        first, second = components.split(value)
        return pairwise_log_prob(components.first, first) + components.second(first).log_prob(second).unsqueeze(-1)
    dims = len(components.event_shape)
    flat = value.flatten(value.dim() - dims)
    base = components.base_dist if isinstance(components, Independent) else None
    if isinstance(base, Bernoulli):
        return _pairs_of_logits(flat, base.logits.flatten(1), components.log_prob(torch.zeros_like(base.logits)))
    has_float64 = value.device.type != "mps"
    if isinstance(base, ContinuousBernoulli) and has_float64:
        return _pairs_of_continuous(flat, base.logits.flatten(1))
    if isinstance(base, Normal) and has_float64:
        return _pairs_of_normals(flat, base.loc.flatten(1), base.scale.expand_as(base.loc).flatten(1))
    return components.log_prob(value.unsqueeze(value.dim() - dims))


def _pairs_of_logits(value: Tensor, logits: Tensor, log_p_of_zeros: Tensor) -> Tensor:
    """log p(x) = x·l + log p(0) for (continuous) Bernoulli components: ``(..., n)``, ``(M, n)`` -> ``(..., M)``."""
    with torch.autocast(value.device.type, enabled=False):
        return value @ logits.T + log_p_of_zeros


def _pairs_of_continuous(value: Tensor, logits: Tensor) -> Tensor:
    """The same in float64: trained logits are hundreds, so that both terms are of the order of 1e5 nats."""
    exact = logits.double()
    log_p_of_zeros = ContinuousBernoulli(exact, validate_args=False).log_prob(torch.zeros_like(exact)).sum(-1)
    return _pairs_of_logits(value.double(), exact, log_p_of_zeros).to(value.dtype)


def _pairs_of_normals(value: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """log N(x; m, s²) = (x², x) · (-1/(2 s²), m/s²) + c for all pairs; float64, as a difference of large numbers."""
    x, loc, scale = value.double(), loc.double(), scale.double()
    precision = scale**-2
    constant = (loc**2 * precision).sum(-1) + 2 * scale.log().sum(-1) + loc.shape[1] * math.log(2 * math.pi)
    with torch.autocast(value.device.type, enabled=False):
        statistics, natural = torch.cat([x**2, x], -1), torch.cat([-0.5 * precision, loc * precision], -1)
        return linear(statistics, natural, -0.5 * constant).to(value.dtype)
