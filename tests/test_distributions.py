"""Closed forms against torch.distributions and against numerical integration."""

import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from vaelab.distributions import PointMass, diagonal_normal


def test_log_density_is_torchs_summed_over_the_event():
    loc, scale, z = torch.randn(6, 3), torch.rand(6, 3) + 0.1, torch.randn(4, 6, 3)
    ours = diagonal_normal(loc, scale).log_prob(z)
    torch.testing.assert_close(ours, Normal(loc, scale).log_prob(z).sum(-1))
    assert ours.shape == (4, 6)


def test_kl_is_torchs_and_half_of_what_tutorials_print():
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


def test_point_mass_has_samples_but_no_density():
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
