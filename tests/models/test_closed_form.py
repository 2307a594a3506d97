"""PCA and mixtures against scikit-learn, and their bounds against their likelihoods."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from compositions import composed
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from small_models import IMAGE, probabilistic_pca
from torch import nn
from torch.distributions import Bernoulli

from vaelab.data.datamodule import ImageDataModule
from vaelab.evaluation.bounds import squared_error
from vaelab.models.closed_form import ProbabilisticPCA, linear_rates, spectrum
from vaelab.models.likelihoods import BernoulliLikelihood, GaussianLikelihood
from vaelab.models.mixture import MixtureModel
from vaelab.models.networks import mlp_decoder, mlp_encoder
from vaelab.models.objectives import ELBO
from vaelab.models.posteriors import GaussianPosterior
from vaelab.models.priors import CategoricalPrior, StandardNormal
from vaelab.runs.prepare import begin, load_data, make_experiment
from vaelab.runs.run import Run

# ---- PCA -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latent", [1, 3, 15])
def test_pcas_reconstruction_and_likelihood_are_scikit_learns(images, latent):
    model, log_p = probabilistic_pca(images, latent)
    x = images.flatten(1).numpy()
    pca = PCA(latent, svd_solver="full").fit(x)
    lost = ((x - pca.inverse_transform(pca.transform(x))) ** 2).sum(1)
    inference = model(images, 2)
    np.testing.assert_allclose(squared_error(model, inference).numpy(), lost, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose((inference.log_px - inference.log_ratio)[1].numpy(), log_p, rtol=1e-9)


def full_size(latent: int) -> ProbabilisticPCA:
    def encoder(outputs: int) -> nn.Module:
        return mlp_encoder(outputs, image=(1, 28, 28), hidden=[])

    def decoder(latent: int, channels: int) -> nn.Module:
        return mlp_decoder(latent, channels, image=(1, 28, 28), hidden=[])

    return ProbabilisticPCA(
        GaussianPosterior(encoder, latent),
        GaussianLikelihood(decoder, latent, mean="identity"),
        StandardNormal(latent),
    )


@pytest.mark.parametrize("latent", [2, 30, 100])
@pytest.mark.parametrize("name", ["mnist5k", "mnist"])
def test_pca_of_digits_is_scikit_learns(name, latent):
    """In float32, as a run computes it."""
    folder = Path(os.environ.get("VAELAB_DATA", "data"))
    if name == "mnist" and not (folder / "MNIST").is_dir():
        pytest.skip("MNIST is not here (VAELAB_DATA)")
    data = ImageDataModule(name, 100, 100, val=500, root=str(folder), test=1_000)
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


def test_pca_of_images_that_are_drawn_anew_knows_the_noise_of_the_draw(tmp_path):
    words = ("model=pca", "latent=5", "data=uci_digits", "data.val=0", "data.binarize=dynamic")
    config = composed(*words)
    data, experiment = load_data(config), make_experiment(config)
    begin(Run(config, [], {}, tmp_path), experiment, data)
    x = data.scale(data.sets["train"].images, drawn=True).flatten(1).numpy()
    found = float(experiment.model.likelihood.log_scale.detach().exp().square())
    assert found == pytest.approx(PCA(5, svd_solver="full").fit(x).noise_variance_, rel=0.01)


def test_fewer_images_than_pixels_are_scikit_learns(images):
    model, log_p = probabilistic_pca(images[:12], 3)
    inference = model(images[:12])
    np.testing.assert_allclose((inference.log_px - inference.log_ratio)[0].numpy(), log_p, rtol=1e-8)


def test_what_pca_cannot_do_is_refused(images):
    with pytest.raises(ValueError, match=r"latent must be below 16"):
        probabilistic_pca(images, 16)
    with pytest.raises(ValueError, match=r"needs more than 6 training images, got 6"):
        probabilistic_pca(images[:6], 5)


def test_images_without_variance_left_over_for_the_noise_are_refused(images):
    flat = images.flatten(1).clone()
    flat[:, 4:] = flat[:, :4].repeat(1, 3)  # rank 4
    with pytest.raises(ValueError, match=r"no variance beyond latent=5 components"):
        probabilistic_pca(flat.view_as(images), 5)


# ---- mixtures ------------------------------------------------------------------------------------------------


def table(latent: int, channels: int) -> nn.Module:
    return MLP(IMAGE, []).decoder(latent, channels)


def bernoulli_mixture(components: int = 3) -> MixtureModel:
    torch.manual_seed(0)
    model = MixtureModel(BernoulliLikelihood(table, components), CategoricalPrior(components)).double()
    for parameter in model.parameters():
        parameter.data.normal_()
    return model


def log_likelihood_by_hand(model: MixtureModel, x: torch.Tensor) -> torch.Tensor:
    weights = model.prior.logits.softmax(0)
    total = 0
    for m, weight in enumerate(weights):
        logits = model.table.weight[:, m] + model.table.bias
        total = total + weight * Bernoulli(logits=logits).log_prob(x.flatten(1)).sum(1).exp()
    return total.log()


BINARY = (torch.rand(20, *IMAGE, generator=torch.Generator().manual_seed(0)) > 0.5).double()


def test_a_mixtures_bound_is_its_likelihood():
    model = bernoulli_mixture()
    expected = log_likelihood_by_hand(model, BINARY)
    inference = model(BINARY)
    torch.testing.assert_close(-ELBO()(inference, 1.0), expected)
    q = inference.q.probs
    assert q.shape == (20, 3)
    z = model.encode(BINARY).sample((4,))  # every sample weighs log p(x), as with any exact posterior
    log_weights = model.decode(z).log_prob(BINARY) + model.prior(None).log_prob(z) - inference.q.log_prob(z)
    torch.testing.assert_close(log_weights, expected.expand(4, -1))


def test_the_bounds_gradient_is_that_of_the_likelihood():
    model = bernoulli_mixture()
    ELBO()(model(BINARY), 1.0).sum().backward()
    ours = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    (-log_likelihood_by_hand(model, BINARY).sum()).backward()
    for parameter, gradient in zip(model.parameters(), ours, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def clouds() -> torch.Tensor:
    """600 images of 16 pixels in [0, 1] from four clouds of different shape."""
    generator = torch.Generator().manual_seed(3)
    centres = 0.2 + 0.6 * torch.rand(4, 16, generator=generator)
    spread = 0.02 + 0.1 * torch.rand(4, 16, generator=generator)
    which = torch.randint(4, (600,), generator=generator)
    return (centres[which] + spread[which] * torch.randn(600, 16, generator=generator)).view(-1, *IMAGE)


def test_a_gaussian_mixture_is_no_worse_than_scikit_learns():
    x = clouds()
    model = MixtureModel(
        GaussianLikelihood(table, 4, sigma=0.1, learnt="per_pixel", floor=1e-3, mean="identity"), CategoricalPrior(4)
    )
    model.start_from_images(x, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(600):
        optimizer.zero_grad()
        ELBO()(model(x), 1.0).mean().backward()
        optimizer.step()
    ours = -float(ELBO()(model(x), 1.0).mean().detach())
    theirs = GaussianMixture(4, covariance_type="diag", random_state=0, n_init=5).fit(x.flatten(1).numpy())
    assert ours > theirs.score(x.flatten(1).numpy()) - 0.01


def test_a_mixture_begins_at_the_centres_of_clusters():
    x = clouds()
    model = MixtureModel(BernoulliLikelihood(table, 4), CategoricalPrior(4))
    before = float(ELBO()(model(x), 1.0).mean().detach())
    model.start_from_images(x, torch.Generator().manual_seed(0))
    assert float(ELBO()(model(x), 1.0).mean().detach()) < before - 0.3
    centres = model.decode(torch.eye(4)).mean.detach()
    nearest = (x[:, None] - centres[None]).flatten(2).square().sum(2).min(1)
    assert len(nearest.indices.unique()) == 4
    assert float(nearest.values.mean()) < 16 * 0.1**2


def test_a_mixtures_reconstruction_is_the_mean_of_what_it_may_be():
    model = bernoulli_mixture()
    q = model.encode(BINARY)
    means = model.decode(torch.eye(3, dtype=torch.float64)).mean
    expected = torch.einsum("bm,mchw->bchw", q.probs, means)
    torch.testing.assert_close(model.reconstruct(q), expected)


def test_a_mixture_of_a_deep_decoder_is_refused():
    def deep(latent: int, channels: int) -> nn.Module:
        return MLP(IMAGE, [8]).decoder(latent, channels)

    with pytest.raises(ValueError, match=r"network=linear"):
        MixtureModel(BernoulliLikelihood(deep, 3), CategoricalPrior(3))
    with pytest.raises(ValueError, match=r"prior=categorical"):
        MixtureModel(BernoulliLikelihood(table, 3), StandardNormal(3))


def test_the_linear_model_s_rates_are_those_of_probabilistic_pca(images):
    """Averaged over the images that it was solved for, at β = 1 and its own noise."""
    model, _ = probabilistic_pca(images, 3)
    with torch.no_grad():
        found = model(images).kl_per_latent.mean(0)
        eigenvalues = spectrum(images)
        variance = float(model.likelihood.log_scale.exp().square())
    torch.testing.assert_close(linear_rates(eigenvalues[:3], variance, 1.0), found, rtol=2e-3, atol=0)  # n or n - 1


def test_a_larger_beta_drowns_components_one_after_the_other():
    rates = linear_rates(torch.tensor([4.0, 2.0, 1.0]), 0.5, 3.0)
    torch.testing.assert_close(rates, torch.tensor([0.5 * math.log(4 / 1.5), 0.5 * math.log(2 / 1.5), 0.0]))


@pytest.mark.parametrize("part", [7, 10_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_spectrum_is_that_of_the_covariance(images, dtype, part, monkeypatch):
    monkeypatch.setattr(exact, "PART", part)
    expected = np.linalg.eigvalsh(np.cov(images.flatten(1).numpy().T))[::-1]
    np.testing.assert_allclose(spectrum((images + 5).to(dtype)).numpy(), expected, rtol=2e-4)
