"""Objectives against their formulas, against one another, and their gradients against exact ones."""

import copy
import math
from functools import partial

import pytest
import torch
from small_models import IMAGE, NETWORK, probabilistic_pca, vae

from vaelab.models import drawn_samples
from vaelab.models.drawn_samples import systematic
from vaelab.models.inference import Inference
from vaelab.models.likelihoods import BernoulliLikelihood
from vaelab.models.multirate import MultirateModel
from vaelab.models.objectives import ELBO, IWAE, Capacity, Reconstruction, TotalCorrelation
from vaelab.models.posteriors import ChainPosterior, DiracPosterior, FlowPosterior, GaussianPosterior
from vaelab.models.priors import FlowPrior, GaussianMixture, StandardNormal
from vaelab.models.vae import ConditionalModel, LatentVariableModel


class Densities(Inference):
    """An Inference whose densities are given."""

    def __init__(self, log_px: torch.Tensor, kl: torch.Tensor) -> None:
        self.log_px, self.kl, self.log_ratio = log_px, kl, kl


LOG_PX = torch.tensor([[-10.0, -20.0, -30.0], [-12.0, -18.0, -33.0]])  # (K, B) = (2, 3)
KL = torch.tensor([1.0, 2.0, 3.0])


@pytest.mark.parametrize("kl", [KL, torch.stack([KL - 0.5, KL + 0.5])])
def test_elbo_averages_samples_and_multiplies_the_kl_by_beta(kl):
    loss = ELBO(samples=2)(Densities(LOG_PX, kl), 4.0)
    torch.testing.assert_close(loss, torch.tensor([11.0 + 4, 19.0 + 8, 31.5 + 12]))


def test_reconstruction_ignores_beta():
    inference = Densities(LOG_PX, KL)
    torch.testing.assert_close(Reconstruction()(inference, 1.0), Reconstruction()(inference, 100.0))
    torch.testing.assert_close(Reconstruction()(inference, 1.0), ELBO()(inference, 0.0))


@pytest.mark.parametrize("samples", [0, -1, 1.5, "two"])
def test_a_number_of_samples_below_one_is_refused(samples):
    with pytest.raises(ValueError, match=r"loss\.samples must be a whole number of at least 1, got"):
        ELBO(samples)


def test_a_dirac_posterior_has_no_bound():
    model = LatentVariableModel(DiracPosterior(NETWORK, 4), BernoulliLikelihood(NETWORK, 4), StandardNormal(4))
    assert not model.has_bound
    for objective in (ELBO(), IWAE(), Capacity(), TotalCorrelation()):
        with pytest.raises(ValueError, match=r"posterior=gaussian or loss=(reconstruction|elbo)"):
            objective.check(model)


# ---- free bits -----------------------------------------------------------------------------------------------


def test_without_free_bits_the_loss_is_the_elbo():
    torch.manual_seed(0)
    inference = vae()(torch.rand(5, *IMAGE))
    torch.testing.assert_close(ELBO(free_bits=0.0)(inference, 0.7), ELBO()(inference, 0.7))
    torch.testing.assert_close(ELBO(free_bits=1e-9)(inference, 0.7), ELBO()(inference, 0.7))


@pytest.mark.parametrize("free_bits", [0.01, 0.1, 2.0])
def test_every_latent_costs_at_least_its_free_bits(free_bits):
    torch.manual_seed(0)
    inference = vae()(torch.rand(5, *IMAGE), 2)
    per_latent = inference.kl_per_latent.mean(0)
    expected = -inference.log_px.mean() + 0.7 * torch.clamp(per_latent, min=free_bits).sum()
    torch.testing.assert_close(ELBO(samples=2, free_bits=free_bits)(inference, 0.7).mean(), expected)
    torch.testing.assert_close(inference.kl_per_latent.sum(1), inference.kl)


def test_latents_below_their_free_bits_have_no_kl_gradient():
    model = vae()
    inference = model(torch.rand(5, *IMAGE))
    (ELBO(free_bits=100.0)(inference, 1.0) - Reconstruction()(inference, 1.0)).sum().backward()
    assert max(float(parameter.grad.abs().max()) for parameter in model.posterior.parameters()) < 1e-5


@pytest.mark.parametrize("prior", [GaussianMixture(3), FlowPrior(3)])
def test_free_bits_need_a_kl_term_for_each_latent(prior):
    model = LatentVariableModel(GaussianPosterior(NETWORK, 3), BernoulliLikelihood(NETWORK, 3), prior)
    ELBO().check(model)
    with pytest.raises(ValueError, match=r"loss\.free_bits=0\.5 needs .* prior=normal"):
        ELBO(free_bits=0.5).check(model)


# ---- importance weights --------------------------------------------------------------------------------------


def test_iwae_is_the_log_mean_of_the_weights():
    kl = torch.tensor([[1.0, 2.0, 3.0], [2.0, 1.0, 0.5]])
    expected = -((LOG_PX - kl).exp().mean(0)).log()
    torch.testing.assert_close(IWAE(samples=2)(Densities(LOG_PX, kl), 1.0), expected)


def test_a_sampled_kl_term_is_the_mean_of_the_log_ratios():
    model, x = vae(3), torch.rand(4, *IMAGE)
    inference = model(x, 3)
    ratio = inference.q.log_prob(inference.z) - inference.p.log_prob(inference.z)
    expected = 0.7 * ratio.mean(0) - inference.log_px.mean(0)
    torch.testing.assert_close(ELBO(samples=3, kl="sampled")(inference, 0.7), expected)


def test_a_sampled_kl_term_has_the_mean_of_the_closed_one():
    torch.manual_seed(0)
    model, x = vae(3), torch.rand(2, *IMAGE)
    with torch.no_grad():
        inference = model(x, 20_000)
        difference = (ELBO(kl="sampled")(inference, 1.0) - ELBO()(inference, 1.0)).abs()
        assert (difference < 5 * inference.log_ratio.std(0) / math.sqrt(20_000)).all()
        assert (difference > 0).all()


def posteriors() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    return {
        "gaussian": GaussianPosterior(NETWORK, 2),
        "chain": ChainPosterior(NETWORK, 2, hidden=[4]),
        "flow": FlowPosterior(NETWORK, 2, transforms=1, hidden=[4], context=3),
    }


@pytest.mark.parametrize("beta", [1.0, 0.4])
@pytest.mark.parametrize("posterior", posteriors().values(), ids=posteriors())
def test_dreg_has_the_value_of_iwae_and_its_expected_gradient(posterior, beta):
    """Over many draws both estimate the same gradient; the difference is within its standard error."""
    torch.manual_seed(0)
    model = LatentVariableModel(copy.deepcopy(posterior), BernoulliLikelihood(NETWORK, 2), StandardNormal(2))
    for parameter in model.parameters():
        parameter.data *= 1.5
    x, rounds = torch.rand(1, *IMAGE).expand(400, *IMAGE), 25
    gradients: dict[bool, list[torch.Tensor]] = {False: [], True: []}
    for dreg, found in gradients.items():
        objective = IWAE(samples=3, dreg=dreg)
        for step in range(rounds):
            torch.manual_seed(step)
            model.zero_grad()
            inference = model(x, 3)
            loss = objective(inference, beta)
            torch.testing.assert_close(loss, IWAE(samples=3)(inference, beta))
            loss.mean().backward()
            found.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
    plain, doubly = (torch.stack(found) for found in gradients.values())
    error = ((plain - doubly).var(0) / rounds).sqrt()
    assert (((plain - doubly).mean(0)).abs() < 5 * error + 1e-5).all()
    assert float(plain.norm(dim=1).mean()) > 0.01


def test_dreg_has_exactly_the_decoder_gradient_of_iwae():
    model, x = vae(), torch.rand(5, *IMAGE)
    found = []
    for dreg in (False, True):
        torch.manual_seed(1)
        model.zero_grad()
        IWAE(samples=4, dreg=dreg)(model(x, 4), 1.0).sum().backward()
        found.append([parameter.grad.clone() for parameter in model.likelihood.parameters()])
    for plain, doubly in zip(*found, strict=True):
        torch.testing.assert_close(plain, doubly)


def test_the_dreg_encoder_gradient_is_zero_at_the_exact_posterior(images):
    """Every sample has the weight p(x) there: the plain gradient is noise, the DReG gradient is zero."""
    model, _ = probabilistic_pca(images, 2)
    model.requires_grad_(True)
    norms = []
    for dreg in (False, True):
        torch.manual_seed(0)
        model.zero_grad()
        IWAE(samples=5, dreg=dreg)(model(images[:20], 5), 1.0).sum().backward()
        norms.append(float(torch.cat([p.grad.flatten() for p in model.posterior.parameters()]).norm()))
    assert norms[0] > 1.0
    assert norms[1] < 1e-9


def models_of_drawn_samples() -> dict[str, torch.nn.Module]:
    """At their labels, or at a β for each of three images."""
    made = {
        name: LatentVariableModel(posterior, BernoulliLikelihood(NETWORK, 2), StandardNormal(2))
        for name, posterior in posteriors().items()
    }
    made["conditional"] = ConditionalModel(
        GaussianPosterior(NETWORK, 2), partial(BernoulliLikelihood, NETWORK), StandardNormal(2), 2, 3, IMAGE
    ).given(torch.tensor([0, 2, 1]))
    pieces = vae(2)
    made["multirate"] = MultirateModel(pieces.posterior, pieces.likelihood, pieces.prior)
    return made


@pytest.mark.parametrize("dreg", [False, True])
@pytest.mark.parametrize("beta", [1.0, 0.4])
@pytest.mark.parametrize("name", models_of_drawn_samples())
def test_the_expected_gradient_of_drawn_samples_is_that_of_all(name, beta, dreg, monkeypatch):
    """Exactly: the sum over the samples that can be drawn, with their probabilities. The loss is the same for each."""
    model, x, samples = models_of_drawn_samples()[name].double(), torch.rand(3, *IMAGE, dtype=torch.float64), 5
    if name == "multirate":
        for parameter in model.parameters():  # its gates begin without a response to β
            parameter.data += 0.3 * torch.randn_like(parameter)
        beta = torch.tensor([0.3, 1.0, 2.0], dtype=torch.float64)
        model = model.at(beta)
    for parameter in model.parameters():
        parameter.data *= 1.5

    def gradient(loss: torch.Tensor) -> torch.Tensor:
        model.zero_grad()
        loss.sum().backward()
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])

    torch.manual_seed(1)
    whole = model(x, samples)
    weights = (whole.log_px - beta * whole.log_ratio).detach().softmax(0)
    bound = IWAE(samples)(whole, beta).detach()
    metric = IWAE(samples).metrics(whole)["iwae"]
    expected = gradient(IWAE(samples, dreg=dreg)(whole, beta))
    objective = IWAE(samples, dreg=dreg, gradient_samples=1)
    found = torch.zeros_like(expected)
    for k in range(samples):
        monkeypatch.setattr(drawn_samples, "systematic", lambda weights, count, k=k: torch.full((1, 3), k))
        torch.manual_seed(1)
        inference = objective.infer(model, x, beta)
        loss = objective(inference, beta)
        torch.testing.assert_close(loss.detach(), bound)
        torch.testing.assert_close(objective.metrics(inference)["iwae"], metric)
        found += gradient(weights[k] * loss)
    torch.testing.assert_close(found, expected)
    assert float(weights.max(0).values.min()) < 0.9  # no sample has all the weight
    assert float(expected.norm()) > 0.01


@pytest.mark.parametrize("count", [1, 3, 7])
def test_samples_are_drawn_in_proportion_to_their_weights(count):
    """Systematic resampling: sample k is drawn M w_k times, rounded up or down, and so often in the mean."""
    torch.manual_seed(0)
    weights = torch.tensor([0.0, 0.5, 0.05, 0.3, 0.15]).unsqueeze(1).expand(5, 4_000)
    index = systematic(weights, count)
    assert index.shape == (count, 4_000)
    drawn = torch.stack([(index == k).sum(0) for k in range(5)]).float()
    expected = count * weights
    assert ((drawn - expected).abs() < 1).all()
    torch.testing.assert_close(drawn.mean(1), expected[:, 0], atol=0.04, rtol=0)
    assert not drawn[0].any()


def test_a_weight_that_rounding_leaves_below_one_draws_the_last_sample():
    weights = torch.full((7, 3), 1 / 7 - 1e-3)
    assert int(systematic(weights, 50).max()) == 6


def test_weights_in_bfloat16_keep_their_gradients_after_a_pass_without():
    """Autocast keeps copies of weights; those of the pass without gradients must not serve the one with them."""
    model, x, found = vae(), torch.rand(5, *IMAGE), []
    for drawn in (None, 3):
        torch.manual_seed(1)
        model.zero_grad()
        objective = IWAE(4, gradient_samples=drawn)
        with torch.autocast("cpu", torch.bfloat16):
            loss = objective(objective.infer(model, x, 1.0), 1.0).sum()
        loss.backward()
        found.append([float(parameter.grad.norm()) for parameter in model.parameters()])
    assert all(norm > 0 for norm in found[0])
    assert all(norm > 0 for norm in found[1])


def test_a_training_begins_with_the_first_samples():
    model, x = vae(), torch.rand(5, *IMAGE)
    objective = IWAE(8, first_samples=2, first_part=0.5)
    assert [len(objective.infer(model, x, 1.0, progress).z) for progress in (0.0, 0.49, 0.5, 1.0)] == [2, 2, 8, 8]
    with torch.no_grad():
        assert len(objective.infer(model, x, 1.0, 0.0).z) == 8
    objective = IWAE(8, first_samples=2, gradient_samples=3)
    assert type(objective.infer(model, x, 1.0, 0.0)) is Inference
    assert objective.infer(model, x, 1.0, 0.9).log_px.shape == (8, 5)


@pytest.mark.parametrize(
    "options",
    [
        *({"gradient_samples": count} for count in (0, 5, 9)),
        *({"first_samples": count} for count in (0, 5, 7)),
        *({"first_part": share} for share in (-1, 1.5)),
    ],
)
def test_samples_that_do_not_fit_are_refused(options):
    with pytest.raises(ValueError, match=rf"loss\.{next(iter(options))}"):
        IWAE(5, **options)


def test_a_frozen_encoder_leaves_the_drawn_samples_without_its_gradient():
    model, x = vae(), torch.rand(5, *IMAGE)
    model.posterior.requires_grad_(False)
    objective = IWAE(4, dreg=True, gradient_samples=2)
    objective(objective.infer(model, x, 1.0), 1.0).sum().backward()
    assert all(parameter.grad.any() for parameter in model.likelihood.parameters())
    assert not any(parameter.grad is not None for parameter in model.posterior.parameters())


def test_an_objective_with_its_own_infer_is_not_one_that_calls_the_model_alone():
    class Mine(IWAE):
        def infer(self, model, x, beta, progress=1.0):
            return model(x, 2 * self.samples)

    class Other(ELBO):
        infer = Mine.infer

    assert ELBO().infers_by_model
    assert IWAE(5).infers_by_model
    assert not any(piece.infers_by_model for piece in (Mine(5), Other(), IWAE(5, first_samples=2)))


@pytest.mark.parametrize("options", [{"dreg": True}, {"gradient_samples": 2}])
def test_gradients_by_latents_need_latents_that_are_not_discrete(options):
    model = vae()
    model.has_continuous_latents = False
    IWAE(5).check(model)
    name = next(iter(options))
    with pytest.raises(ValueError, match=rf"loss\.{name}=\w+ differentiates by latents.*: leave it out"):
        IWAE(5, **options).check(model)


def test_more_samples_tighten_the_bound(images):
    model, log_p = probabilistic_pca(images, 2)
    model.posterior.network[1][0].bias.data += 0.5  # the posterior is no longer exact
    bounds = []
    for samples in (1, 5, 50):
        torch.manual_seed(0)
        bounds.append(-float(IWAE(samples)(model(images, samples), 1.0).mean()))
    assert bounds[0] + 0.05 < bounds[1] < bounds[2] < log_p.mean()


# ---- capacity ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("progress", "target"), [(0.0, 0.0), (0.25, 1.0), (0.5, 2.0), (1.0, 2.0)])
def test_capacity_is_the_distance_of_the_rate_from_a_rising_target(progress, target):
    loss = Capacity(capacity=2.0, warmup=0.5)(Densities(LOG_PX, KL), 10.0, progress)
    torch.testing.assert_close(loss, -LOG_PX.mean(0) + 10 * (KL - target).abs())


def test_a_capacity_of_zero_is_the_elbo():
    inference = Densities(LOG_PX, KL)
    torch.testing.assert_close(Capacity(capacity=0.0)(inference, 3.0), ELBO()(inference, 3.0))


# ---- total correlation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", [StandardNormal(3), GaussianMixture(3)])
def test_the_three_parts_add_up_to_the_kl_estimate(prior):
    torch.manual_seed(0)
    model = LatentVariableModel(GaussianPosterior(NETWORK, 3), BernoulliLikelihood(NETWORK, 3), prior)
    objective = TotalCorrelation(samples=2, images=100)
    inference = model(torch.rand(8, *IMAGE), 2)
    parts = objective.metrics(inference)
    torch.testing.assert_close(sum(parts.values()), inference.log_ratio.mean(0))
    torch.testing.assert_close(objective(inference, 1.0), -inference.log_px.mean(0) + inference.log_ratio.mean(0))
    loss = objective(inference, 4.0) - objective(inference, 1.0)
    torch.testing.assert_close(loss, 3 * parts["total_correlation"])


def test_independent_latents_have_no_total_correlation():
    """All posteriors are the same Gaussian: q(z) is that Gaussian, and z does not depend on x."""
    model = vae()
    for parameter in model.posterior.parameters():
        parameter.data.zero_()
    parts = TotalCorrelation(images=8).metrics(model(torch.rand(8, *IMAGE)))
    for name, part in parts.items():
        torch.testing.assert_close(part, torch.zeros(8), atol=1e-5, rtol=0, msg=name)


def test_total_correlation_needs_a_product_posterior():
    model = LatentVariableModel(FlowPosterior(NETWORK, 3), BernoulliLikelihood(NETWORK, 3), StandardNormal(3))
    with pytest.raises(ValueError, match=r"FlowPosterior has none: take posterior=gaussian or loss=elbo"):
        TotalCorrelation().check(model)


def test_reconstruction_with_a_learnt_prior_is_refused():
    model = LatentVariableModel(GaussianPosterior(NETWORK, 3), BernoulliLikelihood(NETWORK, 3), GaussianMixture(3))
    with pytest.raises(ValueError, match=r"GaussianMixture is learnt: take prior=normal or loss=elbo"):
        Reconstruction().check(model)


@pytest.mark.parametrize("warmup", [-0.1, 1.5, float("nan")])
def test_a_warmup_outside_0_to_1_is_refused(warmup):
    with pytest.raises(ValueError, match=r"loss\.warmup"):
        Capacity(warmup=warmup)
