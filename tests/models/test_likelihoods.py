"""Likelihoods against torch.distributions and against numerical integration."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, ContinuousBernoulli, Laplace, Normal

from vaelab.models.contracts import Network
from vaelab.models.likelihoods import (
    BernoulliLikelihood,
    ContinuousBernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    GaussianLikelihood,
    LaplaceLikelihood,
)


class Row(nn.Module):
    """A decoder whose outputs are the latents themselves, as an image of one row."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z[..., None, None, :]


class Halves(nn.Module):
    """A decoder whose two channels are the two halves of the latents, each an image of one row."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z.unflatten(-1, (2, 1, -1))


class Given(Network):
    """Decoders without weights: the latents are the parameters of the likelihood."""

    def encoder(self, outputs: int) -> nn.Module:
        return nn.Flatten()

    def decoder(self, latent: int, channels: int) -> nn.Module:
        self.channels = channels
        return Row() if channels == 1 else Halves()


GIVEN = Given()
LOGITS = torch.tensor([[-3.0, -0.4, 0.0, 0.02, 1.5, 6.0]])


def test_bernoulli_is_torchs_on_binary_images():
    x = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 0.0]).view(1, 1, 1, 6)
    ours = BernoulliLikelihood(GIVEN, 6)(LOGITS).log_prob(x)
    torch.testing.assert_close(ours, Bernoulli(logits=LOGITS).log_prob(x.view(1, 6)).sum(-1))


def test_bernoulli_on_grey_pixels_is_the_cross_entropy():
    x = torch.tensor([0.1, 0.9, 0.5, 0.0, 1.0, 0.3]).view(1, 1, 1, 6)
    p = torch.sigmoid(LOGITS)
    expected = (x.view(1, 6) * p.log() + (1 - x.view(1, 6)) * (1 - p).log()).sum(-1)
    torch.testing.assert_close(BernoulliLikelihood(GIVEN, 6)(LOGITS).log_prob(x), expected)


def test_continuous_bernoulli_is_torchs():
    x = torch.tensor([0.1, 0.9, 0.5, 0.0, 1.0, 0.3]).view(1, 1, 1, 6)
    ours = ContinuousBernoulliLikelihood(GIVEN, 6)(LOGITS).log_prob(x)
    torch.testing.assert_close(ours, ContinuousBernoulli(logits=LOGITS).log_prob(x.view(1, 6)).sum(-1))


@pytest.mark.parametrize("learnt", [False, True])
def test_gaussian_is_torchs(learnt):
    x = torch.rand(1, 1, 1, 6)
    ours = GaussianLikelihood(GIVEN, 6, sigma=0.3, learnt=learnt)(LOGITS).log_prob(x)
    torch.testing.assert_close(ours, Normal(torch.sigmoid(LOGITS), 0.3).log_prob(x.view(1, 6)).sum(-1))


@pytest.mark.parametrize("logit", [-3.0, 0.0, 0.01, 2.0])
def test_continuous_bernoulli_integrates_to_one(logit):
    x = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    z = torch.full((20_001, 1), logit, dtype=torch.float64)
    density = ContinuousBernoulliLikelihood(GIVEN, 1)(z).log_prob(x.view(-1, 1, 1, 1)).exp()
    assert math.isclose(float(torch.trapezoid(density, x)), 1.0, abs_tol=1e-5)


@pytest.mark.parametrize("sigma", [0.1, 1.0])
def test_gaussian_integrates_to_one(sigma):
    x = torch.linspace(-12 * sigma, 1 + 12 * sigma, 100_001, dtype=torch.float64)
    z = torch.full((100_001, 1), 0.7, dtype=torch.float64)
    density = GaussianLikelihood(GIVEN, 1, sigma=sigma)(z).log_prob(x.view(-1, 1, 1, 1)).exp()
    assert math.isclose(float(torch.trapezoid(density, x)), 1.0, abs_tol=1e-6)


def test_bernoulli_sums_to_one():
    z = torch.full((2, 1), 0.8)
    log_p = BernoulliLikelihood(GIVEN, 1)(z).log_prob(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1))
    assert math.isclose(float(log_p.exp().sum()), 1.0, rel_tol=1e-6)


def test_the_best_sigma_is_the_root_mean_squared_error():
    """There the gradient by log σ is zero."""
    x = torch.rand(1, 1, 1, 6)
    error = float((x.view(6) - torch.sigmoid(LOGITS[0])).square().mean().sqrt())
    likelihood = GaussianLikelihood(GIVEN, 6, sigma=error, learnt=True)
    likelihood(LOGITS).log_prob(x).sum().backward()
    assert abs(float(likelihood.log_scale.grad)) < 1e-5


def test_laplace_is_torchs_and_integrates_to_one():
    x = torch.rand(1, 1, 1, 6)
    ours = LaplaceLikelihood(GIVEN, 6, scale=0.3, learnt=False)(LOGITS).log_prob(x)
    torch.testing.assert_close(ours, Laplace(torch.sigmoid(LOGITS), 0.3).log_prob(x.view(1, 6)).sum(-1))
    axis = torch.linspace(-6, 7, 200_001, dtype=torch.float64)
    z = torch.full((200_001, 1), 0.7, dtype=torch.float64)
    density = LaplaceLikelihood(GIVEN, 1, scale=0.3, learnt=False)(z).log_prob(axis.view(-1, 1, 1, 1)).exp()
    assert math.isclose(float(torch.trapezoid(density, axis)), 1.0, abs_tol=1e-6)


def test_the_best_laplace_scale_is_the_mean_absolute_error():
    x = torch.rand(1, 1, 1, 6)
    error = float((x.view(6) - torch.sigmoid(LOGITS[0])).abs().mean())
    likelihood = LaplaceLikelihood(GIVEN, 6, scale=error, learnt=True)
    likelihood(LOGITS).log_prob(x).sum().backward()
    assert abs(float(likelihood.log_scale.grad)) < 1e-5


def test_discretized_logistic_likelihood_sums_to_one_over_256_levels():
    levels = torch.arange(256, dtype=torch.float64).view(-1, 1, 1, 1) / 255
    z = torch.full((256, 1), -1.3, dtype=torch.float64)
    log_p = DiscretizedLogisticLikelihood(GIVEN, 1, scale=0.05, learnt=False)(z).log_prob(levels)
    assert math.isclose(float(log_p.exp().sum()), 1.0, rel_tol=1e-6)


@pytest.mark.parametrize("kind", [GaussianLikelihood, LaplaceLikelihood, DiscretizedLogisticLikelihood])
def test_a_scale_per_pixel_is_the_decoders_second_block_of_channels(kind):
    network = Given()
    option = "sigma" if kind is GaussianLikelihood else "scale"
    likelihood = kind(network, 12, learnt="per_pixel", floor=0.02, **{option: 0.3})
    assert network.channels == 2
    z = torch.randn(5, 12)
    base = likelihood(z).base_dist
    torch.testing.assert_close(base.loc.flatten(1), torch.sigmoid(z[:, :6]))
    torch.testing.assert_close(base.scale.flatten(1), 0.02 + 0.3 * z[:, 6:].exp())
    assert likelihood(z).event_shape == (1, 1, 6)
    assert float(kind(network, 12, learnt="per_pixel", floor=0.02)(-50 + z).base_dist.scale.min()) > 0.0199


@pytest.mark.parametrize("learnt", ["pixel", 1, None])
def test_a_scale_is_fixed_learnt_or_per_pixel(learnt):
    with pytest.raises(ValueError, match=r"likelihood\.learnt must be true or false, or per_pixel, got"):
        GaussianLikelihood(GIVEN, 6, learnt=learnt)


LIKELIHOODS = [
    BernoulliLikelihood, ContinuousBernoulliLikelihood, GaussianLikelihood, LaplaceLikelihood,
    DiscretizedLogisticLikelihood,
]  # fmt: skip


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_outputs_at_gives_about_the_requested_mean(kind):
    images = torch.tensor([[0.1, 0.3, 0.5, 0.6, 0.8, 0.95]])
    likelihood = kind(GIVEN, 6)
    mean = likelihood(likelihood.outputs_at(images)).mean.flatten(1)
    assert (mean.argsort() == images.argsort()).all()
    if kind is not ContinuousBernoulliLikelihood:  # whose mean is not its parameter
        torch.testing.assert_close(mean, images, atol=0.1 if kind is DiscretizedLogisticLikelihood else 1e-5, rtol=0)
