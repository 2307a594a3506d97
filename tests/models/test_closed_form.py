"""Probabilistic PCA against scikit-learn, and the rates of linear models."""

import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from compositions import composed
from sklearn.decomposition import PCA
from small_models import probabilistic_pca

from vaelab.data.mnist import MNIST
from vaelab.data.packaged import MNIST5k
from vaelab.evaluation.bounds import squared_error
from vaelab.models.closed_form import ProbabilisticPCA, linear_rates
from vaelab.models.covariance import spectrum
from vaelab.models.likelihoods import GaussianLikelihood
from vaelab.models.networks import MLP
from vaelab.models.posteriors import GaussianPosterior
from vaelab.models.priors import StandardNormal
from vaelab.runs.prepare import load_data, make_module, start_model
from vaelab.runs.run import Run

# ---- PCA -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latent", [1, 3, 15])
def test_the_reconstruction_and_likelihood_of_pca_are_scikit_learns(images, latent):
    model, log_p = probabilistic_pca(images, latent)
    x = images.flatten(1).numpy()
    pca = PCA(latent, svd_solver="full").fit(x)
    lost = ((x - pca.inverse_transform(pca.transform(x))) ** 2).sum(1)
    inference = model(images, 2)
    np.testing.assert_allclose(squared_error(model, inference).numpy(), lost, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose((inference.log_px - inference.log_ratio)[1].numpy(), log_p, rtol=1e-9)


def full_size(latent: int) -> ProbabilisticPCA:
    network = MLP((1, 28, 28), [])
    return ProbabilisticPCA(
        GaussianPosterior(network, latent),
        GaussianLikelihood(network, latent, mean="identity"),
        StandardNormal(latent),
    )


@pytest.mark.parametrize("latent", [2, 30, 100])
@pytest.mark.parametrize("name", ["mnist5k", "mnist"])
def test_pca_of_digits_is_scikit_learns(name, latent):
    """In float32, as a run computes it."""
    folder = Path(os.environ.get("VAELAB_DATA", "data"))
    if name == "mnist" and not (folder / "MNIST").is_dir():
        pytest.skip("there is no MNIST in VAELAB_DATA")
    options = {"batch_size": 100, "eval_batch_size": 100, "val": 500, "test": 1_000}
    data = MNIST(root=str(folder), **options) if name == "mnist" else MNIST5k(**options)
    data.setup()
    train, test = (data.scale(data.sets[part].images) for part in ("train", "test"))
    model = full_size(latent)
    model.start_from_images(train, torch.Generator())
    inference = model(test)
    pca = PCA(latent, svd_solver="covariance_eigh").fit(train.flatten(1).double().numpy())
    flat = test.flatten(1).double().numpy()
    lost = ((flat - pca.inverse_transform(pca.transform(flat))) ** 2).sum(1).mean()
    assert float(squared_error(model, inference).double().mean()) == pytest.approx(lost, rel=1e-5)
    score = float((inference.log_px - inference.log_ratio).double().mean())
    assert score == pytest.approx(pca.score(flat), rel=1e-5, abs=1e-2)


def test_pca_of_dynamically_binarized_images_includes_the_noise_of_the_binarization(tmp_path):
    words = ("model=pca", "latent=5", "data=uci_digits", "data.val=0", "data.binarize=dynamic")
    config = composed(*words)
    data, module = load_data(config), make_module(config)
    start_model(Run(config, [], {}, tmp_path), module, data)
    x = data.scale(data.sets["train"].images, drawn=True).flatten(1).numpy()
    found = float(module.model.likelihood.log_scale.detach().exp().square())
    assert found == pytest.approx(PCA(5, svd_solver="full").fit(x).noise_variance_, rel=0.01)


@pytest.mark.parametrize("latent", [2, 30])
def test_pca_of_many_pixels_is_scikit_learns_without_the_whole_covariance(colour_patches, latent, monkeypatch):
    monkeypatch.setattr(torch.linalg, "eigh", _refuse_more_than(400, torch.linalg.eigh))
    network = MLP((3, 20, 20), [])
    model = ProbabilisticPCA(
        GaussianPosterior(network, latent),
        GaussianLikelihood(network, latent, mean="identity"),
        StandardNormal(latent),
    )
    model.start_from_images(colour_patches, torch.Generator())
    pca = PCA(latent, svd_solver="covariance_eigh").fit(colour_patches.flatten(1).double().numpy())
    flat = colour_patches.flatten(1).double().numpy()
    inference = model(colour_patches)
    lost = ((flat - pca.inverse_transform(pca.transform(flat))) ** 2).sum(1).mean()
    assert float(squared_error(model, inference).double().mean()) == pytest.approx(lost, rel=1e-5)
    score = float((inference.log_px - inference.log_ratio).double().mean())
    assert score == pytest.approx(pca.score(flat), rel=1e-5)


def _refuse_more_than(rows: int, function: Callable) -> Callable:
    def checked(matrix: torch.Tensor) -> object:
        assert len(matrix) <= rows
        return function(matrix)

    return checked


def test_pca_of_fewer_images_than_pixels_is_scikit_learns(images):
    model, log_p = probabilistic_pca(images[:12], 3)
    inference = model(images[:12])
    np.testing.assert_allclose((inference.log_px - inference.log_ratio)[0].numpy(), log_p, rtol=1e-8)


def test_too_many_latents_or_too_few_images_are_refused(images):
    with pytest.raises(ValueError, match=r"latent must be below 16"):
        probabilistic_pca(images, 16)
    with pytest.raises(ValueError, match=r"needs more than 6 training images, got 6"):
        probabilistic_pca(images[:6], 5)


def test_images_without_variance_for_the_noise_are_refused(images):
    flat = images.flatten(1).clone()
    flat[:, 4:] = flat[:, :4].repeat(1, 3)  # rank 4
    with pytest.raises(ValueError, match=r"no variance beyond latent=5 components"):
        probabilistic_pca(flat.view_as(images), 5)


# ---- rates ---------------------------------------------------------------------------------------------------


def test_linear_rates_are_the_kl_terms_of_probabilistic_pca(images):
    """Averaged over the training images, at β = 1 and the σ² of the solution."""
    model, _ = probabilistic_pca(images, 3)
    with torch.no_grad():
        found = model(images).kl_per_latent.mean(0)
        eigenvalues = spectrum(images)
        variance = float(model.likelihood.log_scale.exp().square())
    torch.testing.assert_close(linear_rates(eigenvalues[:3], variance, 1.0), found, rtol=2e-3, atol=0)  # n or n - 1


def test_a_larger_beta_switches_off_components_with_small_eigenvalues():
    rates = linear_rates(torch.tensor([4.0, 2.0, 1.0]), 0.5, 3.0)
    torch.testing.assert_close(rates, torch.tensor([0.5 * math.log(4 / 1.5), 0.5 * math.log(2 / 1.5), 0.0]))
