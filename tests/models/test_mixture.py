"""The mixture model against its log-likelihood written by hand and against scikit-learn."""

import pytest
import torch
from sklearn.mixture import GaussianMixture
from small_models import IMAGE, LINEAR, NETWORK
from torch.distributions import Bernoulli

from vaelab.models.likelihoods import BernoulliLikelihood, GaussianLikelihood
from vaelab.models.mixture import MixtureModel
from vaelab.models.objectives import ELBO
from vaelab.models.priors import CategoricalPrior, StandardNormal


def bernoulli_mixture(components: int = 3) -> MixtureModel:
    torch.manual_seed(0)
    model = MixtureModel(BernoulliLikelihood(LINEAR, components), CategoricalPrior(components)).double()
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


def test_the_elbo_of_a_mixture_is_its_log_likelihood():
    model = bernoulli_mixture()
    expected = log_likelihood_by_hand(model, BINARY)
    inference = model(BINARY)
    torch.testing.assert_close(-ELBO()(inference, 1.0), expected)
    q = inference.q.probs
    assert q.shape == (20, 3)
    z = model.encode(BINARY).sample((4,))  # with an exact posterior every sample has the weight p(x)
    log_weights = model.decode(z).log_prob(BINARY) + model.prior(None).log_prob(z) - inference.q.log_prob(z)
    torch.testing.assert_close(log_weights, expected.expand(4, -1))


def test_the_gradient_of_the_elbo_is_that_of_the_log_likelihood():
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
        GaussianLikelihood(LINEAR, 4, sigma=0.1, learnt="per_pixel", floor=1e-3, mean="identity"), CategoricalPrior(4)
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


def test_a_mixture_starts_at_the_centres_of_clusters():
    x = clouds()
    model = MixtureModel(BernoulliLikelihood(LINEAR, 4), CategoricalPrior(4))
    before = float(ELBO()(model(x), 1.0).mean().detach())
    model.start_from_images(x, torch.Generator().manual_seed(0))
    assert float(ELBO()(model(x), 1.0).mean().detach()) < before - 0.3
    centres = model.decode(torch.eye(4)).mean.detach()
    nearest = (x[:, None] - centres[None]).flatten(2).square().sum(2).min(1)
    assert len(nearest.indices.unique()) == 4
    assert float(nearest.values.mean()) < 16 * 0.1**2


def test_the_reconstruction_of_a_mixture_is_the_posterior_mean_of_its_components():
    model = bernoulli_mixture()
    q = model.encode(BINARY)
    means = model.decode(torch.eye(3, dtype=torch.float64)).mean
    expected = torch.einsum("bm,mchw->bchw", q.probs, means)
    torch.testing.assert_close(model.reconstruct(q), expected)


def test_a_mixture_with_a_deep_decoder_or_a_continuous_prior_is_refused():
    with pytest.raises(ValueError, match=r"network=linear"):
        MixtureModel(BernoulliLikelihood(NETWORK, 3), CategoricalPrior(3))
    with pytest.raises(ValueError, match=r"prior=categorical"):
        MixtureModel(BernoulliLikelihood(LINEAR, 3), StandardNormal(3))
