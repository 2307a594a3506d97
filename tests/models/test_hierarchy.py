"""Hierarchies of two layers: densities as products, and everything by numerical integration in 1 + 1 dimensions."""

import itertools
import math
from functools import partial

import pytest
import torch
from small_models import IMAGE, NETWORK, grid
from torch.distributions import Normal

from vaelab.errors import InputError
from vaelab.evaluation.importance import importance_weights, log_likelihood
from vaelab.models.distributions import pairwise_log_prob
from vaelab.models.likelihoods import BernoulliLikelihood
from vaelab.models.posteriors import ChainPosterior, GaussianPosterior
from vaelab.models.priors import CategoricalPrior, ChainPrior, FlowPrior, GaussianMixture, StandardNormal, VampPrior
from vaelab.models.vae import LatentVariableModel

X = (torch.rand(3, *IMAGE, generator=torch.Generator().manual_seed(0)) > 0.5).double()
VAMP = partial(VampPrior, image=IMAGE, components=4)
TOPS = {"normal": StandardNormal, "mixture": partial(GaussianMixture, components=3), "vamp": VAMP}
KINDS = list(itertools.product(("bottom", "top"), (False, True)))


def chain_posterior(latent: int, bottom: int, first: str, sees_x: bool, **options) -> ChainPosterior:
    return ChainPosterior(NETWORK, latent, bottom, [6], first=first, sees_x=sees_x, context=4, **options)


def hierarchy(first: str, sees_x: bool, top: str) -> LatentVariableModel:
    """z1 and z2 of one latent each."""
    torch.manual_seed(0)
    model = LatentVariableModel(
        chain_posterior(2, 1, first, sees_x), BernoulliLikelihood(NETWORK, 2), ChainPrior(2, 1, [6], top=TOPS[top])
    ).double()
    model.requires_grad_(False)
    for layer in (model.posterior.first.network[1][-1], model.posterior.second.network[-1]):
        layer.bias[1:] += 1  # a q that is wider than p(z|x), so that importance sampling is accurate
    return model


MODELS = [(first, sees_x, top) for first, sees_x in KINDS for top in TOPS if top != "vamp" or first == "top"]


@pytest.mark.parametrize(("first", "sees_x"), KINDS)
def test_the_density_of_a_posterior_is_the_product_of_its_layers(first, sees_x):
    torch.manual_seed(0)
    posterior = chain_posterior(5, 3, first, sees_x).double()
    z = torch.randn(4, 3, 5).double()
    lower, upper = z[..., :3], z[..., 3:]
    a, b = (lower, upper) if first == "bottom" else (upper, lower)
    loc, log_variance = posterior.first.network(X).chunk(2, -1)
    inputs = torch.cat([a, posterior.context(X).expand(4, -1, -1)], -1) if sees_x else a
    next_loc, next_log_variance = posterior.second.network(inputs).chunk(2, -1)
    expected = Normal(loc, (log_variance / 2).exp()).log_prob(a).sum(-1)
    expected = expected + Normal(next_loc, (next_log_variance / 2).exp()).log_prob(b).sum(-1)
    torch.testing.assert_close(posterior(X).log_prob(z), expected)
    assert posterior.layers == (3, 2)


def test_the_density_of_a_prior_with_a_vamp_prior_on_top_is_a_product_of_sums():
    torch.manual_seed(0)
    posterior = chain_posterior(5, 3, "top", True)
    prior = ChainPrior(5, 3, [6], top=VAMP)
    z = torch.randn(4, 3, 5)
    lower, upper = z[..., :3], z[..., 3:]
    loc, log_variance = posterior.first.network(prior.top.images()).chunk(2, -1)
    each = Normal(loc, (log_variance / 2).exp()).log_prob(upper.unsqueeze(-2)).sum(-1)
    loc, log_variance = prior.below.network(upper).chunk(2, -1)
    below = Normal(loc, (log_variance / 2).exp()).log_prob(lower).sum(-1)
    expected = each.logsumexp(-1) - math.log(4) + below
    torch.testing.assert_close(prior(posterior).log_prob(z), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(prior.images(), prior.top.images())


@pytest.mark.parametrize(("first", "sees_x", "top"), MODELS)
def test_densities_and_log_p_are_those_of_numerical_integration(first, sees_x, top):
    """Both densities integrate to 1, and log p(x), the ELBO and the importance sampling agree with the integrals."""
    model = hierarchy(first, sees_x, top)
    points, area = grid(-9, 9, 241)
    log_qz = model.encode(X).log_prob(points[:, None])
    log_pz = model.prior_distribution().log_prob(points)[:, None]
    log_joint = model.decode(points[:, None]).log_prob(X) + log_pz
    one = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(log_qz.exp().sum(0) * area, one, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(log_pz.exp().sum(0) * area, one[:1], rtol=1e-4, atol=1e-4)
    log_p = log_joint.logsumexp(0) + math.log(area)
    elbo = (log_qz.exp() * (log_joint - log_qz)).sum(0) * area
    torch.manual_seed(1)
    weights = importance_weights(model, X, 5_000)
    estimate, variance = log_likelihood(weights.log_w)
    assert ((estimate - log_p).abs() < 5 * variance.sqrt()).all()
    assert float(variance.max()) < 0.03**2
    sampled = weights.log_w.mean(0)
    assert ((sampled - elbo).abs() < 5 * weights.log_w.std(0) / math.sqrt(5_000)).all()


@pytest.mark.parametrize(("first", "sees_x"), KINDS)
def test_the_densities_of_all_pairs_are_the_single_ones(first, sees_x):
    torch.manual_seed(0)
    posterior = chain_posterior(5, 3, first, sees_x).double()
    z = torch.randn(4, 6, 5).double()
    single = torch.stack([posterior(x[None]).log_prob(z) for x in X], -1)
    torch.testing.assert_close(pairwise_log_prob(posterior(X), z), single)


def test_samples_of_a_prior_have_its_moments_and_no_gradient():
    """E[z] = E[E[z1|z2]], from the mixture on top and the layer below."""
    torch.manual_seed(0)
    prior = ChainPrior(2, 1, [6], top=TOPS["mixture"])
    p = prior(chain_posterior(2, 1, "top", True))
    assert not p.has_rsample
    z = p.sample((40_000,))
    assert not z.requires_grad
    top = prior.top(None).sample((40_000,))
    expected = torch.cat([prior.below(top).sample(), top], -1)
    error = expected.std(0) / math.sqrt(20_000)
    assert ((z.mean(0) - expected.mean(0)).abs() < 5 * error).all()
    assert ((p.mean - expected.mean(0)).abs() < 5 * expected.std(0) / math.sqrt(256)).all()  # from that many values
    torch.testing.assert_close(z.std(0), expected.std(0), rtol=0.03, atol=0.01)


def test_a_vamp_prior_on_top_trains_the_encoder_of_the_top_layer():
    posterior = chain_posterior(5, 3, "top", True)
    prior = ChainPrior(5, 3, [6], top=VAMP)
    prior(posterior).log_prob(torch.randn(5, 5)).sum().backward()
    assert all(parameter.grad.any() for parameter in posterior.first.parameters())
    assert all(parameter.grad.any() for parameter in prior.parameters())


def test_a_clamp_limits_the_log_variances_of_all_layers():
    torch.manual_seed(0)
    posterior, prior = chain_posterior(5, 3, "top", True, clamp=[-0.1, 0.05]), ChainPrior(5, 3, [6], clamp=[-0.1, 0.05])
    for parameter in [*posterior.parameters(), *prior.parameters()]:
        parameter.data.normal_()
    q = posterior(X.float())
    a = torch.randn(50, 3, 2)
    for normal in (q.first, q.second(a), prior.below(a)):
        log_variance = 2 * normal.base_dist.scale.detach().log()
        assert float(log_variance.min()) == pytest.approx(-0.1, abs=1e-5)
        assert float(log_variance.max()) == pytest.approx(0.05, abs=1e-5)


@pytest.mark.parametrize("top", [StandardNormal, FlowPrior, TOPS["mixture"]])
def test_other_priors_on_top_need_nothing_of_the_posterior(top):
    posterior = chain_posterior(5, 3, "bottom", False)
    p = ChainPrior(5, 3, [6], top=top)(posterior)
    assert p.event_shape == (5,)
    assert p.log_prob(p.sample((7,))).shape == (7,)


def test_what_cannot_be_on_top_is_refused_in_one_line():
    prior = ChainPrior(5, 3, [6], top=VAMP)
    with pytest.raises(InputError, match=r"needs the density q\(z2\|x\) .* posterior\.first=top"):
        prior(chain_posterior(5, 3, "bottom", True))
    with pytest.raises(InputError, match=r"VampPrior has 2 latents, .* has 5: .* posterior=chain"):
        prior(GaussianPosterior(NETWORK, 5))
    with pytest.raises(InputError, match=r"prior\.top must be a prior of continuous latents, got CategoricalPrior"):
        ChainPrior(5, 3, top=CategoricalPrior)
