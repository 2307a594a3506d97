"""Estimates of the aggregate posterior against sums over all images, closed forms and numerical integration."""

import math

import pytest
import torch
from small_models import IMAGE, NETWORK

from vaelab.evaluation.aggregate import bound_kl_parts
from vaelab.models.aggregate import decompose_kl
from vaelab.models.distributions import Mixture, diagonal_normal
from vaelab.models.posteriors import ChainPosterior, FlowPosterior


@pytest.mark.parametrize("sigma", [0.3, 0.8])
def test_the_bounds_enclose_a_mutual_information_that_is_known(sigma):
    """Means from N(0, 1 - σ²) make q(z) = N(0, I): I = -D log σ, and nothing is left for the other parts."""
    torch.manual_seed(0)
    latent, count = 2, 3_000
    loc = math.sqrt(1 - sigma**2) * torch.randn(count, latent, dtype=torch.float64)
    q = diagonal_normal(loc, torch.full_like(loc, sigma))
    p = diagonal_normal(torch.zeros(latent, dtype=torch.float64), torch.ones(latent, dtype=torch.float64))
    found = bound_kl_parts(q, p, is_product=True)
    true = -latent * math.log(sigma)
    assert found["mutual_information_lower"] - 0.05 < true < found["mutual_information_upper"] + 0.05
    assert found["mutual_information_upper"] - found["mutual_information_lower"] < 0.05
    for name in ("marginal_kl_lower", "marginal_kl_upper", "total_correlation_lower", "dimension_kl"):
        assert abs(found[name]) < 0.05, name


def test_the_lower_bound_is_at_its_limit_where_images_are_too_few():
    """20 latents with a rate of more than 20 nats: 1,000 images show at most log 1,000 of them."""
    torch.manual_seed(0)
    loc = torch.randn(1_000, 20)
    q, p = diagonal_normal(loc, torch.full_like(loc, 0.2)), diagonal_normal(torch.zeros(20), torch.ones(20))
    found = bound_kl_parts(q, p, is_product=True)
    assert found["mutual_information_lower"] == pytest.approx(found["mutual_information_limit"], abs=0.01)
    assert found["mutual_information_limit"] == pytest.approx(math.log(1_000))
    true = 20 * 0.5 * math.log(1.04 / 0.04)
    assert found["mutual_information_lower"] < true < found["mutual_information_upper"] + 1
    assert found["total_correlation_lower"] == 0  # it is 0, and too few images make the upper bound loose
    assert found["total_correlation_upper"] > 20


def test_the_marginal_kl_of_few_images_agrees_with_numerical_integration():
    """KL(q(z) ‖ p(z)) of five images' own mixture, in one dimension."""
    torch.manual_seed(0)
    loc, scale = torch.randn(5, 1, dtype=torch.float64) * 2, torch.rand(5, 1, dtype=torch.float64) + 0.2
    q = diagonal_normal(loc, scale)
    p = diagonal_normal(torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    grid = torch.linspace(-15, 15, 20_001, dtype=torch.float64)[:, None]
    density = q.log_prob(grid[:, None]).exp().mean(1)
    exact = float((density * (density.log() - p.log_prob(grid))).sum() * 30 / 20_000)
    found = [bound_kl_parts(q, p, is_product=True) for _ in range(2_000)]
    mean = torch.tensor([one["marginal_kl_upper"] for one in found])
    assert abs(float(mean.mean()) - exact) < 4 * float(mean.std()) / math.sqrt(2_000)
    for one in found[:10]:  # a single latent has no total correlation
        assert one["total_correlation_upper"] == pytest.approx(0, abs=1e-9)
        assert one["dimension_kl"] == pytest.approx(one["marginal_kl_upper"])


def test_the_last_part_has_another_name_where_the_prior_is_no_product_over_latents():
    """A prior with two modes, both of which q(z) has: log p(z) is no sum over latents."""
    torch.manual_seed(0)
    side = torch.where(torch.rand(800) < 0.5, 3.0, -3.0)[:, None].expand(-1, 4)
    q = diagonal_normal(side, torch.ones(800, 4))
    p = Mixture(torch.zeros(2), diagonal_normal(torch.tensor([[3.0] * 4, [-3.0] * 4]), torch.ones(2, 4)))
    found = bound_kl_parts(q, p, is_product=True)
    assert "dimension_kl" not in found
    assert found["product_kl"] == pytest.approx(-3 * math.log(2), abs=0.1)
    assert set(decompose_kl(q, p, q.sample((1,)), 800)) == {"mutual_information", "total_correlation", "product_kl"}


@pytest.mark.parametrize("kind", [ChainPosterior, FlowPosterior])
def test_a_posterior_without_marginals_has_the_other_parts(kind):
    torch.manual_seed(0)
    posterior = kind(NETWORK, 3)
    p = diagonal_normal(torch.zeros(3), torch.ones(3))
    with torch.no_grad():
        found = bound_kl_parts(posterior(torch.rand(50, *IMAGE)), p, is_product=False)
    assert set(found) == {
        "mutual_information_lower", "mutual_information_upper", "mutual_information_limit",
        "marginal_kl_lower", "marginal_kl_upper",
    }  # fmt: skip
    assert found["mutual_information_lower"] <= found["mutual_information_upper"] + 0.05  # the rate's noise, near 0
