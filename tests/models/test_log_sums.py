"""log sum exp is torch's, in values and gradients, also where most terms are negligible or infinite."""

import math

import pytest
import torch

from vaelab.models.log_sums import log_sum_exp


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [0.1, 30.0, 3000.0])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_it_is_torchs_with_its_gradient(spread, dim, dtype):
    generator = torch.Generator().manual_seed(0)
    terms = (spread * torch.randn(6, 50, 7, generator=generator, dtype=dtype)).requires_grad_()
    weights = torch.randn(terms.logsumexp(dim).shape, generator=generator, dtype=dtype)
    found, expected = log_sum_exp(terms, dim), terms.logsumexp(dim)
    torch.testing.assert_close(found, expected)
    (gradient,) = torch.autograd.grad((found * weights).sum(), terms)
    (of_torch,) = torch.autograd.grad((expected * weights).sum(), terms)
    torch.testing.assert_close(gradient, of_torch)


def test_terms_without_mass_are_torchs_too():
    none = torch.full((3,), -math.inf)
    assert log_sum_exp(none, 0) == -math.inf
    assert log_sum_exp(torch.tensor([-math.inf, 2.0]), 0) == 2.0
    assert log_sum_exp(torch.tensor([math.inf, 2.0]), 0) == math.inf
    assert log_sum_exp(torch.tensor([math.nan, 2.0]), 0).isnan()


def test_the_gradient_is_whole_where_the_limit_rounds_to_the_largest_term():
    terms = torch.tensor([-2e9, -4e9], requires_grad=True)
    (gradient,) = torch.autograd.grad(log_sum_exp(terms, 0), terms)
    assert gradient.tolist() == [1, 0]


def test_a_million_negligible_terms_do_not_change_the_sum():
    terms = torch.full((1_000_001,), -1e4, dtype=torch.float64)
    terms[0] = 3.0
    assert log_sum_exp(terms, 0) == 3.0
