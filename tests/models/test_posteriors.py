"""Posteriors: shapes, gradients, closed forms and precision."""

import math

import pytest
import torch
from small_models import NETWORK
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

from vaelab.models.contracts import Network
from vaelab.models.posteriors import ChainPosterior, DiracPosterior, FlowPosterior, GaussianPosterior, NoisyPosterior


class Identity(Network):
    """An encoder without weights: the pixels are the outputs."""

    def encoder(self, outputs: int) -> nn.Module:
        return nn.Flatten()

    def decoder(self, latent: int, channels: int) -> nn.Module:
        raise NotImplementedError


def test_a_noisy_posterior_has_latents_of_fixed_length_and_fixed_noise():
    posterior = NoisyPosterior(NETWORK, 3, sigma=0.25)
    q = posterior(5 * torch.rand(4, 1, 4, 4))
    torch.testing.assert_close(q.mean.norm(dim=1), torch.full((4,), math.sqrt(3)))
    torch.testing.assert_close(q.stddev, torch.full((4, 3), 0.25))
    rate = 3 / 2 * (0.25**2 - math.log(0.25**2))
    prior = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
    torch.testing.assert_close(kl_divergence(q, prior), torch.full((4,), rate))
    with pytest.raises(ValueError, match="take latent=2"):
        NoisyPosterior(NETWORK, 1)


@pytest.mark.parametrize("kind", [GaussianPosterior, NoisyPosterior, DiracPosterior, ChainPosterior, FlowPosterior])
def test_every_posterior_draws_latent_samples_with_a_gradient(kind):
    posterior = kind(NETWORK, 3)
    q = posterior(torch.rand(5, 1, 4, 4))
    assert (tuple(q.batch_shape), tuple(q.event_shape)) == ((5,), (3,))
    z = q.rsample((4,))
    assert z.shape == (4, 5, 3)
    z.square().sum().backward()
    assert all(parameter.grad.any() for parameter in posterior.parameters())
    assert q.mean.shape == q.stddev.shape == (5, 3)


def test_posteriors_have_one_event_per_image():
    x = torch.rand(5, 1, 4, 4)
    q = GaussianPosterior(NETWORK, 3)(x)
    assert (q.batch_shape, q.event_shape) == ((5,), (3,))
    point = DiracPosterior(NETWORK, 3, activation="relu")(x)
    assert (point.batch_shape, point.event_shape) == ((5,), (3,))
    assert (point.mean >= 0).all()


def test_a_vanishing_variance_stays_finite():
    posterior = GaussianPosterior(Identity(), 3)
    q = posterior(torch.tensor([[1.0, 2.0, 3.0, -500.0, -29.0, 2.0]]).view(1, 1, 1, 6))
    torch.testing.assert_close(q.stddev.log(), torch.tensor([[-15.0, -14.5, 1.0]]))
    prior = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
    assert (0.0 * kl_divergence(q, prior)).isfinite().all()


def test_densities_keep_full_precision_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        q = GaussianPosterior(NETWORK, 3)(torch.rand(5, 1, 4, 4))
    assert q.mean.dtype == torch.float32
