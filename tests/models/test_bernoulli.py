"""The Bernoulli of whole images against the cross-entropy of its pixels, with and without a gradient."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from vaelab.models.bernoulli import JointBernoulli


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 28, 28), (9,), (1, 1, 1), (1, 13, 31)])
def test_joint_bernoulli_is_the_cross_entropy_with_a_gradient_and_without(shape, dtype):
    generator = torch.Generator().manual_seed(0)
    logits = torch.tensor([-80.0, -20, -3, -1e-4, 0, 0.5, 4, 30, 90], dtype=dtype)
    logits = logits[torch.randint(9, (2, 5, *shape), generator=generator)].requires_grad_()
    x = torch.tensor([0.0, 1.0, 0.5, 0.1, 0.9], dtype=dtype)[torch.randint(5, (5, *shape), generator=generator)]
    p = JointBernoulli(logits, len(shape))
    pixels = x * logits.sigmoid().log() + (1 - x) * (-logits).sigmoid().log()
    pixels = torch.where(logits.abs() < 30, pixels, x * logits - logits.relu())  # where a sigmoid rounds to 0 or 1
    expected = pixels.flatten(2).sum(-1)
    torch.testing.assert_close(p.log_prob(x), expected)
    with torch.no_grad():
        torch.testing.assert_close(p.log_prob(x), expected)


def test_products_of_many_factors_of_a_half_do_not_underflow():
    """Each of 784 factors has its smallest value, 1/2: the product of all would be 2^-784."""
    with torch.no_grad():
        found = JointBernoulli(torch.zeros(3, 1, 28, 28), 3).log_prob(torch.ones(3, 1, 28, 28))
    torch.testing.assert_close(found, torch.full((3,), 784 * math.log(0.5)))


def test_the_gradient_of_a_joint_bernoulli_is_summed_where_logits_are_shared():
    logits = torch.randn(1, 4, dtype=torch.float64, requires_grad=True)
    x = torch.rand(6, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda given: JointBernoulli(given, 1).log_prob(x), logits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_torchs_at_the_logits_of_trained_models(dtype):
    generator = torch.Generator().manual_seed(0)
    logits = (
        torch.randn(6, 784, generator=generator, dtype=dtype) * torch.logspace(-3, 4, 784, dtype=dtype)
    ).requires_grad_()
    x = torch.rand(6, 784, generator=generator, dtype=dtype)
    found = JointBernoulli(logits, 1).log_prob(x)
    expected = -binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
    torch.testing.assert_close(found, expected)
    weights = torch.rand(6, generator=generator, dtype=dtype)
    (gradient,) = torch.autograd.grad(found @ weights, logits)
    (expected_gradient,) = torch.autograd.grad(expected @ weights, logits)
    torch.testing.assert_close(gradient, expected_gradient, atol=3e-7, rtol=1e-5)


def test_second_derivatives_and_those_by_the_images_exist():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, dtype=torch.float64, requires_grad=True, generator=generator)
    x = torch.rand(3, 4, dtype=torch.float64, generator=generator).requires_grad_()
    log_prob = lambda logits, x: JointBernoulli(logits, 1).log_prob(x)  # noqa: E731
    assert torch.autograd.gradcheck(log_prob, (logits, x))
    assert torch.autograd.gradgradcheck(log_prob, (logits, x))


def test_the_gradient_under_vmap_is_that_of_each_row():
    generator = torch.Generator().manual_seed(0)
    logits, x = torch.randn(3, 5, 8, generator=generator), torch.rand(3, 5, 8, generator=generator)
    total = lambda logits, x: JointBernoulli(logits, 1).log_prob(x).sum()  # noqa: E731
    found = torch.func.vmap(torch.func.grad(total))(logits, x)
    torch.testing.assert_close(found, x - logits.sigmoid())
