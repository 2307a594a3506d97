"""Likelihoods against torch.distributions, and to one under the integral; posteriors by their shapes."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, ContinuousBernoulli, Independent, Laplace, Normal, kl_divergence

from vaelab.models.likelihoods import (
    BernoulliLikelihood,
    ContinuousBernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    GaussianLikelihood,
    LaplaceLikelihood,
)
from vaelab.models.networks import mlp_encoder
from vaelab.models.posteriors import ChainPosterior, DiracPosterior, FlowPosterior, GaussianPosterior, NoisyPosterior


class Given(nn.Module):
    """A decoder whose outputs are the code itself, as an image of one row."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z[..., None, None, :]


def given(latent: int, channels: int) -> nn.Module:
    return Given()


LOGITS = torch.tensor([[-3.0, -0.4, 0.0, 0.02, 1.5, 6.0]])


def test_bernoulli_is_torchs_on_binary_images():
    x = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 0.0]).view(1, 1, 1, 6)
    ours = BernoulliLikelihood(given, 6)(LOGITS).log_prob(x)
    torch.testing.assert_close(ours, Bernoulli(logits=LOGITS).log_prob(x.view(1, 6)).sum(-1))


def test_bernoulli_on_grey_pixels_is_the_cross_entropy():
    x = torch.tensor([0.1, 0.9, 0.5, 0.0, 1.0, 0.3]).view(1, 1, 1, 6)
    p = torch.sigmoid(LOGITS)
    expected = (x.view(1, 6) * p.log() + (1 - x.view(1, 6)) * (1 - p).log()).sum(-1)
    torch.testing.assert_close(BernoulliLikelihood(given, 6)(LOGITS).log_prob(x), expected)


def test_continuous_bernoulli_is_torchs():
    x = torch.tensor([0.1, 0.9, 0.5, 0.0, 1.0, 0.3]).view(1, 1, 1, 6)
    ours = ContinuousBernoulliLikelihood(given, 6)(LOGITS).log_prob(x)
    torch.testing.assert_close(ours, ContinuousBernoulli(logits=LOGITS).log_prob(x.view(1, 6)).sum(-1))


@pytest.mark.parametrize("learnt", [False, True])
def test_gaussian_is_torchs(learnt):
    x = torch.rand(1, 1, 1, 6)
    ours = GaussianLikelihood(given, 6, sigma=0.3, learnt=learnt)(LOGITS).log_prob(x)
    torch.testing.assert_close(ours, Normal(torch.sigmoid(LOGITS), 0.3).log_prob(x.view(1, 6)).sum(-1))


@pytest.mark.parametrize("logit", [-3.0, 0.0, 0.01, 2.0])
def test_continuous_bernoulli_integrates_to_one(logit):
    x = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    z = torch.full((20_001, 1), logit, dtype=torch.float64)
    density = ContinuousBernoulliLikelihood(given, 1)(z).log_prob(x.view(-1, 1, 1, 1)).exp()
    assert math.isclose(float(torch.trapezoid(density, x)), 1.0, abs_tol=1e-5)


@pytest.mark.parametrize("sigma", [0.1, 1.0])
def test_gaussian_integrates_to_one(sigma):
    x = torch.linspace(-12 * sigma, 1 + 12 * sigma, 100_001, dtype=torch.float64)
    z = torch.full((100_001, 1), 0.7, dtype=torch.float64)
    density = GaussianLikelihood(given, 1, sigma=sigma)(z).log_prob(x.view(-1, 1, 1, 1)).exp()
    assert math.isclose(float(torch.trapezoid(density, x)), 1.0, abs_tol=1e-6)


def test_bernoulli_sums_to_one():
    z = torch.full((2, 1), 0.8)
    log_p = BernoulliLikelihood(given, 1)(z).log_prob(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1))
    assert math.isclose(float(log_p.exp().sum()), 1.0, rel_tol=1e-6)


def test_a_learnt_sigma_finds_the_error_of_the_mean():
    """At its maximum-likelihood value σ is the root mean squared error: autograd's stationary point."""
    x = torch.rand(1, 1, 1, 6)
    error = float((x.view(6) - torch.sigmoid(LOGITS[0])).square().mean().sqrt())
    likelihood = GaussianLikelihood(given, 6, sigma=error, learnt=True)
    likelihood(LOGITS).log_prob(x).sum().backward()
    assert abs(float(likelihood.log_scale.grad)) < 1e-5


def test_laplace_is_torchs_and_integrates_to_one():
    x = torch.rand(1, 1, 1, 6)
    ours = LaplaceLikelihood(given, 6, scale=0.3, learnt=False)(LOGITS).log_prob(x)
    torch.testing.assert_close(ours, Laplace(torch.sigmoid(LOGITS), 0.3).log_prob(x.view(1, 6)).sum(-1))
    axis = torch.linspace(-6, 7, 200_001, dtype=torch.float64)
    z = torch.full((200_001, 1), 0.7, dtype=torch.float64)
    density = LaplaceLikelihood(given, 1, scale=0.3, learnt=False)(z).log_prob(axis.view(-1, 1, 1, 1)).exp()
    assert math.isclose(float(torch.trapezoid(density, axis)), 1.0, abs_tol=1e-6)


def test_a_learnt_laplace_scale_finds_the_mean_absolute_error():
    x = torch.rand(1, 1, 1, 6)
    error = float((x.view(6) - torch.sigmoid(LOGITS[0])).abs().mean())
    likelihood = LaplaceLikelihood(given, 6, scale=error, learnt=True)
    likelihood(LOGITS).log_prob(x).sum().backward()
    assert abs(float(likelihood.log_scale.grad)) < 1e-5


def test_discretized_logistic_likelihood_sums_to_one_over_256_levels():
    levels = torch.arange(256, dtype=torch.float64).view(-1, 1, 1, 1) / 255
    z = torch.full((256, 1), -1.3, dtype=torch.float64)
    log_p = DiscretizedLogisticLikelihood(given, 1, scale=0.05, learnt=False)(z).log_prob(levels)
    assert math.isclose(float(log_p.exp().sum()), 1.0, rel_tol=1e-6)


class Rows(nn.Module):
    """A decoder whose two channels are the two halves of the code."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z.unflatten(-1, (2, 1, -1))


@pytest.mark.parametrize("kind", [GaussianLikelihood, LaplaceLikelihood, DiscretizedLogisticLikelihood])
def test_a_scale_per_pixel_is_the_decoders_second_output(kind):
    asked = []

    def network(latent: int, channels: int) -> nn.Module:
        asked.append(channels)
        return Rows()

    option = "sigma" if kind is GaussianLikelihood else "scale"
    likelihood = kind(network, 12, learnt="per_pixel", floor=0.02, **{option: 0.3})
    assert asked == [2]
    z = torch.randn(5, 12)
    base = likelihood(z).base_dist
    torch.testing.assert_close(base.loc.flatten(1), torch.sigmoid(z[:, :6]))
    torch.testing.assert_close(base.scale.flatten(1), 0.02 + 0.3 * z[:, 6:].exp())
    assert likelihood(z).event_shape == (1, 1, 6)
    assert float(kind(network, 12, learnt="per_pixel", floor=0.02)(-50 + z).base_dist.scale.min()) > 0.0199


@pytest.mark.parametrize("learnt", ["pixel", 1, None])
def test_a_scale_is_fixed_learnt_or_per_pixel(learnt):
    with pytest.raises(ValueError, match=r"likelihood\.learnt must be true or false, or per_pixel, got"):
        GaussianLikelihood(given, 6, learnt=learnt)


LIKELIHOODS = [
    BernoulliLikelihood, ContinuousBernoulliLikelihood, GaussianLikelihood, LaplaceLikelihood,
    DiscretizedLogisticLikelihood,
]  # fmt: skip


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_the_output_that_a_mean_wants_gives_about_that_mean(kind):
    images = torch.tensor([[0.1, 0.3, 0.5, 0.6, 0.8, 0.95]])
    likelihood = kind(given, 6)
    mean = likelihood(likelihood.output_at(images)).mean.flatten(1)
    assert (mean.argsort() == images.argsort()).all()
    if kind is not ContinuousBernoulliLikelihood:  # whose mean is not its parameter
        torch.testing.assert_close(mean, images, atol=0.1 if kind is DiscretizedLogisticLikelihood else 1e-5, rtol=0)


def test_noise_on_a_code_is_of_the_size_asked_for():
    def network(outputs: int) -> nn.Module:
        return mlp_encoder(outputs, image=(1, 4, 4), hidden=[8])

    posterior = NoisyPosterior(network, 3, sigma=0.25)
    q = posterior(5 * torch.rand(4, 1, 4, 4))
    torch.testing.assert_close(q.mean.norm(dim=1), torch.full((4,), math.sqrt(3)))
    torch.testing.assert_close(q.stddev, torch.full((4, 3), 0.25))
    rate = 3 / 2 * (0.25**2 - math.log(0.25**2))
    prior = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
    torch.testing.assert_close(kl_divergence(q, prior), torch.full((4,), rate))
    with pytest.raises(ValueError, match="take latent=2"):
        NoisyPosterior(network, 1)


@pytest.mark.parametrize("kind", [GaussianPosterior, NoisyPosterior, DiracPosterior, ChainPosterior, FlowPosterior])
def test_every_posterior_draws_codes_with_a_gradient(kind):
    def network(outputs: int) -> nn.Module:
        return mlp_encoder(outputs, image=(1, 4, 4), hidden=[8])

    posterior = kind(network, 3)
    q = posterior(torch.rand(5, 1, 4, 4))
    assert (tuple(q.batch_shape), tuple(q.event_shape)) == ((5,), (3,))
    z = q.rsample((4,))
    assert z.shape == (4, 5, 3)
    z.square().sum().backward()
    assert all(parameter.grad.any() for parameter in posterior.parameters())
    assert q.mean.shape == q.stddev.shape == (5, 3)


def test_posteriors_have_one_event_per_image():
    def network(outputs: int) -> nn.Module:
        return mlp_encoder(outputs, image=(1, 4, 4), hidden=[8])

    x = torch.rand(5, 1, 4, 4)
    q = GaussianPosterior(network, 3)(x)
    assert (q.batch_shape, q.event_shape) == ((5,), (3,))
    code = DiracPosterior(network, 3, activation="relu")(x)
    assert (code.batch_shape, code.event_shape) == ((5,), (3,))
    assert (code.mean >= 0).all()


def test_a_variance_that_nothing_holds_up_stays_a_number():
    posterior = GaussianPosterior(lambda outputs: nn.Flatten(), 3)
    q = posterior(torch.tensor([[1.0, 2.0, 3.0, -500.0, -29.0, 2.0]]).view(1, 1, 1, 6))
    torch.testing.assert_close(q.stddev.log(), torch.tensor([[-15.0, -14.5, 1.0]]))
    prior = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
    assert (0.0 * kl_divergence(q, prior)).isfinite().all()


def test_densities_keep_full_precision_under_autocast():
    def network(outputs: int) -> nn.Module:
        return mlp_encoder(outputs, image=(1, 4, 4), hidden=[8])

    with torch.autocast("cpu", torch.bfloat16):
        q = GaussianPosterior(network, 3)(torch.rand(5, 1, 4, 4))
    assert q.mean.dtype == torch.float32
