"""The multi-rate VAE: its gates against plain networks with scaled weights, and the optimum of linear models."""

import copy
import math
import pickle

import pytest
import torch
from compositions import composed, experiment, module_of, small_data
from torch import nn

from vaelab.models.likelihoods import BernoulliLikelihood, GaussianLikelihood
from vaelab.models.multirate import GatedLayer, MultirateModel
from vaelab.models.networks import MLP, ConvNet
from vaelab.models.objectives import ELBO, IWAE
from vaelab.models.posteriors import ChainPosterior, DiracPosterior, FlowPosterior, GaussianPosterior
from vaelab.models.priors import GaussianMixture, StandardNormal
from vaelab.models.vae import LatentVariableModel
from vaelab.training.schedules import EACH, Range
from vaelab.training.stacked import Stack

SHAPE, LATENT = (1, 9, 6), 3  # odd and not square
NETWORKS = {
    "mlp": MLP(SHAPE, [8, 5]),
    "gated": MLP(SHAPE, [8], gated=True),
    "linear": MLP(SHAPE, []),
    "conv": ConvNet(SHAPE, [8, 8], [12]),
    "resnet": ConvNet(SHAPE, [8, 16], [], blocks=1),
}
X = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0))


def pieces(network: str) -> tuple[GaussianPosterior, BernoulliLikelihood, StandardNormal]:
    torch.manual_seed(0)
    chosen = NETWORKS[network]
    return GaussianPosterior(chosen, LATENT), BernoulliLikelihood(chosen, LATENT), StandardNormal(LATENT)


def model_of(network: str = "mlp", rank: int = 2) -> MultirateModel:
    """A model whose gates respond to β, each in another way."""
    model = MultirateModel(*pieces(network), rank=rank)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if name.endswith(("slope", "offset", "shift", "up.weight")):
            parameter.data = torch.randn(parameter.shape, generator=generator)
    return model


def scaled(layer: nn.Module, gated: GatedLayer, t: float) -> None:
    """Give the plain ``layer`` the weights that ``gated`` has at log β = ``t``."""
    u = gated.gate.offset + gated.gate.slope * t
    factor = (1 - torch.sigmoid(u)).sqrt() if gated.gate.is_decoder else torch.sigmoid(u)
    outputs = 1 if isinstance(layer, nn.ConvTranspose2d) else 0  # the dimension of its weights
    weight = gated.layer.weight
    if gated.down is not None:
        weight = weight + t * gated.up.weight @ gated.down.weight
    layer.weight.copy_(weight * factor.view([-1 if d == outputs else 1 for d in range(weight.dim())]))
    layer.bias.copy_(gated.layer.bias * factor + gated.shift * t)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("beta", [0.3, 1.0, 3.5])
@pytest.mark.parametrize("rank", [0, 2])
def test_gates_at_one_beta_are_a_plain_network_with_scaled_weights(network, beta, rank):
    model, plain = model_of(network, rank).at(beta), LatentVariableModel(*pieces(network))
    t = math.log(beta)
    with torch.no_grad():
        for piece, other in ((model.posterior, plain.posterior), (model.likelihood, plain.likelihood)):
            layers = [m for m in other.network.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))]
            gates = [m for m in piece.network.modules() if isinstance(m, GatedLayer)]
            for layer, gated in zip(layers, gates, strict=True):
                scaled(layer, gated, t)
        q, expected = model.encode(X), plain.encode(X)
        torch.testing.assert_close(q.mean, expected.mean)
        torch.testing.assert_close(q.variance, expected.variance)
        z = torch.randn(2, 5, LATENT)
        latent = (1 - torch.sigmoid(model.latent_gate.offset + model.latent_gate.slope * t)).sqrt()
        torch.testing.assert_close(model.decode(z).mean, plain.decode(z * latent).mean)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("samples", [1, 4])
def test_a_beta_for_each_image_is_what_image_by_image_gives(network, samples):
    model, betas = model_of(network), torch.tensor([0.25, 4.0, 1.0, 0.7, 2.0])
    z = torch.randn(samples, 5, LATENT)
    with torch.no_grad():
        q, decoded = model.at(betas).encode(X), model.at(betas).decode(z).mean
        assert decoded.shape == (samples, *X.shape)
        for index, beta in enumerate(betas.tolist()):
            one = model.at(beta)
            alone = one.encode(X[index : index + 1])
            torch.testing.assert_close(q.mean[index], alone.mean[0])
            torch.testing.assert_close(q.variance[index], alone.variance[0])
            torch.testing.assert_close(decoded[:, index], one.decode(z[:, index]).mean)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("samples", [1, 4])
def test_images_that_share_a_beta_are_computed_as_if_each_had_its_own(network, samples):
    model, x = model_of(network), torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(2))
    betas = torch.tensor([0.25, 4.0, 1.0]).repeat_interleave(2)
    z = torch.randn(samples, 6, LATENT)
    assert model.at(betas)._images == 2
    with torch.no_grad():
        q, decoded = model.at(betas).encode(x), model.at(betas).decode(z).mean
        order = torch.tensor([0, 2, 4, 1, 3, 5])  # no two neighbours share a β
        alone = model.at(betas[order])
        assert alone._images == 1
        torch.testing.assert_close(q.mean[order], alone.encode(x[order]).mean)
        torch.testing.assert_close(decoded[:, order], alone.decode(z[:, order]).mean)


@pytest.mark.parametrize(
    "objective",
    [ELBO(), ELBO(samples=3, kl="sampled"), IWAE(samples=3), IWAE(3, dreg=True), IWAE(3, gradient_samples=2)],
)
def test_the_loss_of_a_batch_has_the_beta_of_each_image(objective):
    model, betas = model_of(), torch.tensor([0.25, 4.0, 1.0, 0.7, 2.0])
    inference = objective.infer(model.at(betas), X, betas)
    losses = objective(inference, betas)
    found = [objective(inference, float(beta))[index] for index, beta in enumerate(betas)]
    torch.testing.assert_close(losses, torch.stack(found))


@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_reach_all_that_responds_to_beta(network):
    model = MultirateModel(*pieces(network), rank=2)
    betas = Range().draw(5)
    ELBO()(model.at(betas)(X), betas).mean().backward()
    added = ("slope", "offset", "shift", "up.weight")
    gates = {name: p.grad for name, p in model.named_parameters() if name.endswith(added)}
    layers = sum(name.endswith("layer.weight") for name, _ in model.named_parameters())
    assert sum(name.endswith("shift") for name in gates) == layers > 0
    linear = sum(isinstance(module, GatedLayer) and module.is_linear for module in model.modules())
    assert sum(name.endswith("up.weight") for name in gates) == linear > 0
    for name, gradient in gates.items():
        assert gradient.any(), name


def test_weights_grow_with_log_beta_within_their_rank():
    model = model_of("mlp", rank=3)
    assert [m.down.out_features for m in model.modules() if isinstance(m, GatedLayer)] == [3] * 6
    assert model_of("mlp", rank=0).posterior.network[-1][0].down is None
    wide = {m.down.out_features for m in model_of("mlp", rank=64).modules() if isinstance(m, GatedLayer)}
    assert wide == {8, 5, 3}  # the smaller side of each layer
    with pytest.raises(ValueError, match=r"model\.rank must be a whole number of at least 0, got -1"):
        model_of("mlp", rank=-1)


def test_at_is_a_view_and_without_it_beta_is_1():
    model = model_of()
    view = model.at(0.25)
    assert [p.data_ptr() for p in view.parameters()] == [p.data_ptr() for p in model.parameters()]
    with torch.no_grad():
        before, low = model.encode(X).mean, view.encode(X).mean
        assert torch.equal(before, model.at(1.0).encode(X).mean)
        assert not torch.allclose(before, low)
        assert torch.equal(model.encode(X).mean, before)  # the view left no β behind
        model.posterior.network[-1][0].layer.weight.zero_()
        assert not torch.equal(view.encode(X).mean, low)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(again.at(4.0).encode(X).mean, model.at(4.0).encode(X).mean)


def test_a_beta_does_not_stay_set_after_an_error():
    model = model_of()
    with pytest.raises(RuntimeError):
        model.at(4.0).encode(torch.rand(2, 1, 3, 3))
    assert model.log_beta.value is None


@pytest.mark.parametrize("beta", [0.2, 4.1])
def test_a_beta_outside_the_range_is_refused(beta):
    with pytest.raises(ValueError, match=rf"for a beta from 0\.25 to 4, got {beta}"):
        model_of().at(beta)


def test_pieces_without_gates_are_refused_with_the_reason():
    posterior, likelihood, prior = pieces("mlp")
    with pytest.raises(ValueError, match=r"one set of weights for every beta, .* take prior=normal"):
        MultirateModel(posterior, likelihood, GaussianMixture(LATENT, 4))
    with pytest.raises(ValueError, match="layers that no gate reaches: take posterior=gaussian"):
        MultirateModel(ChainPosterior(NETWORKS["mlp"], LATENT, bottom=2), likelihood, prior)
    with pytest.raises(ValueError, match=r"must enclose 1, .* got 2 and 4"):
        MultirateModel(posterior, likelihood, prior, low=2.0)
    posterior.network = nn.Flatten()
    with pytest.raises(ValueError, match="no network with linear layers or convolutions"):
        MultirateModel(posterior, likelihood, prior)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["beta=range"], "beta=range is for model=multirate, .* take beta=constant"),
        (["model=multirate", "beta=constant", "model.low=0.25", "model.high=4"], "take beta=range"),
        *((["model=multirate", f"loss={loss}"], "take loss=elbo") for loss in ("tc", "capacity", "reconstruction")),
        (["model=multirate", "posterior=dirac"], "needs a posterior with a density"),
    ],
    ids=str,
)
def test_a_model_a_schedule_and_a_loss_that_do_not_fit_are_refused(words, says):
    with pytest.raises(ValueError, match=says):
        module_of(*words)


def test_draws_are_stratified_and_stay_within_the_margin():
    torch.manual_seed(0)
    schedule, count = Range(low=0.25, high=4.0, margin=1.5), 40
    low, high = math.log(0.25 / 1.5), math.log(4 * 1.5)
    drawn = torch.stack([schedule.draw(count * EACH) for _ in range(50)]).log().view(50, count, EACH)
    assert (drawn == drawn[..., :1]).all()
    assert len(schedule.draw(count * EACH - 3)) == count * EACH - 3
    drawn = drawn[..., 0]
    shares = (drawn - low) / (high - low)
    assert shares.min() >= 0
    assert shares.max() <= 1
    parts = (shares * count).floor().clamp(0, count - 1).sort(1).values  # one draw in each part of the range
    assert (parts == torch.arange(count)).float().mean() > 0.999  # but for rounding at a part's edge
    assert shares[:, 0].std() > 0.2  # in another order each time


def test_training_draws_and_evaluation_is_at_beta_1():
    module = experiment(composed("model=multirate", "latent=3", "network.hidden=[8]", "beta.high=2"))
    assert module.model.betas == (0.25, 2.0)
    x = torch.rand(6, 1, 28, 28)
    with torch.no_grad():
        for gate in (m for m in module.modules() if isinstance(m, GatedLayer)):
            gate.gate.slope.normal_()
        torch.manual_seed(0)
        q = module.infer((x, torch.zeros(6)), 0)[0].q
        torch.manual_seed(0)
        expected = module.model.at(module.beta.draw(6)).encode(x)
        assert torch.equal(q.mean, expected.mean)
        assert torch.equal(module.eval().infer((x, torch.zeros(6)), 0)[0].q.mean, module.model.at(1.0).encode(x).mean)


def test_a_flow_and_a_point_as_posterior():
    network = "mlp"
    _, likelihood, prior = pieces(network)
    flow = MultirateModel(FlowPosterior(NETWORKS[network], LATENT, 1, [4], 4), likelihood, prior)
    assert flow.at(torch.full((5,), 2.0))(X, 2).log_ratio.shape == (2, 5)
    _, likelihood, prior = pieces(network)
    with pytest.raises(ValueError, match="needs a posterior with a density"):
        ELBO().check(MultirateModel(DiracPosterior(NETWORKS[network], LATENT), likelihood, prior))


def test_stacked_runs_refuse_it():
    data = small_data()
    data.setup()
    with pytest.raises(ValueError, match=r"stacked runs have one beta each, .* take model=vae"):
        Stack([module_of("model=multirate")], data, 1)


# ---- the optimum of linear models --------------------------------------------------------------------------------

PIXELS, VARIANCE = 16, 0.1  # σ² of a pixel
EIGENVALUES = [3.0, 2.0, 1.3, 0.9] + 12 * [VARIANCE]
KEPT = 4


def linear_images(count: int = 500) -> torch.Tensor:
    """Images ``(N, 1, 4, 4)`` whose covariance has ``EIGENVALUES`` exactly."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, PIXELS, generator=generator, dtype=torch.float64)
    x = x - x.mean(0)
    whitening = torch.linalg.inv(torch.linalg.cholesky(x.T @ x / count)).T
    axes, _ = torch.linalg.qr(torch.randn(PIXELS, PIXELS, generator=generator, dtype=torch.float64))
    return ((x @ whitening) * torch.tensor(EIGENVALUES).sqrt() @ axes.T + 0.5).float().view(-1, 1, 4, 4)


def optimum(beta: float) -> float:
    """distortion + β rate of the best linear VAE: probabilistic PCA with the noise variance β σ²."""
    rate = sum(0.5 * math.log(value / (beta * VARIANCE)) for value in EIGENVALUES[:KEPT])
    error = sum(EIGENVALUES[KEPT:]) + KEPT * beta * VARIANCE
    return 0.5 * PIXELS * math.log(2 * math.pi * VARIANCE) + error / (2 * VARIANCE) + beta * rate


@pytest.mark.parametrize(("rank", "steps"), [(0, 2_000), (2, 3_000)])  # more weights take longer
def test_a_linear_model_reaches_the_optimum_at_every_beta(rank, steps):
    torch.manual_seed(0)
    x, network, objective, beta = linear_images(), MLP((1, 4, 4), []), ELBO(), Range()
    likelihood = GaussianLikelihood(network, KEPT, mean="identity", sigma=math.sqrt(VARIANCE))
    model = MultirateModel(GaussianPosterior(network, KEPT), likelihood, StandardNormal(KEPT), rank=rank)
    optimizer = torch.optim.Adam(model.parameters(), 3e-2)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        betas = beta.draw(128)
        batch = x[torch.randint(len(x), (128,))]
        optimizer.zero_grad()
        objective(model.at(betas)(batch), betas).mean().backward()
        optimizer.step()
        rate.step()
    with torch.no_grad():
        for value in (0.25, 0.4, 0.6, 1.0, 1.6, 2.5, 4.0):
            loss = float(objective(model.at(value)(x, 100), value).mean())
            assert loss == pytest.approx(optimum(value), rel=0.01), value
