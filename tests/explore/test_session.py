"""What the explorer shows of a run: against the run's own functions, and for every kind of model."""

import pytest
import torch
from explored import explored
from torch.distributions import Normal

from vaelab.errors import InputError
from vaelab.explore.session import USED
from vaelab.models.distributions import factors

KINDS = {
    "vae": (),
    "ae": ("model=ae",),
    "noisy_ae": ("model=noisy_ae",),
    "pca": ("model=pca", "network.hidden=[]"),
    "mixture": ("model=mixture", "network.hidden=[]"),
    "cvae": ("model=cvae", "model.classes=10"),
    "hvae": ("model=hvae", "bottom=2"),
    "flow posterior": ("posterior=flow",),
    "flow prior": ("prior=flow",),
    "vamp": ("prior=vamp", "prior.components=5"),
    "multirate": ("model=multirate", "beta=range"),
}


@pytest.fixture(params=KINDS, ids=KINDS.keys())
def kind(request):
    return explored(*KINDS[request.param])


def test_every_kind_of_model_shows_what_it_has(kind):
    x, labels = kind.images
    label = None if kind.run.classes is None else int(labels[0])
    look = kind.look(x[0], label)
    assert look.reconstruction.shape == look.image.shape == kind.shape
    torch.testing.assert_close(look.reconstruction, kind.run.reconstruct(x[:1], label)[0])
    encoding = kind.run.encode(x[:1], label)
    torch.testing.assert_close(look.mean, encoding.mean[0])
    assert ("rate" in look.metrics) == kind.model.has_bound
    assert (look.samples is not None) == (look.std is not None) == kind.has_spread
    if look.kl is not None:
        assert float(look.kl.sum()) == pytest.approx(look.metrics["rate"], rel=1e-4)
    if kind.has_prior:
        value, error = kind.nll(x[0], label)
        assert value <= -look.metrics["elbo"] + 5 * error + 5
    assert sorted(kind.order) == list(range(kind.latent))
    z = kind.prior_latents(3)
    assert kind.decode(z, label).shape == (3, *kind.shape)
    torch.testing.assert_close(kind.decode(z, label)[1], kind.decode(z[1], label), atol=1e-5, rtol=0)
    assert kind.centre.shape == (kind.latent,)


def test_a_model_without_a_bound_has_no_rate_and_starts_at_the_mean_of_its_codes():
    run = explored("model=ae")
    assert not run.has_prior
    assert run.collapsed == [False] * run.latent
    torch.testing.assert_close(run.centre, run.encoded.means.mean(0))
    variance = run.encoded.means.var(0)
    assert run.order == variance.argsort(descending=True).tolist()
    shares = Normal(0.0, 1.0).cdf(torch.tensor([-3.0, 3.0]))
    torch.testing.assert_close(run.ranges, run.encoded.means.quantile(shares, 0))


def test_latents_are_in_the_order_of_their_kl_and_collapsed_where_it_is_small():
    run = explored()
    with torch.no_grad():
        # A posterior whose last latent is that of the prior, and whose first one says most.
        layer = [module for module in run.model.posterior.modules() if isinstance(module, torch.nn.Linear)][-1]
        means, log_variances = layer.weight.split(3), layer.bias.split(3)
        for index, factor in enumerate((100.0, 20.0, 0.0)):
            means[0][index] *= factor
            means[1][index] = 0
            log_variances[0][index] = log_variances[1][index] = 0
    assert run.order == [0, 1, 2]
    assert run.collapsed[2]
    assert not run.collapsed[0]
    q = factors(run.model.encode(run.images[0]))
    kl = 0.5 * (q.mean.square() + q.variance - 1 - q.variance.log()).mean(0)
    torch.testing.assert_close(run.encoded.kl, kl.detach())
    assert run.collapsed == (kl < USED).tolist()


def test_the_sliders_of_a_vae_go_from_minus_to_plus_three():
    run = explored()
    torch.testing.assert_close(run.ranges, torch.tensor([[-3.0], [3.0]]).expand(2, 3), atol=1e-3, rtol=0)
    assert run.centre.tolist() == [0, 0, 0]


def test_the_same_seed_draws_the_same_noise_and_the_temperature_scales_it():
    run = explored()
    x = run.images[0][0]
    assert torch.equal(run.look(x).samples, run.look(x).samples)
    assert not torch.equal(run.look(x).samples, run.look(x, seed=1).samples)
    torch.testing.assert_close(run.prior_latents(5, 2, 0.5), 0.5 * run.prior_latents(5, 2))
    assert run.has_temperature
    assert not explored("prior=flow").has_temperature
    assert not explored("model=ae").has_temperature


def test_an_upper_layer_is_decoded_through_the_mean_of_the_lower_one():
    run = explored("model=hvae", "latent=6", "bottom=4")
    assert (run.visible, run.upper) == (4, 2)
    upper = torch.tensor([1.0, -2.0])
    z = run.from_upper(upper)
    with torch.no_grad():
        p = run.model.prior_distribution()
        torch.testing.assert_close(z[:4], p.second(upper).mean)
    assert z[4:].tolist() == [1, -2]
    assert explored().upper == 0


def test_beta_changes_a_multirate_model_and_no_other():
    run = explored("model=multirate", "beta=range")
    gates = [module for module in run.model.modules() if type(module).__name__ == "Gate"]
    with torch.no_grad():
        for gate in gates:
            gate.slope += 0.5
    x = run.images[0][0]
    low, high = run.at(0.3), run.at(4.0)
    assert low.run.beta == 0.3
    assert run.at(0.3) is low
    assert not torch.equal(low.look(x).reconstruction, high.look(x).reconstruction)
    assert not torch.equal(low.encoded.means, high.encoded.means)
    torch.testing.assert_close(run.at(1.0).encoded.means, run.encoded.means)
    assert high.images is run.images
    with pytest.raises(InputError, match="one beta"):
        explored().at(2.0)


def test_without_its_images_a_run_still_draws(tmp_path):
    run = explored()
    x = run.images[0][0]
    bare = explored()
    del bare.run.__dict__["data"]
    bare.run.directory = tmp_path  # has no results.json, so its data cannot be found
    assert bare.images is None
    assert bare.encoded is None
    assert "results.json" in bare.missing
    assert bare.order == [0, 1, 2]
    assert bare.classes_seen == []
    torch.testing.assert_close(bare.look(x).reconstruction, run.look(x).reconstruction)
    torch.testing.assert_close(bare.ranges, run.ranges)
