"""Closed forms against torch.distributions and against numerical integration."""

import math

import numpy as np
import pytest
import torch
from small_models import grid
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Independent,
    Laplace,
    MixtureSameFamily,
    Normal,
    OneHotCategorical,
    kl_divergence,
)

from vaelab.models.continuous_bernoulli import ContinuousBernoulli
from vaelab.models.discretized_logistic import DiscretizedLogistic
from vaelab.models.distributions import (
    Chain,
    Mixture,
    PointMass,
    diagonal_normal,
    joint,
    normal_from_outputs,
    pairwise_log_prob,
)


def test_log_density_is_torchs_summed_over_the_event():
    loc, scale, z = torch.randn(6, 3), torch.rand(6, 3) + 0.1, torch.randn(4, 6, 3)
    ours = diagonal_normal(loc, scale).log_prob(z)
    torch.testing.assert_close(ours, Normal(loc, scale).log_prob(z).sum(-1))
    assert ours.shape == (4, 6)


def test_kl_is_torchs_and_half_of_the_value_that_some_tutorials_print():
    loc, log_variance = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    q = diagonal_normal(loc, torch.exp(log_variance / 2))
    p = diagonal_normal(torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64))
    ours = kl_divergence(q, p)
    theirs = kl_divergence(Independent(Normal(loc, (log_variance / 2).exp()), 1),
                           Independent(Normal(torch.zeros_like(loc), torch.ones_like(loc)), 1))  # fmt: skip
    torch.testing.assert_close(ours, theirs)
    tutorial = (log_variance.exp() - (1 + log_variance) + loc**2).sum(-1)
    torch.testing.assert_close(ours, tutorial / 2)


@pytest.mark.parametrize(("loc", "scale"), [(0.0, 1.0), (1.3, 0.2), (-2.0, 3.0)])
def test_kl_equals_numerical_integration(loc, scale):
    q = diagonal_normal(torch.tensor([loc], dtype=torch.float64), torch.tensor([scale], dtype=torch.float64))
    p = diagonal_normal(torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    z = torch.linspace(loc - 12 * scale, loc + 12 * scale, 200_001, dtype=torch.float64)[:, None]
    log_q, log_p = q.log_prob(z), p.log_prob(z)
    integral = torch.trapezoid(log_q.exp() * (log_q - log_p), z[:, 0])
    assert math.isclose(float(kl_divergence(q, p)), float(integral), rel_tol=1e-8, abs_tol=1e-8)


def test_a_point_mass_has_samples_but_no_density():
    loc = torch.randn(5, 3, requires_grad=True)
    mass = PointMass(loc)
    z = mass.rsample((4,))
    assert z.shape == (4, 5, 3)
    assert mass.batch_shape == (5,)
    assert mass.event_shape == (3,)
    z.sum().backward()
    torch.testing.assert_close(loc.grad, torch.full_like(loc, 4.0))
    assert torch.equal(mass.mean, loc)
    assert not mass.variance.any()
    with pytest.raises(ValueError, match="no density"):
        mass.log_prob(z)


# ---- chains --------------------------------------------------------------------------------------------------


def curved(a: torch.Tensor) -> Independent:
    """p(b|a) with two components that depend on the one of a."""
    return diagonal_normal(torch.cat([a.sin(), a**2], -1), 0.5 + torch.cat([a, -a], -1).sigmoid())


@pytest.mark.parametrize("log_variance", [-1e3, -80.0, 80.0, 1e3])
def test_no_log_variance_of_a_network_makes_the_rate_infinite(log_variance):
    outputs = torch.tensor([[0.3, log_variance]], requires_grad=True)
    q = normal_from_outputs(outputs)
    rate = kl_divergence(q, diagonal_normal(torch.zeros(1, 1), torch.ones(1, 1)))
    (rate + q.rsample().square().sum()).backward()
    assert torch.isfinite(rate)
    assert torch.isfinite(outputs.grad).all()


@pytest.mark.parametrize("first_last", [False, True])
def test_a_chains_density_is_the_product_of_its_parts(first_last):
    loc, scale = torch.randn(6, 1), torch.rand(6, 1) + 0.1
    chain = Chain(diagonal_normal(loc, scale), curved, 3, first_last)
    assert (chain.batch_shape, chain.event_shape) == ((6,), (3,))
    z = torch.randn(4, 6, 3)
    a, b = (z[..., 2:], z[..., :2]) if first_last else (z[..., :1], z[..., 1:])
    parts = Normal(loc, scale).log_prob(a).sum(-1)
    parts = parts + Normal(torch.cat([a.sin(), a**2], -1), 0.5 + torch.cat([a, -a], -1).sigmoid()).log_prob(b).sum(-1)
    torch.testing.assert_close(chain.log_prob(z), parts)


def linear_chain(weight: torch.Tensor, calls: list[torch.Tensor]) -> Chain:
    """Five members of a batch; ``calls`` gets every a at which p(b|a) was computed."""
    torch.manual_seed(0)

    def second(a: torch.Tensor) -> Independent:
        calls.append(a)
        return diagonal_normal(weight * a, 0.5 + (weight * a).sigmoid())

    return Chain(diagonal_normal(torch.randn(5, 2) * weight, torch.full((5, 2), 0.3)), second, 4)


@pytest.mark.parametrize("draw", ["sample", "rsample"])
def test_the_density_of_a_chains_own_sample_takes_no_second_pass_and_is_the_same(draw):
    weight, calls = torch.tensor(1.5, requires_grad=True), []
    chain = linear_chain(weight, calls)
    with torch.no_grad():
        z = getattr(chain, draw)((3,))
        assert len(calls) == 1
        again, calls_for_it = chain.log_prob(z), len(calls)
        torch.testing.assert_close(again, chain.log_prob(z.clone()))
    assert (calls_for_it, len(calls)) == (1, 2)


@pytest.mark.parametrize("draw", ["sample", "rsample", "detached"])
def test_the_density_of_a_chains_own_sample_has_the_gradients_of_its_values(draw):
    weight = torch.tensor(1.5, requires_grad=True)
    chain = linear_chain(weight, [])
    z = chain.rsample((3,)) if draw == "rsample" else chain.sample((3,))
    if draw == "detached":
        z = chain.rsample((3,)).detach_()
    if draw != "rsample":
        z.requires_grad_()
    copied = z.clone()
    own = torch.autograd.grad(chain.log_prob(z).sum(), (z, weight), retain_graph=True)
    of_copy = torch.autograd.grad(chain.log_prob(copied).sum(), (copied, weight), retain_graph=True)
    assert own[1] != 0
    torch.testing.assert_close(own, of_copy)


def test_the_density_of_a_chains_sample_that_was_changed_is_that_of_its_values():
    chain = linear_chain(torch.tensor(1.5), [])
    z = chain.sample((3,))
    before = chain.log_prob(z)
    z[1] *= 2
    torch.testing.assert_close(chain.log_prob(z), chain.log_prob(z.clone()))
    assert (chain.log_prob(z)[1] != before[1]).all()
    with torch.inference_mode():
        z = chain.sample((3,))
        z *= 2
        torch.testing.assert_close(chain.log_prob(z), chain.log_prob(z.clone()))


@pytest.mark.parametrize("first_last", [False, True])
def test_a_chain_integrates_to_one_and_its_samples_have_the_moments_of_its_density(first_last):
    one = torch.ones(1, dtype=torch.float64)
    chain = Chain(diagonal_normal(0.3 * one, 0.7 * one), lambda a: diagonal_normal(a.sin(), 0.4 + 0 * a), 2, first_last)
    points, area = grid(-6, 6, 601)
    density = chain.log_prob(points).exp()
    assert math.isclose(float(density.sum() * area), 1.0, abs_tol=1e-6)
    torch.manual_seed(0)
    drawn = chain.sample((200_000,))
    mean = (density[:, None] * points).sum(0) * area
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.01, rtol=0)
    second = (density * points.prod(1)).sum() * area
    torch.testing.assert_close(drawn.prod(1).mean(), second, atol=0.01, rtol=0)
    torch.testing.assert_close(chain.mean, mean, atol=2e-3, rtol=0)
    torch.testing.assert_close(
        chain.variance, (density[:, None] * points**2).sum(0) * area - mean**2, atol=0.01, rtol=0
    )


@pytest.mark.parametrize("first_last", [False, True])
def test_the_moments_of_a_chains_second_layer_are_those_of_its_samples(first_last):
    """Where the second layer is curved, they are far from those at the first layer's mean."""
    loc, scale = torch.tensor([[0.2], [-1.0], [2.0]]).double(), torch.tensor([[1.1], [0.6], [0.3]]).double()
    chain = Chain(diagonal_normal(loc, scale), curved, 3, first_last)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)  # exact expectations over N(0, 1)
    weights = torch.from_numpy(weights / weights.sum())[:, None, None]
    second = curved(loc + scale * torch.from_numpy(nodes)[:, None, None])
    mean = (weights * second.mean).sum(0)
    variance = (weights * (second.variance + second.mean**2)).sum(0) - mean**2
    (first_mean, found_mean), (first_variance, found_variance) = map(chain.split, (chain.mean, chain.variance))
    torch.testing.assert_close((first_mean, first_variance), (loc, scale**2))
    assert ((found_mean - mean).abs() < 0.01 * variance.sqrt()).all()
    torch.testing.assert_close(found_variance, variance, rtol=0.08, atol=0)  # the tails of a²
    at_mean = curved(loc)
    assert float((at_mean.mean - mean).abs().max()) > 0.5
    assert float((variance / at_mean.variance).max()) > 3


def test_the_moments_of_a_chain_are_exact_where_its_second_layer_is_linear_and_the_same_whenever_they_are_asked_for():
    weight = torch.randn(4, 2).double()
    loc, scale = torch.randn(5, 4).double(), torch.rand(5, 4).double() + 0.1
    chain, again = (Chain(diagonal_normal(loc, scale), lambda a: diagonal_normal(a @ weight, 0.3 + 0 * a[..., :2]), 6)
                    for _ in range(2))  # fmt: skip
    state = torch.random.get_rng_state()
    torch.testing.assert_close(chain.split(chain.mean)[1], loc @ weight)
    torch.testing.assert_close(chain.split(chain.variance)[1], scale**2 @ weight**2 + 0.09, rtol=0.1, atol=0)
    assert torch.equal(chain.mean, again.mean)
    assert torch.equal(torch.random.get_rng_state(), state)  # it takes no random number from the training


# ---- Bernoulli -----------------------------------------------------------------------------------------------


# ---- mixtures ------------------------------------------------------------------------------------------------


def test_pairwise_densities_are_the_broadcast_ones():
    torch.manual_seed(0)
    x = torch.rand(5, 1, 3, 4)
    loc, scale = torch.randn(7, 1, 3, 4), torch.rand(7, 1, 3, 4) * 2 + 1e-3
    logits = 3 * loc
    for base in (
        Bernoulli(logits=logits, validate_args=False), ContinuousBernoulli(logits=logits, validate_args=False),
        Normal(loc, scale), Laplace(loc, scale),
    ):  # fmt: skip
        components = joint(base, 3)
        expected = torch.stack([component.log_prob(x).flatten(1).sum(1) for component in one_by_one(base)], 1)
        torch.testing.assert_close(pairwise_log_prob(components, x), expected, rtol=1e-4, atol=1e-3)
        assert pairwise_log_prob(components, x.expand(2, 5, 1, 3, 4)).shape == (2, 5, 7)


def one_by_one(base: Distribution) -> list[Distribution]:
    """A batch of distributions as a list of them."""
    if isinstance(base, (Bernoulli, ContinuousBernoulli)):
        return [type(base)(logits=logits, validate_args=False) for logits in base.logits]
    return [type(base)(loc, scale, validate_args=False) for loc, scale in zip(base.loc, base.scale, strict=True)]


def test_pairwise_densities_of_chains_are_the_broadcast_ones():
    torch.manual_seed(0)
    components = Chain(diagonal_normal(torch.randn(7, 1), torch.rand(7, 1) + 0.1), curved, 3)
    z = torch.randn(2, 5, 3)
    torch.testing.assert_close(pairwise_log_prob(components, z), components.log_prob(z.unsqueeze(2)))


def test_narrow_components_far_from_zero_keep_full_precision():
    """The quadratic form is a difference of numbers near 1e8, of which float32 would keep the first seven digits."""
    loc, scale = torch.tensor([[5.0, -3.0]]), torch.tensor([[1e-3, 2e-3]])
    z = loc + scale * torch.tensor([[0.5, -1.0]])
    ours = pairwise_log_prob(diagonal_normal(loc, scale), z)[:, 0]
    exact = diagonal_normal(loc.double(), scale.double()).log_prob(z.double())
    torch.testing.assert_close(ours.double(), exact, rtol=1e-5, atol=1e-5)


def test_a_mixture_is_torchs():
    torch.manual_seed(0)
    weights, loc, scale, z = torch.randn(4), torch.randn(4, 3), torch.rand(4, 3) + 0.1, torch.randn(2, 6, 3)
    ours = Mixture(weights, diagonal_normal(loc, scale))
    theirs = MixtureSameFamily(Categorical(logits=weights), Independent(Normal(loc, scale), 1))
    torch.testing.assert_close(ours.log_prob(z), theirs.log_prob(z))
    torch.testing.assert_close(ours.mean, theirs.mean)
    assert ours.sample((5,)).shape == (5, 3)


def test_the_kl_of_one_hot_latents_is_the_sum():
    q, p = torch.randn(5, 4).softmax(-1), torch.randn(4).softmax(-1)
    expected = (q * (q / p).log()).sum(-1)
    torch.testing.assert_close(kl_divergence(OneHotCategorical(q), OneHotCategorical(p)), expected)


# ---- grey values ---------------------------------------------------------------------------------------------

LEVELS = torch.arange(256, dtype=torch.float64) / 255


@pytest.mark.parametrize("scale", [1e-3, 0.02, 0.3, 5.0])
@pytest.mark.parametrize("loc", [-0.5, 0.0, 0.31, 1.0])
def test_discretized_logistic_sums_to_one_over_256_levels(loc, scale):
    loc, scale = (torch.tensor(value, dtype=torch.float64) for value in (loc, scale))
    log_prob = DiscretizedLogistic(loc, scale).log_prob(LEVELS)
    assert math.isclose(float(log_prob.exp().sum()), 1.0, rel_tol=1e-9)
    # differences of the cumulative distribution function: the definition
    edges = torch.cat([LEVELS - 0.5 / 255, torch.ones(1, dtype=torch.float64)])
    below = torch.sigmoid((edges - loc) / scale)
    below[0], below[-1] = 0.0, 1.0
    torch.testing.assert_close(log_prob.exp(), below.diff(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 0.02, 0.3])
@pytest.mark.parametrize("loc", [0.0, 0.31, 0.9])
def test_the_mean_and_samples_of_a_discretized_logistic_follow_its_probabilities(loc, scale):
    distribution = DiscretizedLogistic(*(torch.tensor(value, dtype=torch.float64) for value in (loc, scale)))
    mean = (distribution.log_prob(LEVELS).exp() * LEVELS).sum()
    assert abs(float(distribution.mean - mean)) < 0.5 / 255
    torch.manual_seed(0)
    drawn = distribution.sample((100_000,))
    assert abs(float(drawn.mean() - mean)) < 0.005
    torch.testing.assert_close(drawn * 255, (drawn * 255).round())


def test_a_discretized_logistic_has_gradients_where_its_mass_vanishes():
    loc = torch.tensor([0.9, 0.1], requires_grad=True)
    log_prob = DiscretizedLogistic(loc, torch.tensor(1e-3)).log_prob(torch.tensor([0.0, 1.0])).sum()
    log_prob.backward()
    assert log_prob.isfinite()
    torch.testing.assert_close(loc.grad, torch.tensor([-1000.0, 1000.0]), rtol=1e-3, atol=0)
