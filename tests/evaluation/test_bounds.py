"""Rate, distortion, ELBO and squared error at the closed-form solution of probabilistic PCA."""

import numpy as np
import torch
from sklearn.decomposition import PCA
from small_models import probabilistic_pca

from vaelab.evaluation.bounds import bounds, squared_error
from vaelab.models.vae import LatentVariableModel


def test_elbo_is_minus_rate_minus_distortion_and_below_the_likelihood(images):
    model, log_p = probabilistic_pca(images, 2)
    metrics = bounds(model(images, 500), has_bound=True)
    torch.testing.assert_close(metrics["elbo"], -metrics["rate"] - metrics["distortion"])
    assert abs(float(metrics["elbo"].detach().mean()) - log_p.mean()) < 0.05


def test_a_model_without_a_density_has_a_distortion_alone(images):
    model, _ = probabilistic_pca(images, 2)
    assert list(bounds(model(images), has_bound=False)) == ["distortion"]


def test_the_squared_error_is_that_of_the_decoded_posterior_mean(images):
    """pPCA's posterior mean shrinks a component of variance s + v by s / (s + v); the rest is PCA's error."""
    model, _ = probabilistic_pca(images, 2)
    x = images.flatten(1).numpy()
    pca = PCA(2, svd_solver="full").fit(x)
    z = pca.transform(x)
    lost = ((x - pca.inverse_transform(z)) ** 2).sum(1)
    shrunk = ((z * pca.noise_variance_ / pca.explained_variance_) ** 2).sum(1)
    plain = LatentVariableModel(model.posterior, model.likelihood, model.prior)
    np.testing.assert_allclose(squared_error(plain, plain(images)).detach().numpy(), lost + shrunk, rtol=1e-10)
