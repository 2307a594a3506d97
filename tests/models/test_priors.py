"""Priors against densities written with torch.distributions."""

import pytest
import torch
from small_models import IMAGE, NETWORK
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from vaelab.models.posteriors import ChainPosterior, FlowPosterior, GaussianPosterior
from vaelab.models.priors import CategoricalPrior, ChainPrior, FlowPrior, GaussianMixture, StandardNormal, VampPrior


def test_a_vamp_prior_is_the_mixture_of_the_posteriors_of_its_pseudo_inputs():
    torch.manual_seed(0)
    posterior, prior = GaussianPosterior(NETWORK, 3), VampPrior(components=6, image=IMAGE)
    q = posterior(torch.sigmoid(prior.logits))
    parts = Independent(Normal(q.base_dist.loc, q.base_dist.scale), 1)
    expected = MixtureSameFamily(Categorical(probs=torch.full((6,), 1 / 6)), parts)
    z = torch.randn(4, 5, 3)
    torch.testing.assert_close(prior(posterior).log_prob(z), expected.log_prob(z), rtol=1e-5, atol=1e-5)


def test_a_vamp_prior_trains_the_encoder_that_it_is_given():
    posterior, prior = GaussianPosterior(NETWORK, 3), VampPrior(components=6, image=IMAGE)
    prior(posterior).log_prob(torch.randn(5, 3)).sum().backward()
    assert all(parameter.grad.any() for parameter in posterior.parameters())
    assert len(list(prior.parameters())) == 1  # the pseudo-inputs, and no encoder of its own


@pytest.mark.parametrize("count", [4, 20])
def test_pseudo_inputs_start_as_training_images(count):
    images = torch.rand(10, *IMAGE)
    prior = VampPrior(components=count, image=IMAGE)
    prior.start_from_images(images, torch.Generator().manual_seed(0))
    distance = (prior.images().detach()[:, None] - images[None]).flatten(2).abs().amax(2)
    nearest = distance.min(1)
    assert float(nearest.values.max()) < 0.021  # pixels of 0 and 1 are moved inwards a little
    assert len(set(nearest.indices.tolist())) == min(count, 10)


def test_pseudo_inputs_that_start_at_random_do_not_see_the_images():
    torch.manual_seed(0)
    prior = VampPrior(components=4, image=IMAGE, start="random")
    before = prior.images().clone()
    assert not prior.starts_from_images
    prior.start_from_images(torch.rand(10, *IMAGE), torch.Generator())
    assert torch.equal(prior.images(), before)
    assert 0.1 < float(before.detach().std()) < 0.3  # sigmoids of N(0, 1): 0.21


@pytest.mark.parametrize("kind", [ChainPosterior, FlowPosterior])
def test_a_vamp_prior_of_other_posteriors_is_the_mean_of_their_densities(kind):
    torch.manual_seed(0)
    posterior, prior = kind(NETWORK, 3), VampPrior(components=4, image=IMAGE)
    z = torch.randn(2, 5, 3)
    each = torch.stack([posterior(image[None]).log_prob(z) for image in prior.images()])
    expected = each.logsumexp(0) - torch.log(torch.tensor(4.0))
    torch.testing.assert_close(prior(posterior).log_prob(z), expected, rtol=1e-4, atol=1e-4)
    assert prior(posterior).sample((7,)).shape == (7, 3)


def test_a_mixture_prior_is_torchs():
    torch.manual_seed(0)
    prior = GaussianMixture(3, components=5)
    prior.log_weights.data.normal_()
    prior.log_scale.data.normal_()
    parts = Independent(Normal(prior.loc, prior.log_scale.exp()), 1)
    expected = MixtureSameFamily(Categorical(logits=prior.log_weights), parts)
    z = torch.randn(4, 3)
    torch.testing.assert_close(prior(None).log_prob(z), expected.log_prob(z), rtol=1e-5, atol=1e-5)


def test_the_density_of_a_chain_prior_is_the_product_of_its_two_normals():
    torch.manual_seed(0)
    prior = ChainPrior(5, bottom=3)
    z = torch.randn(4, 6, 5)
    below, top = z[..., :3], z[..., 3:]
    loc, log_variance = prior.below.network(top).chunk(2, -1)
    expected = Normal(0.0, 1.0).log_prob(top).sum(-1) + Normal(loc, (log_variance / 2).exp()).log_prob(below).sum(-1)
    torch.testing.assert_close(prior(ChainPosterior(NETWORK, 5, bottom=3)).log_prob(z), expected)


@pytest.mark.parametrize("prior", [StandardNormal(3), GaussianMixture(3), ChainPrior(3), FlowPrior(3)])
def test_priors_have_one_event_and_no_batch(prior):
    p = prior(ChainPosterior(NETWORK, 3))
    assert (tuple(p.batch_shape), tuple(p.event_shape)) == ((), (3,))
    assert p.log_prob(torch.randn(2, 4, 3)).shape == (2, 4)


def test_a_categorical_prior_starts_uniform():
    torch.testing.assert_close(CategoricalPrior(8)(None).probs, torch.full((8,), 1 / 8))


@pytest.mark.parametrize(("latent", "bottom"), [(1, None), (3, 3), (3, 0), (3, "two")])
def test_layers_without_latents_are_refused(latent, bottom):
    with pytest.raises(ValueError, match=r"latent|bottom"):
        ChainPrior(latent, bottom)


@pytest.mark.parametrize(("latent", "top"), [(2, 1), (3, 1), (4, 1), (5, 1), (6, 2), (30, 10)])
def test_by_default_a_third_of_the_latents_is_in_the_upper_layer(latent, top):
    assert ChainPrior(latent).top.loc.shape == (top,)
