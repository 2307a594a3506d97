"""Inference and the VAE against closed forms: probabilistic PCA, an independent ELBO, invariances."""

import numpy as np
import pytest
import torch
from small_models import IMAGE, probabilistic_pca, vae
from torch import nn
from torch.distributions import kl_divergence

from vaelab.models.distributions import diagonal_normal
from vaelab.models.inference import Inference
from vaelab.models.objectives import ELBO
from vaelab.models.priors import StandardNormal


@pytest.mark.parametrize("samples", [1, 5])
@pytest.mark.parametrize("latent", [1, 3])
def test_every_sample_gives_the_likelihood_at_the_ppca_solution(images, samples, latent):
    model, log_p = probabilistic_pca(images, latent)
    inference = model(images, samples)
    expected = torch.from_numpy(log_p).expand(samples, -1)
    torch.testing.assert_close(inference.log_px - inference.log_ratio, expected, rtol=1e-11, atol=1e-11)


def test_the_closed_form_elbo_is_tight_at_the_ppca_solution_in_expectation(images):
    model, log_p = probabilistic_pca(images, 3)
    elbo = -ELBO()(model(images, 4_000), 1.0).detach()
    # The closed-form KL leaves log p(x|z) noisy; its mean over samples converges to log p(x).
    assert (elbo - torch.from_numpy(log_p)).abs().max() < 0.35
    assert abs(float(elbo.mean()) - log_p.mean()) < 0.01


def test_elbo_equals_an_independent_formula():
    torch.manual_seed(0)
    model, x = vae(), torch.rand(7, *IMAGE)
    torch.manual_seed(1)
    loss = ELBO(samples=2)(model(x, 2), 0.5)

    # The same formula in numpy and float64.
    first, second = (layer for layer in model.posterior.network[1] if isinstance(layer, nn.Linear))
    third, fourth = (layer for layer in model.likelihood.network[0] if isinstance(layer, nn.Linear))
    weights = [(w.weight.detach().double().numpy(), w.bias.detach().double().numpy()) for w in
               (first, second, third, fourth)]  # fmt: skip
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = weights
    pixels = x.double().flatten(1).numpy()
    outputs = np.maximum(pixels @ w1.T + b1, 0) @ w2.T + b2
    mean, log_variance = outputs[:, :3], outputs[:, 3:]
    torch.manual_seed(1)
    noise = torch.randn(2, 7, 3).double().numpy()
    z = mean + np.exp(log_variance / 2) * noise
    probability = 1 / (1 + np.exp(-(np.maximum(z @ w3.T + b3, 0) @ w4.T + b4)))
    cross_entropy = -(pixels * np.log(probability) + (1 - pixels) * np.log(1 - probability)).sum(-1)
    kl = 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(-1)
    np.testing.assert_allclose(loss.detach().numpy(), cross_entropy.mean(0) + 0.5 * kl, rtol=1e-5)


def test_the_loss_of_an_image_does_not_depend_on_its_batch(images):
    model, _ = probabilistic_pca(images, 2)
    together = model(images[:10], 3)
    z = together.z

    def loss(part: slice) -> torch.Tensor:
        x = images[:10][part]
        q = model.encode(x)
        return ELBO()(Inference(x, z[:, part], q, together.p, model.decode(z[:, part])), 1.0)

    whole = ELBO()(together, 1.0)
    pieces = torch.cat([loss(slice(0, 1)), loss(slice(1, 4)), loss(slice(4, 10))])
    torch.testing.assert_close(whole, pieces, rtol=1e-12, atol=1e-12)


def test_an_unused_latent_costs_no_nats(images):
    """Sums, not means, over latents: adding one whose posterior is the prior changes neither rate nor ELBO."""
    small, _ = probabilistic_pca(images, 2)
    q = small.encode(images)
    loc, scale = q.base_dist.loc, q.base_dist.scale
    wider = diagonal_normal(
        torch.cat([loc, torch.zeros(500, 1, dtype=loc.dtype)], 1), torch.cat([scale, scale.new_ones(500, 1)], 1)
    )
    prior = StandardNormal(3).double()(None)
    narrow_prior = StandardNormal(2).double()(None)
    torch.testing.assert_close(kl_divergence(wider, prior), kl_divergence(q, narrow_prior))


def test_samples_have_the_shapes_of_latents_and_images():
    z, px = vae().sample(5)
    assert z.shape == (5, 3)
    assert px.mean.shape == (5, *IMAGE)
