"""The continuous Bernoulli against mpmath's arbitrary precision, at logits that trained models reach and beyond."""

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vaelab.models.continuous_bernoulli import ContinuousBernoulli

mpmath.mp.dps = 60
# 77 % of the logits of a VAE that was trained on MNIST are beyond 15.9.
LOGITS = [0.0, 1e-7, 1e-3, 0.3, 0.999, 1.001, 3.0, 15.9, 16.7, 30.0, 88.0, 104.0, 1e3, 1e4]
ALL = sorted({sign * logit for logit in LOGITS for sign in (1, -1)})
PIXELS = [0.0, 1e-6, 0.1, 0.5, 0.73, 1 - 1e-6, 1.0]


def exact_log_prob(logit: float, x: float) -> float:
    ell, x = mpmath.mpf(logit), mpmath.mpf(x)
    return float(ell * x + (mpmath.log(ell / mpmath.expm1(ell)) if ell else 0))


def exact_mean(logit: float) -> float:
    ell = mpmath.mpf(logit)
    return float(1 / (1 - mpmath.exp(-ell)) - 1 / ell) if ell else 0.5


def exact_variance(logit: float) -> float:
    ell = mpmath.mpf(logit)
    return float(1 / ell**2 - 1 / (4 * mpmath.sinh(ell / 2) ** 2)) if ell else 1 / 12


def float32(value: float) -> float:
    """``value`` as float32 has it, so that the oracle gets the same argument."""
    return float(torch.tensor(value))


@pytest.mark.parametrize("logit", ALL)
def test_the_log_density_is_exact_in_float32(logit):
    pixels = torch.tensor(PIXELS)
    found = ContinuousBernoulli(torch.tensor(logit)).log_prob(pixels)
    expected = torch.tensor([exact_log_prob(float32(logit), float(x)) for x in pixels])
    torch.testing.assert_close(found, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("logit", ALL)
def test_the_density_integrates_to_one(logit):
    # Simpson's rule on intervals that get shorter towards the end where the mass is.
    edges = torch.cat([torch.zeros(1), torch.logspace(-9, 0, 20_001)]).double()
    grid = edges if logit < 0 else 1 - edges.flip(0)
    middle = (grid[1:] + grid[:-1]) / 2
    distribution = ContinuousBernoulli(torch.tensor(logit, dtype=torch.float64))
    density, between = distribution.log_prob(grid).exp(), distribution.log_prob(middle).exp()
    total = ((grid[1:] - grid[:-1]) * (density[1:] + 4 * between + density[:-1]) / 6).sum()
    assert float(total) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("logit", ALL)
def test_mean_variance_and_entropy_are_exact_in_float32(logit):
    ell = float32(logit)
    distribution = ContinuousBernoulli(torch.tensor(logit))
    assert float(distribution.mean) == pytest.approx(exact_mean(ell), rel=2e-6)
    assert float(distribution.variance) == pytest.approx(exact_variance(ell), rel=1e-5)
    entropy = -(exact_log_prob(ell, 0.0) + ell * exact_mean(ell))  # log p(x) is linear in x
    assert float(distribution.entropy()) == pytest.approx(entropy, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("logit", ALL)
@pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
def test_the_gradient_by_the_logit_is_x_minus_the_mean(logit, x):
    logits = torch.tensor(logit, requires_grad=True)
    ContinuousBernoulli(logits).log_prob(torch.tensor(x)).backward()
    assert float(logits.grad) == pytest.approx(float32(x) - exact_mean(float32(logit)), rel=1e-5, abs=2e-7)


def test_the_gradient_of_the_mean_is_the_variance():
    logits = torch.tensor(ALL, dtype=torch.float64, requires_grad=True)
    ContinuousBernoulli(logits).mean.sum().backward()
    torch.testing.assert_close(logits.grad, ContinuousBernoulli(logits.detach()).variance, rtol=1e-6, atol=1e-12)


@given(st.floats(-1e4, 1e4, width=32), st.floats(0, 1, width=32))
def test_the_quantile_inverts_the_distribution_function(logit, u):
    x = float(ContinuousBernoulli(torch.tensor(logit, dtype=torch.float64)).icdf(torch.tensor(u, dtype=torch.float64)))
    assert 0 <= x <= 1
    ell = mpmath.mpf(logit)
    reached = mpmath.expm1(ell * x) / mpmath.expm1(ell) if ell else mpmath.mpf(x)
    # Near 1 a step of x's last digit changes the distribution function by |ell| times as much.
    assert float(reached) == pytest.approx(u, abs=1e-6 + 3e-16 * abs(logit))


@pytest.mark.parametrize("logit", [-1e4, -30.0, -2.0, 0.0, 0.5, 30.0])
def test_samples_have_the_mean_and_the_variance(logit):
    distribution = ContinuousBernoulli(torch.tensor(logit, dtype=torch.float64))
    torch.manual_seed(0)
    samples = distribution.sample((200_000,))
    error = float(distribution.variance.sqrt()) / 200_000**0.5
    assert float(samples.mean()) == pytest.approx(float(distribution.mean), abs=5 * error)
    assert float(samples.var()) == pytest.approx(float(distribution.variance), rel=0.03)
