"""Every shipped piece keeps its contract, and a piece that implements the abstract methods alone is enough."""

import math
from functools import partial

import pytest
import torch
from small_models import IMAGE, LINEAR, NETWORK, PIXELS, vae
from torch import Size, Tensor, nn
from torch.distributions import (
    Bernoulli,
    Distribution,
    Independent,
    Laplace,
    MultivariateNormal,
    Normal,
    OneHotCategorical,
    kl_divergence,
)

from vaelab.errors import InputError
from vaelab.models.closed_form import ProbabilisticPCA
from vaelab.models.contracts import Likelihood, Model, Network, Objective, Piece, Posterior, Prior, Schedule
from vaelab.models.distributions import factors, joint, pairwise_log_prob
from vaelab.models.inference import Inference
from vaelab.models.likelihoods import (
    BernoulliLikelihood,
    ContinuousBernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    GaussianLikelihood,
    LaplaceLikelihood,
    LogisticMixtureLikelihood,
)
from vaelab.models.mixture import ExactPosterior, MixtureModel
from vaelab.models.multirate import MultirateModel
from vaelab.models.networks import MLP, ConvNet
from vaelab.models.objectives import ELBO, IWAE, Capacity, Reconstruction, TotalCorrelation
from vaelab.models.posteriors import ChainPosterior, DiracPosterior, FlowPosterior, GaussianPosterior, NoisyPosterior
from vaelab.models.priors import CategoricalPrior, ChainPrior, FlowPrior, GaussianMixture, StandardNormal, VampPrior
from vaelab.models.vae import ConditionalModel, LatentVariableModel, sample_images

LATENT = 3
X = torch.rand(5, *IMAGE, generator=torch.Generator().manual_seed(0))


def mixture() -> MixtureModel:
    return MixtureModel(BernoulliLikelihood(LINEAR, LATENT), CategoricalPrior(LATENT))


def pca() -> ProbabilisticPCA:
    return ProbabilisticPCA(
        GaussianPosterior(LINEAR, LATENT),
        GaussianLikelihood(LINEAR, LATENT, mean="identity"),
        StandardNormal(LATENT),
    )


def conditional() -> Model:
    model = ConditionalModel(
        GaussianPosterior(NETWORK, LATENT),
        lambda latent: BernoulliLikelihood(NETWORK, latent),
        StandardNormal(LATENT),
        LATENT,
        classes=4,
        image=IMAGE,
    )
    return model.given(torch.tensor([0, 1, 2, 3, 0]))


torch.manual_seed(0)  # the same weights in every run of the tests
NETWORKS = {"mlp": MLP(IMAGE, [8]), "conv": ConvNet(IMAGE, [8], []), "resnet": ConvNet(IMAGE, [8], [], blocks=1)}
POSTERIORS = {
    "gaussian": GaussianPosterior(NETWORK, LATENT),
    "noisy": NoisyPosterior(NETWORK, LATENT),
    "noisy, free length": NoisyPosterior(NETWORK, LATENT, normalize=False),
    "dirac": DiracPosterior(NETWORK, LATENT),
    "gaussian, clamped": GaussianPosterior(NETWORK, LATENT, clamp=[-6, 2]),
    "chain": ChainPosterior(NETWORK, LATENT),
    "chain from the top that sees x": ChainPosterior(NETWORK, LATENT, first="top", sees_x=True),
    "flow": FlowPosterior(NETWORK, LATENT),
    "exact": mixture().posterior,
}
LIKELIHOODS = {
    "bernoulli": BernoulliLikelihood(NETWORK, LATENT),
    "bernoulli at the mean": BernoulliLikelihood(NETWORK, LATENT, output_bias="mean"),
    "continuous bernoulli": ContinuousBernoulliLikelihood(NETWORK, LATENT),
    "gaussian": GaussianLikelihood(NETWORK, LATENT, sigma=0.5),
    "gaussian, learnt": GaussianLikelihood(NETWORK, LATENT, learnt=True),
    "gaussian, per pixel": GaussianLikelihood(NETWORK, LATENT, learnt="per_pixel"),
    "gaussian at the mean": GaussianLikelihood(NETWORK, LATENT, learnt="per_pixel", output_bias="mean"),
    "laplace": LaplaceLikelihood(NETWORK, LATENT),
    "discretized logistic": DiscretizedLogisticLikelihood(NETWORK, LATENT),
    "logistic mixture": LogisticMixtureLikelihood(NETWORK, LATENT, IMAGE),
}
PRIORS = {
    "normal": StandardNormal(LATENT),
    "mixture": GaussianMixture(LATENT, components=4),
    "vamp": VampPrior(components=4, image=IMAGE),
    "vamp at random": VampPrior(components=4, image=IMAGE, start="random"),
    "chain with a mixture on top": ChainPrior(LATENT, top=partial(GaussianMixture, components=2)),
    "chain": ChainPrior(LATENT),
    "flow": FlowPrior(LATENT),
    "categorical": CategoricalPrior(LATENT),
}
OBJECTIVES = {
    "elbo": ELBO(),
    "sampled kl": ELBO(kl="sampled"),
    "free bits": ELBO(free_bits=0.1),
    "reconstruction": Reconstruction(),
    "iwae": IWAE(samples=3),
    "dreg": IWAE(samples=3, dreg=True),
    "drawn samples": IWAE(samples=3, gradient_samples=2, first_samples=2, first_part=0.1),
    "capacity": Capacity(),
    "total correlation": TotalCorrelation(images=100),
}


def multirate() -> MultirateModel:
    pieces = vae(LATENT)
    return MultirateModel(pieces.posterior, pieces.likelihood, pieces.prior)


MODELS = {
    "vae": vae(LATENT), "conditional": conditional(), "pca": pca(), "mixture": mixture(), "multirate": multirate(),
}  # fmt: skip


def each(pieces: dict[str, object]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("piece", pieces.values(), ids=pieces.keys())


def is_product(distribution: Distribution) -> bool:
    return isinstance(distribution, Independent) and distribution.reinterpreted_batch_ndims == 1


# ---- shipped pieces ------------------------------------------------------------------------------------------


def test_every_shipped_piece_is_tested_here():
    """The subclasses of each contract, but for private bases and the pieces of tests."""

    def shipped(contract: type) -> set[type]:
        found = {kind for child in contract.__subclasses__() for kind in {child} | shipped(child)}
        return {kind for kind in found if kind.__module__.startswith("vaelab.") and not kind.__name__.startswith("_")}

    for contract, pieces in (
        (Network, NETWORKS), (Posterior, POSTERIORS), (Likelihood, LIKELIHOODS), (Prior, PRIORS),
        (Objective, OBJECTIVES), (Model, MODELS),
    ):  # fmt: skip
        missing = shipped(contract) - {type(piece) for piece in pieces.values()}
        assert missing <= {LatentVariableModel}, contract
    assert type(MODELS["vae"]) is LatentVariableModel


@each(NETWORKS)
def test_networks_keep_their_shapes(piece):
    assert piece.encoder(7)(X).shape == (5, 7)
    assert piece.decoder(LATENT, 2)(torch.randn(2, 5, LATENT)).shape == (2, 5, 2, *IMAGE[1:])


@each(POSTERIORS)
def test_posteriors_keep_their_shapes_and_attributes(piece):
    q = piece(X)
    assert (q.batch_shape, q.event_shape) == (Size([5]), Size([LATENT]))
    assert q.mean.shape == q.variance.shape == (5, LATENT)
    assert q.mean.dtype == X.dtype
    z = q.sample((4,))
    assert z.shape == (4, 5, LATENT)
    if piece.has_density:
        assert q.log_prob(z).shape == (4, 5)
    else:
        with pytest.raises(InputError):
            q.log_prob(z)
    assert piece.is_product == is_product(q)
    assert piece.is_normal == (is_product(q) and isinstance(q.base_dist, Normal))
    if piece.is_product:
        assert factors(q).batch_shape == (5, LATENT)


@each({name: piece for name, piece in POSTERIORS.items() if piece.has_exact_mean and piece.has_density})
def test_an_exact_mean_is_that_of_many_samples(piece):
    torch.manual_seed(0)
    with torch.no_grad():
        q = piece(X)
        z = q.sample((20_000,))
        error = q.stddev / math.sqrt(20_000)
        assert ((z.mean(0) - q.mean).abs() < 5 * error + 1e-6).all()
        torch.testing.assert_close(z.var(0), q.variance, rtol=0.1, atol=1e-3)


@each(POSTERIORS)
def test_outputs_give_the_posterior_where_a_piece_has_them(piece):
    if not piece.has_outputs:
        with pytest.raises(InputError, match=r"lacks the method outputs\(x\)"):
            piece.outputs(X)
        with pytest.raises(InputError, match=r"lacks the method from_outputs\(outputs\)"):
            piece.from_outputs(X)
        return
    outputs = piece.outputs(X)
    assert (outputs.dim(), len(outputs)) == (2, 5)
    z = piece(X).sample((4,))
    torch.testing.assert_close(piece.from_outputs(outputs).log_prob(z), piece(X).log_prob(z))


@each(LIKELIHOODS)
def test_likelihoods_keep_their_shapes_and_attributes(piece):
    torch.manual_seed(0)
    z = torch.randn(2, 5, LATENT)
    px = piece(z)
    assert (px.batch_shape, px.event_shape) == (Size([2, 5]), Size(IMAGE))
    assert px.mean.shape == px.sample().shape == (2, 5, *IMAGE)
    assert px.log_prob(X).shape == (2, 5)
    assert piece(z[0, 0]).batch_shape == ()
    outputs = piece.outputs_at(X)
    assert outputs is None or outputs.shape == X.shape


@each({name: piece for name, piece in LIKELIHOODS.items() if piece.has_exact_mean})
def test_an_exact_mean_of_a_likelihood_is_that_of_many_samples(piece):
    torch.manual_seed(0)
    with torch.no_grad():
        px = piece(torch.randn(3, LATENT))
        drawn = px.sample((4_000,))
        error = drawn.std(0) / math.sqrt(len(drawn))
        assert ((drawn.mean(0) - px.mean).abs() < 5 * error + 1 / 255).all()


@each({name: piece for name, piece in LIKELIHOODS.items() if piece.levels})
def test_a_likelihood_of_levels_draws_levels_and_has_probabilities(piece):
    torch.manual_seed(0)
    with torch.no_grad():
        px = piece(torch.randn(3, LATENT))
        drawn = px.sample((50,))
        levels = drawn * (piece.levels - 1)
        torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
        assert len(levels.round().unique()) > 100
        assert float(px.log_prob(drawn).max()) <= 0


@each(LIKELIHOODS)
def test_pairwise_densities_of_likelihoods_are_the_single_ones(piece):
    torch.manual_seed(0)
    z = torch.randn(6, LATENT)
    with torch.no_grad():
        single = torch.stack([piece(z[m]).log_prob(X) for m in range(6)], -1)
        torch.testing.assert_close(pairwise_log_prob(piece(z), X), single, rtol=1e-4, atol=1e-4)


@each(LIKELIHOODS)
def test_the_pixel_variance_is_that_of_every_pixel(piece):
    if piece.pixel_variance is None:
        if not isinstance(piece, GaussianLikelihood):
            with pytest.raises(InputError, match=r"no variance that all pixels share"):
                piece.set_pixel_variance(torch.tensor(1.0))
        return
    before = piece.pixel_variance
    variance = piece(torch.randn(2, LATENT)).variance.detach()
    torch.testing.assert_close(variance, torch.full_like(variance, before))
    piece.set_pixel_variance(torch.tensor(0.04))
    assert piece.pixel_variance == pytest.approx(0.04)
    piece.set_pixel_variance(torch.tensor(before))


@each(PRIORS)
def test_priors_keep_their_shapes_and_attributes(piece):
    p = piece(POSTERIORS["gaussian"])
    assert (p.batch_shape, p.event_shape) == (Size(), Size([LATENT]))
    z = p.sample((4, 5))
    assert z.shape == (4, 5, LATENT)
    assert p.log_prob(z).shape == (4, 5)
    assert piece.is_product == is_product(p)
    assert piece.is_discrete == isinstance(p, OneHotCategorical)
    if piece.is_standard_normal:
        unit = Independent(Normal(torch.zeros(LATENT), torch.ones(LATENT)), 1)
        assert float(kl_divergence(p, unit)) == 0
    images = piece.images()
    assert images is None or (images.shape[1:] == IMAGE and 0 <= images.min() <= images.max() <= 1)


@each({**POSTERIORS, **LIKELIHOODS, **PRIORS, **MODELS})
def test_only_pieces_that_start_from_images_are_changed_by_them(piece):
    state = {name: value.clone() for name, value in piece.state_dict().items()}
    images = torch.rand(40, *IMAGE, generator=torch.Generator().manual_seed(1))
    piece.start_from_images(images, torch.Generator().manual_seed(0))
    changed = any(not torch.equal(value, state[name]) for name, value in piece.state_dict().items())
    assert changed == piece.starts_from_images


@each({**POSTERIORS, **LIKELIHOODS})
def test_pieces_with_a_network_have_it_compiled(piece):
    networks = [network for part in piece.modules() if isinstance(part, Piece) for network in part.networks()]
    assert bool(networks) != isinstance(piece, ExactPosterior)


@each(OBJECTIVES)
def test_objectives_keep_their_shapes_and_attributes(piece):
    torch.manual_seed(0)
    model = vae(LATENT)
    piece.check(model)
    piece.set_training_images(100)
    inference = piece.infer(model, X, 0.7, 0.5)
    loss = piece(inference, 0.7, 0.5)
    assert loss.shape == (5,)
    assert all(metric.shape == (5,) for metric in piece.metrics(inference).values())
    assert piece.criterion in {None, "elbo", "distortion", *piece.metrics(inference)}
    losses = [float(piece(inference, beta).detach().sum()) for beta in (0.5, 2.0)]
    assert piece.weighs_kl == (losses[0] != losses[1])
    if piece.weighs_whole_kl:  # with one sample, and an exact KL term or its estimate
        single = model(X, 1)
        single.kl = single.log_ratio
        if not (isinstance(piece, ELBO) and piece.free_bits):
            torch.testing.assert_close(piece(single, 0.7), (0.7 * single.log_ratio - single.log_px)[0])


@each(OBJECTIVES)
def test_objectives_say_whether_they_differentiate_by_latents_within_the_loss(piece, monkeypatch):
    calls = []
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *args, **options: calls.append(1) or grad(*args, **options))
    piece(vae(LATENT)(X, piece.samples), 1.0)
    assert piece.has_latent_gradients == bool(calls)


@each(MODELS)
def test_models_keep_their_shapes_and_attributes(piece):
    inference = piece(X, 2)
    assert isinstance(inference, Inference)
    assert (inference.q.batch_shape, inference.q.event_shape) == (Size([5]), Size([LATENT]))
    assert inference.px.batch_shape == inference.z.shape[:-1]
    assert inference.log_px.shape[1:] == inference.log_ratio.shape[1:] == (5,)
    assert inference.rate.shape == (5,)
    assert (piece.encode(X).batch_shape, piece.encode(X).event_shape) == ((5,), (LATENT,))
    z = piece.encode(X).sample((4,))
    assert (piece.decode(z).batch_shape, piece.decode(z).event_shape) == ((4, 5), IMAGE)
    assert piece.reconstruct(inference.q).shape == X.shape
    assert piece.prior_distribution().event_shape == (LATENT,)
    assert piece.sample_latents(5).shape == (5, LATENT)
    z, px = piece.sample(5)
    assert (z.shape, px.mean.shape) == ((5, LATENT), X.shape)
    assert piece.has_bound
    assert piece.has_kl_per_latent == (not isinstance(piece, MixtureModel))
    assert piece.is_solved == isinstance(piece, ProbabilisticPCA)
    assert piece.has_continuous_latents == (not isinstance(piece.prior_distribution(), OneHotCategorical))
    if piece.has_kl_per_latent:
        torch.testing.assert_close(inference.kl_per_latent.sum(1), inference.kl)


@each(MODELS)
def test_models_given_labels_share_their_weights(piece):
    labels = torch.tensor([1, 0, 3, 2, 1])
    given = piece.given(labels)
    assert all(ours is theirs for ours, theirs in zip(given.parameters(), piece.parameters(), strict=True))
    assert (given is piece) == (piece.classes is None)
    images = sample_images(piece, labels)
    assert images.shape == X.shape


# ---- pieces of a user ----------------------------------------------------------------------------------------


class UserNetwork(Network):
    def encoder(self, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, outputs))

    def decoder(self, latent: int, channels: int) -> nn.Module:
        return nn.Sequential(nn.Linear(latent, channels * PIXELS), nn.Unflatten(-1, (channels * IMAGE[0], *IMAGE[1:])))


class UserPosterior(Posterior):
    """Latents that depend on each other: no product."""

    def __init__(self, network: Network, latent: int) -> None:
        super().__init__()
        self.encoder = network.encoder(latent)
        self.lower = nn.Parameter(torch.eye(latent) + 0.1 * torch.ones(latent, latent).tril(-1))

    def forward(self, x: Tensor) -> Distribution:
        return MultivariateNormal(self.encoder(x), scale_tril=self.lower.tril())


class UserLikelihood(Likelihood):
    def __init__(self, network: Network, latent: int) -> None:
        super().__init__()
        self.decoder = network.decoder(latent, 1)

    def forward(self, z: Tensor) -> Distribution:
        return Independent(Normal(self.decoder(z), 0.5), 3)


class UserPrior(Prior):
    def __init__(self, latent: int) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(latent))

    def forward(self, posterior: Posterior) -> Distribution:
        return Independent(Laplace(self.loc, 1.0), 1)


class UserObjective(Objective):
    """Squared KL term."""

    def __call__(self, inference: Inference, beta: float, progress: float = 1.0) -> Tensor:
        return beta * inference.rate.square() - inference.log_px.mean(0)


class UserSchedule(Schedule):
    def __call__(self, step: int, steps: int) -> float:
        return step / steps


class UserModel(Model):
    """Posterior collapse by construction: the decoder ignores the latents."""

    def __init__(self) -> None:
        super().__init__()
        self.posterior = GaussianPosterior(NETWORK, LATENT)
        self.likelihood = BernoulliLikelihood(NETWORK, LATENT)
        self.prior = StandardNormal(LATENT)

    def forward(self, x: Tensor, samples: int = 1) -> Inference:
        q = self.encode(x)
        z = q.rsample((samples,))
        return Inference(x, z, q, self.prior_distribution(), self.decode(z))

    def encode(self, x: Tensor) -> Distribution:
        return self.posterior(x)

    def decode(self, z: Tensor) -> Distribution:
        return self.likelihood(torch.zeros_like(z))

    def reconstruct(self, q: Distribution) -> Tensor:
        return self.decode(q.mean).mean


NETWORK_OF_USER = UserNetwork()
USER_MODELS = {
    "network": lambda: LatentVariableModel(
        GaussianPosterior(NETWORK_OF_USER, LATENT), BernoulliLikelihood(NETWORK_OF_USER, LATENT), StandardNormal(LATENT)
    ),
    "posterior": lambda: LatentVariableModel(
        UserPosterior(NETWORK, LATENT), BernoulliLikelihood(NETWORK, LATENT), StandardNormal(LATENT)
    ),
    "likelihood": lambda: LatentVariableModel(
        GaussianPosterior(NETWORK, LATENT), UserLikelihood(NETWORK, LATENT), StandardNormal(LATENT)
    ),
    "prior": lambda: LatentVariableModel(
        GaussianPosterior(NETWORK, LATENT), BernoulliLikelihood(NETWORK, LATENT), UserPrior(LATENT)
    ),
    "all": lambda: LatentVariableModel(
        UserPosterior(NETWORK_OF_USER, LATENT), UserLikelihood(NETWORK_OF_USER, LATENT), UserPrior(LATENT)
    ),
    "model": UserModel,
}


@pytest.mark.parametrize(
    "objective",
    [ELBO(samples=2), IWAE(samples=3), IWAE(3, dreg=True), IWAE(3, dreg=True, gradient_samples=2), UserObjective()],
)
@pytest.mark.parametrize("make", USER_MODELS.values(), ids=USER_MODELS.keys())
def test_minimal_pieces_of_a_user_train(make, objective):
    torch.manual_seed(0)
    model = make()
    if isinstance(model, UserModel) and not objective.infers_by_model:
        with pytest.raises(ValueError, match=r"without calling UserModel\.forward: leave it out"):
            objective.check(model)
        return
    objective.check(model)
    assert model.has_bound
    assert not model.starts_from_images
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        beta = UserSchedule().end
        loss = objective(objective.infer(model, X, beta), beta).mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) < sum(losses[:10])
    assert model.reconstruct(model.encode(X)).shape == X.shape
    assert model.sample(2)[1].mean.shape == (2, *IMAGE)


def test_minimal_pieces_of_a_user_make_no_promises():
    model = USER_MODELS["all"]()
    assert not model.has_kl_per_latent
    assert model.likelihood.pixel_variance is None
    assert model.likelihood.outputs_at(X) is None
    assert model.prior.images() is None
    with pytest.raises(InputError, match="UserPosterior has none"):
        TotalCorrelation().check(model)
    with pytest.raises(InputError, match=r"loss\.free_bits"):
        ELBO(free_bits=0.1).check(model)


def test_an_elbo_of_user_pieces_without_a_closed_form_is_estimated_from_samples():
    torch.manual_seed(0)
    model = USER_MODELS["all"]()
    inference = model(X, 7)
    assert inference.kl.shape == (7, 5)
    expected = inference.q.log_prob(inference.z) - inference.p.log_prob(inference.z)
    torch.testing.assert_close(inference.rate, expected.mean(0))
    torch.testing.assert_close(ELBO()(inference, 1.0), (expected - inference.px.log_prob(X)).mean(0))


@pytest.mark.parametrize("contract", [Network, Posterior, Likelihood, Prior, Objective, Schedule, Model])
def test_a_piece_without_the_abstract_methods_cannot_be_made(contract):
    incomplete = type("Incomplete", (contract,), {})
    with pytest.raises(TypeError, match="abstract"):
        incomplete()


# ---- broken contracts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "distribution",
    [
        MultivariateNormal(torch.zeros(3), torch.eye(3)),
        Normal(torch.zeros(3), torch.ones(3)),
        Independent(Normal(torch.zeros(2, 3), torch.ones(2, 3)), 2),
        joint(Bernoulli(torch.zeros(3)), 0),
    ],
    ids=["no Independent", "three events", "two dimensions", "no dimension"],
)
def test_what_is_no_product_over_latents_is_refused_in_one_line(distribution):
    with pytest.raises(InputError, match=r"is_product = True must return .*Independent\(\.\.\., 1\), got") as error:
        factors(distribution)
    assert "\n" not in str(error.value)


def test_a_piece_that_breaks_is_product_is_named_by_its_distribution():
    class Broken(UserPosterior):
        is_product = True

    model = LatentVariableModel(Broken(NETWORK, LATENT), BernoulliLikelihood(NETWORK, LATENT), StandardNormal(LATENT))
    with pytest.raises(InputError, match="got MultivariateNormal"):
        _ = model(X).kl_per_latent


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"posterior": None},
            r"posterior=none leaves LatentVariableModel without a posterior: take posterior=gaussian",
        ),
        ({"posterior": {"network": None}}, r"posterior=none leaves LatentVariableModel without a posterior"),
        ({"prior": nn.Identity()}, r"Identity must derive from vaelab\.models\.contracts\.Prior"),
        ({"likelihood": StandardNormal(3)}, r"StandardNormal must derive from vaelab\.models\.contracts\.Likelihood"),
        ({"prior": CategoricalPrior(3)}, r"CategoricalPrior is a prior of discrete latents .* take prior=normal"),
        ({"visible": 0}, r"model\.visible must be a whole number of at least 1, got 0"),
    ],
)
def test_missing_and_wrong_pieces_of_a_model_are_refused(changes, says):
    pieces = {
        "posterior": GaussianPosterior(NETWORK, 3),
        "likelihood": BernoulliLikelihood(NETWORK, 3),
        "prior": StandardNormal(3),
    }
    with pytest.raises(InputError, match=says):
        LatentVariableModel(**{**pieces, **changes})


def test_a_discrete_prior_without_one_hot_vectors_is_refused():
    class Broken(UserPrior):
        is_discrete = True

    model = MixtureModel(BernoulliLikelihood(LINEAR, LATENT), Broken(LATENT))
    with pytest.raises(InputError, match=r"Broken sets is_discrete, so its forward must return .*OneHotCategorical"):
        model(X)


def test_a_mixture_of_an_expensive_likelihood_is_refused():
    with pytest.raises(InputError, match=r"LaplaceLikelihood is too slow: take likelihood=bernoulli"):
        MixtureModel(LaplaceLikelihood(LINEAR, LATENT), CategoricalPrior(LATENT))


def test_a_conditional_model_without_labels_is_refused():
    model = ConditionalModel(
        GaussianPosterior(NETWORK, LATENT),
        lambda latent: BernoulliLikelihood(NETWORK, latent),
        StandardNormal(LATENT),
        LATENT,
        classes=4,
        image=IMAGE,
    )
    with pytest.raises(InputError, match=r"needs labels: model\.given\(labels\)"):
        model(X)
