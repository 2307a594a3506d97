"""Importance sampling against exact likelihoods, numerical integration and the spread of repeated estimates."""

import math

import numpy as np
import pytest
import torch
from compositions import module_of, small_data
from small_models import IMAGE, NETWORK, probabilistic_pca, vae
from torch import nn

from vaelab.evaluation import importance
from vaelab.evaluation.importance import (
    MARGIN,
    WIDE,
    effective_samples,
    importance_weights,
    log_likelihood,
    useful_prior_samples,
)
from vaelab.evaluation.nll import bf16_error
from vaelab.models.distributions import pairwise_log_prob
from vaelab.models.likelihoods import GaussianLikelihood, LaplaceLikelihood
from vaelab.models.vae import LatentVariableModel


def test_nll_is_exact_with_any_number_of_samples_at_the_ppca_solution(images):
    model, log_p = probabilistic_pca(images, 3)
    estimate, variance = log_likelihood(importance_weights(model, images, samples=7, chunk=600).log_w)
    np.testing.assert_allclose(estimate.detach().numpy(), log_p, rtol=1e-10)
    assert float(variance.detach().max()) < 1e-18


@torch.no_grad()
def integrated(model: LatentVariableModel, x: torch.Tensor) -> torch.Tensor:
    """log p(x) ``(B,)`` of a model with one latent, by numerical integration over it."""
    z = torch.linspace(-9, 9, 4_001, dtype=torch.float64)[:, None]
    joint = model.decode(z[:, None].expand(-1, len(x), -1)).log_prob(x) + model.prior(None).log_prob(z)[:, None]
    return torch.logsumexp(joint, 0) + math.log(18 / 4_000)


def test_nll_agrees_with_numerical_integration_for_one_latent():
    torch.manual_seed(3)
    model, x = vae(latent=1).double(), torch.rand(6, *IMAGE, dtype=torch.float64)
    for parameter in model.parameters():
        parameter.data *= 1.5  # far enough from the prior that the posterior differs from it
    exact = integrated(model, x).numpy()
    with torch.no_grad():
        estimate, variance = log_likelihood(importance_weights(model, x, samples=50_000, chunk=50_000).log_w)
    np.testing.assert_allclose(estimate.numpy(), exact, atol=0.01)
    assert (np.abs(estimate.numpy() - exact) < 5 * variance.sqrt().numpy() + 1e-4).all()


@torch.no_grad()
def test_wider_samples_find_what_a_narrow_posterior_misses():
    torch.manual_seed(3)
    model, x = vae(latent=1).double(), torch.rand(6, *IMAGE, dtype=torch.float64)
    for parameter in model.parameters():
        parameter.data *= 1.5
    last = [layer for layer in model.posterior.network.modules() if isinstance(layer, nn.Linear)][-1]
    last.bias.data += torch.tensor([0.0, -2.0])  # the log variance
    exact = integrated(model, x)
    found = {}
    for widen, samples in ((1.0, 2_000), (3.0, 2_001)):
        weights = importance_weights(model, x, samples, chunk=5_000, widen=widen)
        estimate, variance = log_likelihood(weights.log_w)
        found[widen] = (estimate - exact).abs(), 5 * variance.sqrt()
        assert weights.log_w.shape == (samples, 6)
        bound = model(x, 20_000)
        torch.testing.assert_close(weights.elbo, (bound.log_px - bound.kl).mean(0), atol=0.2, rtol=0)
        assert len(weights.elbo_terms) == (2_000 if widen == 1 else 1_001)
    error, limit = found[3.0]
    assert (error < limit).all()
    assert error.max() < 0.1
    assert found[1.0][0].mean() > 3 * error.mean()


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_samples_of_the_prior_find_a_mode_that_the_posterior_misses(likelihood):
    torch.manual_seed(3)
    model, x = vae(latent=1).double(), torch.rand(6, *IMAGE, dtype=torch.float64)
    if likelihood == "gaussian":
        model.likelihood = GaussianLikelihood(NETWORK, 1, sigma=1.0).double()
    for parameter in model.parameters():
        parameter.data *= 4
    last = [layer for layer in model.posterior.network.modules() if isinstance(layer, nn.Linear)][-1]
    last.bias.data += torch.tensor([6.0, -4.0])  # narrow, and far from the true posterior
    exact = integrated(model, x)
    with torch.no_grad():
        alone, _ = log_likelihood(importance_weights(model, x, 500).log_w)
        weights = importance_weights(model, x, 500, prior_samples=200_000)
    assert weights.log_w.shape == (200_500, 6)
    helped, variance = log_likelihood(weights.log_w, weights.shared)
    assert float((exact - alone).min()) > 1
    torch.testing.assert_close(helped, exact, atol=0.02, rtol=0)
    assert abs(float((helped - exact).mean())) < 5 * float(variance.mean() / len(x)) ** 0.5 + 1e-4


def test_nll_of_a_trained_model_with_two_latents_agrees_with_a_grid():
    """Real digits, some of whose posteriors have modes that q misses."""
    data = small_data(train=2_000)
    data.setup()
    x = data.scale(data.sets["train"].images)
    experiment = module_of("latent=2", "network.hidden=[64]")
    model, optimizer = experiment.model, torch.optim.Adam(experiment.parameters(), 3e-3)
    for step in range(400):
        inference = model(x[step * 100 % 2_000 :][:100])
        loss = (inference.kl - inference.log_px.mean(0)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    side, reach = 400, 6.0
    line, images = torch.linspace(-reach, reach, side), x[:60]
    with torch.no_grad():
        rows = []
        for first in line:
            z = torch.stack([first.expand(side), line], 1)
            rows.append((pairwise_log_prob(model.decode(z), images) + model.prior(None).log_prob(z)).double())
        exact = torch.cat(rows, 1).logsumexp(1) + 2 * math.log(2 * reach / (side - 1))
        estimate, _ = log_likelihood(importance_weights(model, images, 1_000, prior_samples=100_000).log_w)
        alone, _ = log_likelihood(importance_weights(model, images, 1_000).log_w)
    assert abs(float((estimate - exact).mean())) < 0.02
    assert float((exact - alone).mean()) > 0.1


def test_samples_of_the_prior_do_no_harm_where_the_posterior_is_exact(images):
    model, log_p = probabilistic_pca(images, 3)
    with torch.no_grad():
        estimate, _ = log_likelihood(importance_weights(model, images, 500, prior_samples=2_000).log_w)
    assert abs(float(estimate.mean()) - log_p.mean()) < 0.01


def test_samples_of_the_prior_are_left_out_where_few_would_hit():
    model, x = vae(), torch.rand(3, *IMAGE)
    last = [layer for layer in model.posterior.network.modules() if isinstance(layer, nn.Linear)][-1]
    last.bias.data[3:] = -4.0
    rate = float(model(x).rate.detach().median())
    for hits, are_useful in ((0.5, False), (2, False), (math.exp(MARGIN - 0.1), False), (math.exp(MARGIN + 0.1), True)):
        wanted = round(hits * math.exp(rate))
        assert useful_prior_samples(model, x, wanted) == (wanted if are_useful else 0)


def test_models_whose_images_cannot_share_samples_use_none_of_the_prior():
    model, x = vae(), torch.rand(3, *IMAGE)
    assert useful_prior_samples(model, x, 5_000) == 5_000
    model.likelihood = LaplaceLikelihood(NETWORK, 3)
    assert useful_prior_samples(model, x, 5_000) == 0


@pytest.mark.parametrize(("prior_samples", "widen"), [(0, 1.0), (300, 1.0), (0, 1.5)])
def test_the_stated_standard_error_is_the_spread_of_repeated_estimates(prior_samples, widen):
    """The error of the mean over images, which shared samples correlate."""
    torch.manual_seed(4)
    model, x = vae(latent=2), torch.rand(20, *IMAGE)
    samples = 20 if prior_samples else 200
    means, stated = [], []
    with torch.no_grad():
        for _ in range(400):
            weights = importance_weights(model, x, samples, 5_000, prior_samples=prior_samples, widen=widen)
            estimate, variance = log_likelihood(weights.log_w, weights.shared)
            means.append(estimate.mean())
            stated.append(variance.mean() / len(x))
    assert 0.8 < float(torch.stack(means).var() / torch.stack(stated).mean()) < 1.25


def test_the_chunk_changes_memory_and_not_the_number_of_samples():
    model, x = vae(), torch.rand(9, *IMAGE)
    for chunk in (1, 10, 1_000):
        assert importance_weights(model, x, samples=11, chunk=chunk).log_w.shape == (11, 9)


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_the_density_in_the_weights_is_that_of_the_samples_that_are_drawn(count):
    """Then the mean of a weight over all samples is p(x), for an odd number too, of which one half is the larger one.

    The mean is by numerical integration over each of the three distributions that samples are from.
    """
    torch.manual_seed(3)
    model, x = vae(latent=1).double(), torch.rand(4, *IMAGE, dtype=torch.float64)
    z = torch.linspace(-16, 16, 4_001, dtype=torch.float64)[:, None]
    q, p, samples = model.encode(x), model.prior_distribution(), 2
    weights = importance._Proposals(model, x, q, p, samples, count, bf16=False).prior_log_weights(z).exp()
    narrow, wide = p.log_prob(z).exp(), (p.log_prob(z / WIDE)).exp() / WIDE
    drawn = samples * q.log_prob(z[:, None]).exp() + ((count - count // 2) * narrow + count // 2 * wide)[:, None]
    mean = torch.trapezoid(drawn * weights, z, dim=0) / (samples + count)
    torch.testing.assert_close(mean.log(), integrated(model, x), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("count", "chunk", "wide"), [(1, 5, 0), (2, 5, 1), (7, 2, 3), (7, 3, 3), (8, 3, 4)])
def test_half_of_the_samples_of_the_prior_are_widened_with_any_chunk(monkeypatch, count, chunk, wide):
    drawn = []
    model, x = vae(latent=1), torch.rand(1, *IMAGE)
    original = importance._Proposals.draw_prior
    monkeypatch.setattr(importance, "WIDE", 1e6)
    monkeypatch.setattr(
        importance._Proposals, "draw_prior", lambda self, *args: drawn.append(original(self, *args)) or drawn[-1]
    )
    with torch.no_grad():
        importance_weights(model, x, 2, chunk, prior_samples=count)
    z = torch.cat(drawn)
    assert len(z) == count
    assert int((z.abs() > 50).sum()) == wide


@pytest.mark.parametrize(("log_w", "expected"), [([0.0, 0.0, 0.0, 0.0], 4), ([0.0, -200, -300, -400], 1)])
def test_effective_samples_are_one_for_a_single_large_weight_and_all_for_equal_ones(log_w, expected):
    weights = torch.tensor(log_w)[:, None].expand(4, 3) + 1_000
    torch.testing.assert_close(effective_samples(weights), torch.full((3,), float(expected)))


def test_weights_have_the_elbo_of_their_samples(images):
    model, log_p = probabilistic_pca(images, 2)
    weights = importance_weights(model, images, samples=300)
    torch.testing.assert_close(weights.rate, model(images).rate)
    assert abs(float(weights.elbo.detach().mean()) - log_p.mean()) < 0.05


def test_the_error_of_bfloat16_is_measured_with_the_same_noise():
    torch.manual_seed(0)
    model, x = vae(), torch.rand(40, *IMAGE)
    with torch.no_grad():
        error = bf16_error(model, x)
        assert error == bf16_error(model, x) != 0
        assert abs(error) < 0.05
        for parameter in model.likelihood.parameters():
            parameter *= 60  # logits of some hundreds, whose eighth bit is a nat
        assert abs(bf16_error(model, x)) > 0.05
