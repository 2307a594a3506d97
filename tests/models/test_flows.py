"""Normalizing flows against their change of variables, numerical integration and their own samples."""

import math

import pytest
import torch
from small_models import grid
from torch.distributions import Bernoulli, Normal

from vaelab.models.flows import MaskedAutoregressiveFlow


def flow(context: int = 0, passes: int | None = None, stretch: float = 2.0) -> MaskedAutoregressiveFlow:
    torch.manual_seed(0)
    maps = MaskedAutoregressiveFlow(2, 3, [16], context, passes).double()
    for parameter in maps.parameters():
        parameter.data *= stretch  # away from the identity
    return maps


@pytest.mark.parametrize("passes", [None, 2])
def test_the_density_of_a_flow_is_the_change_of_variables(passes):
    """log p(z) = log N(f(z); 0, I) + log |det df/dz|, the Jacobian by autograd."""
    distribution = flow(passes=passes)()
    z = torch.randn(7, 2, dtype=torch.float64)
    transform = distribution.flow.transform
    expected = []
    for point in z:
        jacobian = torch.autograd.functional.jacobian(transform, point)
        base = Normal(torch.zeros(2, dtype=torch.float64), 1.0).log_prob(transform(point)).sum()
        expected.append(base + torch.linalg.slogdet(jacobian).logabsdet)
    torch.testing.assert_close(distribution.log_prob(z), torch.stack(expected))


def test_a_flow_integrates_to_one_and_its_samples_have_the_mean_of_its_density():
    distribution = flow()()
    points, area = grid(-15, 15, 1201)
    with torch.no_grad():
        density = distribution.log_prob(points).exp()
        assert math.isclose(float(density.sum() * area), 1.0, abs_tol=1e-3)
        drawn = distribution.sample((100_000,))
        torch.testing.assert_close(drawn.mean(0), (density[:, None] * points).sum(0) * area, atol=0.03, rtol=0)


def test_the_density_of_a_flow_sample_is_the_same_in_both_directions():
    """A sample is mapped back for its density; both directions agree, also under autocast."""
    maps, context = flow(context=3, passes=2).float(), torch.randn(5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        torch.manual_seed(0)
        z = maps(context).rsample((4,))
        log_prob = maps(context).log_prob(z)
    torch.manual_seed(0)
    again, expected = maps(context).flow.rsample_and_log_prob((4,))
    torch.testing.assert_close(z, again)
    torch.testing.assert_close(log_prob, expected, atol=1e-4, rtol=1e-4)


def test_the_moments_of_a_flow_are_those_of_many_samples():
    distribution = flow(context=3, passes=2, stretch=1.0)(torch.randn(5, 3, dtype=torch.float64))
    with torch.no_grad():
        drawn = distribution.sample((50_000,))
        spread = drawn.std(0)
        assert ((distribution.mean - drawn.mean(0)).abs() < 0.2 * spread).all()
        assert ((distribution.stddev / spread).log().abs() < 0.2).all()
        assert torch.equal(distribution.mean, distribution.mean)  # both use the same noise


def test_importing_zuko_through_vaelab_leaves_torchs_validation_on():
    """zuko switches validation off for the whole process when it is imported."""
    flow()().log_prob(torch.zeros(2, dtype=torch.float64))
    with pytest.raises(ValueError, match="support"):
        Bernoulli(0.5).log_prob(torch.tensor(0.3))
