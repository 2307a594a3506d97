"""Every valid choice of groups, composed from conf/ as the command line composes it."""

import copy
import itertools
import math
from pathlib import Path

import pytest
import torch
from compositions import CONF, composed, experiment, members
from conftest import SMALL

from vaelab.models.inference import Inference
from vaelab.models.objectives import IWAE
from vaelab.runs.load import load_run
from vaelab.runs.prepare import make_module
from vaelab.runs.results import read_results

BATCH = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(6)
GROUPS = ("network", "posterior", "likelihood", "prior", "loss")
PRIORS = [prior for prior in members("prior") if prior != "categorical"]  # of continuous latents
POSTERIORS = [posterior for posterior in members("posterior") if posterior != "none"]
LEARNT = {"gaussian": "true", "laplace": "per_pixel", "discretized_logistic": "true"}


def is_valid(posterior: str, prior: str, loss: str) -> bool:
    """Which posteriors, priors and losses go together."""
    if loss == "reconstruction":
        return prior == "normal"  # it would not train another
    return posterior != "dirac" and (loss != "tc" or posterior in ("gaussian", "noisy"))


def choices() -> list[tuple[str, ...]]:
    """Every posterior with every prior and loss, and every network with every likelihood and posterior.

    The members of the other groups take turns. Networks and priors never exchange anything, so their pairs add nothing.
    """
    networks, likelihoods = itertools.cycle(members("network")), itertools.cycle(members("likelihood"))
    pairs = list(itertools.product(POSTERIORS, PRIORS, members("loss")))
    valid = [choice for choice in pairs if is_valid(*choice)]
    first = [(next(networks), posterior, next(likelihoods), prior, loss) for posterior, prior, loss in valid]
    turns = {posterior: itertools.cycle([c for c in valid if c[0] == posterior]) for posterior in POSTERIORS}
    second = []
    for network, likelihood, posterior in itertools.product(members("network"), members("likelihood"), POSTERIORS):
        _, prior, loss = next(turns[posterior])
        second.append((network, posterior, likelihood, prior, loss))
    return sorted({*first, *second})


def words_of(choice: tuple[str, ...]) -> list[str]:
    """The command line for a choice, small."""
    words = [f"{group}={member}" for group, member in zip(GROUPS, choice, strict=True)]
    _, _, likelihood, prior, _ = choice
    words += [f"likelihood.learnt={LEARNT[likelihood]}"] if likelihood in LEARNT else []
    words += ["prior.components=4"] if prior in ("mixture", "vamp") else []
    return [*words, "latent=3", "loss.samples=4", "beta.weight=0.5"]


def subset_bound(log_weights: torch.Tensor, size: int) -> torch.Tensor:
    """The importance-weighted bound of ``size`` samples, averaged over all such subsets of those given."""
    subsets = list(itertools.combinations(range(len(log_weights)), size))
    bounds = [log_weights[list(chosen)].logsumexp(0) - math.log(size) for chosen in subsets]
    return torch.stack(bounds).mean()


@pytest.mark.parametrize("choice", choices(), ids="-".join)
def test_every_composition_trains_is_saved_and_generates(choice, tmp_path):
    config = composed(*words_of(choice))
    torch.manual_seed(0)
    module = experiment(config)
    module.start_from_images(lambda: BATCH[0], torch.Generator().manual_seed(0))
    inference, loss = module.infer(BATCH, 0)
    assert loss.shape == (6,)
    assert loss.isfinite().all()
    figures = module.metrics(inference, loss)
    assert all(figure.shape == (6,) and figure.isfinite().all() for figure in figures.values())
    loss.mean().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name

    if module.model.has_bound:
        with torch.no_grad():
            log_weights = inference.log_px - inference.log_ratio
            one = Inference(
                inference.x, inference.z[:1], inference.q, inference.p, module.model.decode(inference.z[:1])
            )
            torch.testing.assert_close(IWAE(samples=1)(one, 1.0), -log_weights[0], rtol=1e-4, atol=1e-3)
            bounds = [float(subset_bound(log_weights.double(), size)) for size in (1, 2, 3, 4)]
        assert bounds == sorted(bounds)

    # images in range from the prior, and the same weights after a save
    _, px = module.model.sample(4)
    assert px.mean.shape == (4, 1, 28, 28)
    if config["network"]["output"] == "sigmoid" or choice[2] != "squared_error":  # a linear output has no bounds
        assert float(px.mean.detach().min()) >= 0
        assert float(px.mean.detach().max()) <= 1
    torch.save(module.state_dict(), tmp_path / "weights")
    again = experiment(config)
    again.load_state_dict(torch.load(tmp_path / "weights", weights_only=True))
    torch.manual_seed(1)
    before = module.infer(BATCH, 0)[1]
    torch.manual_seed(1)
    assert torch.equal(before, again.infer(BATCH, 0)[1])


REFUSED = [choice for choice in itertools.product(POSTERIORS, PRIORS, members("loss")) if not is_valid(*choice)]


@pytest.mark.parametrize("choice", REFUSED, ids="-".join)
def test_pieces_that_do_not_go_together_are_refused_with_what_to_change(choice):
    posterior, prior, loss = choice
    words = [f"posterior={posterior}", f"prior={prior}", f"loss={loss}", "latent=3"]
    with pytest.raises(ValueError, match=r"take (posterior=gaussian|prior=normal) or loss=(reconstruction|elbo)"):
        experiment(composed(*words))


MODELS = {
    "pca": ["model=pca"],
    "mixture": ["model=mixture", "components=4"],
    "mixture of Gaussians": ["model=mixture", "components=4", "likelihood=gaussian", "likelihood.learnt=per_pixel"],
    "mixture, iwae": ["model=mixture", "components=4", "loss=iwae"],
    "conditional": ["model=cvae", "latent=3"],
    "conditional, conv": ["model=cvae", "latent=3", "network=conv", "posterior=flow", "prior=flow"],
    "hierarchical": ["model=hvae", "latent=5", "bottom=3"],
    "hierarchical, both layers decoded": [
        "model=hvae",
        "latent=5",
        "bottom=3",
        "posterior.first=top",
        "posterior.sees_x=true",
        "model.visible=null",
        "likelihood.latent=5",
        "prior@prior.top=vamp",
        "prior.top.components=4",
        "network.gated=true",
    ],
    "gated": [
        "latent=3",
        "network.gated=true",
        "network.init=glorot",
        "likelihood.output_bias=mean",
        "loss.kl=sampled",
    ],
    "gated convolutions": [
        "latent=3",
        "network=conv",
        "network.gated=true",
        "network.init=he",
        "posterior.clamp=[-6,2]",
    ],
    "hierarchical posterior": ["model=hvae", "latent=5", "bottom=3", "prior=normal"],
    "plain, cross-entropy": ["model=ae", "latent=3", "likelihood=bernoulli"],
    "mixture of continuous Bernoullis": ["model=mixture", "components=4", "likelihood=continuous_bernoulli"],
    "multi-rate": ["model=multirate", "latent=3"],
    "multi-rate, conv": ["model=multirate", "latent=3", "network=conv", "loss=iwae", "posterior=flow", "beta.low=0.1"],
    "noisy": ["model=noisy_ae", "latent=3"],
    "plain": ["model=ae", "latent=3"],
}


@pytest.mark.parametrize("words", MODELS.values(), ids=MODELS)
def test_every_model_starts_trains_and_generates(words):
    torch.manual_seed(0)
    module = experiment(composed(*words, *(["latent=3"] if "model=pca" in words else [])))
    module.start_from_images(lambda: torch.rand(40, 1, 28, 28), torch.Generator().manual_seed(0))
    inference, loss = module.infer(BATCH, 0)
    assert loss.shape == (6,)
    assert all(figure.shape == (6,) and figure.isfinite().all() for figure in module.metrics(inference, loss).values())
    if module.model.is_solved:
        assert not loss.requires_grad
    else:
        loss.mean().backward()
        assert all(parameter.grad.isfinite().all() for parameter in module.parameters())
        # The low-rank part of a multi-rate model is U V, and U begins at 0.
        assert all(parameter.grad.any() for name, parameter in module.named_parameters() if ".down." not in name)
    model = module.model.given(BATCH[1])
    assert model.reconstruct(inference.q).shape == BATCH[0].shape
    assert model.sample(6)[1].mean.shape == BATCH[0].shape


@pytest.mark.parametrize("latent", [1, 2, 200])
def test_nats_do_not_depend_on_the_number_of_latents(latent):
    """Sums over pixels, means over images only: an untrained model of any size starts at 784 log 2."""
    torch.manual_seed(0)
    module = experiment(composed(f"latent={latent}"))
    with torch.no_grad():
        inference, _ = module.infer((torch.rand(64, 1, 28, 28), None), 0)
    assert abs(float(-inference.log_px.mean()) - 784 * 0.6931) < 20


@pytest.mark.parametrize(
    ("optimizer", "rate"), list(itertools.product(members("optimizer"), members("lr"))), ids=lambda word: word
)
def test_optimizers_train_and_resume_from_their_state(optimizer, rate):
    torch.manual_seed(0)
    module = experiment(composed(f"optimizer={optimizer}", f"lr={rate}", "latent=3", "network.hidden=[16]"))
    x = torch.rand(32, 1, 28, 28)

    def steps(count: int, current: torch.optim.Optimizer) -> float:
        for _ in range(count):
            torch.manual_seed(2)
            loss = module.infer((x, None), 0)[1].mean()
            current.zero_grad()
            loss.backward()
            current.step()
        return float(loss.detach())

    first = module.configure_optimizers()
    begin = steps(1, first)
    assert steps(20, first) < begin - 10
    weights, state = copy.deepcopy((module.state_dict(), first.state_dict()))
    expected = steps(3, first)
    module.load_state_dict(weights)
    second = module.configure_optimizers()
    second.load_state_dict(state)
    assert steps(3, second) == pytest.approx(expected, rel=1e-6)


def test_muon_takes_the_matrices_and_shares_its_groups_with_the_schedule():
    module = experiment(composed("optimizer=muon", "latent=3", "network.hidden=[16]"))
    optimizer = module.configure_optimizers()
    muon, adam = optimizer.parts
    assert {p.ndim for group in muon.param_groups for p in group["params"]} == {2}
    assert {p.ndim for group in adam.param_groups for p in group["params"]} == {1}
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = [p.detach().clone() for p in module.parameters()]
    module.infer((torch.rand(4, 1, 28, 28), None), 0)[1].mean().backward()
    optimizer.step()
    assert all(torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))


RECIPES = sorted(str(path.relative_to(CONF / "experiment"))[:-5] for path in (CONF / "experiment").rglob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_compose_and_say_what_to_expect(recipe):
    experiment(composed(f"experiment={recipe}"))
    top = (CONF / "experiment" / f"{recipe}.yaml").read_text()
    assert f"python train.py experiment={recipe}" in top
    assert "Expected: " in top


def test_the_tutorial_recipes_have_the_values_of_the_tutorial():
    ae, vae = composed("experiment=seed/ae"), composed("experiment=seed/vae")
    for config in (ae, vae):
        assert config["optimizer"]["_target_"] == "torch.optim.Adam"
        assert config["optimizer"]["lr"] == 1e-3
        assert config["optimizer"]["betas"] == [0.9, 0.999]
        assert config["lr"]["_target_"] == "vaelab.training.schedules.ConstantRate"
        assert (config["data"]["batch_size"], config["data"]["val"]) == (128, 0)
    assert (vae["epochs"], vae["latent"], vae["network"]["hidden"]) == (200, 20, [400])
    assert (ae["epochs"], ae["latent"], ae["network"]["hidden"]) == (40, 64, [128])
    linear = [tuple(p.shape) for name, p in experiment(ae).named_parameters() if "weight" in name]
    assert linear == [(128, 784), (64, 128), (128, 64), (784, 128)]
    assert (experiment(ae).model.encode(torch.rand(3, 1, 28, 28)).mean >= 0).all()


def test_the_recipes_of_papers_have_the_models_of_the_papers():
    """Layers as the papers give them, and the training of the one recipe that is as published."""
    vae, two, hvae = (composed(f"experiment=paper/{name}") for name in ("iwae_vae", "iwae_2layer_50", "vamp_hvae"))
    linear = [tuple(p.shape) for name, p in experiment(vae).named_parameters() if "weight" in name]
    assert linear == [(200, 784), (200, 200), (100, 200), (200, 50), (200, 200), (784, 200)]
    between = [
        tuple(p.shape) for name, p in experiment(two).named_parameters() if "weight" in name and p.shape[0] <= 200
    ]
    assert [shape for shape in between if shape[0] in (100, 200) and shape[1] in (100, 50)] == [
        (100, 100), (100, 100), (100, 100), (200, 100), (100, 50), (100, 100), (200, 100),
    ]  # fmt: skip
    assert (two["loss"]["samples"], two["latent"], two["bottom"]) == (50, 150, 100)
    module = experiment(hvae)
    assert module.model.posterior.layers == (40, 40)
    assert type(module.model.prior.top).__name__ == "VampPrior"
    assert len(module.model.prior.images()) == 500
    networks = {"q(z2|x)": module.model.posterior.first, "p(x|z1, z2)": module.model.likelihood}
    values = {  # of each gated layer one of the two matrices, and the last layer
        name: [tuple(p.shape) for name, p in part.named_parameters() if "weight" in name and "gate" not in name]
        for name, part in networks.items()
    }
    assert values == {
        "q(z2|x)": [(300, 784), (300, 300), (80, 300)],
        "p(x|z1, z2)": [(600, 80), (300, 600), (784, 300)],
    }
    published = make_module(composed("experiment=paper/iwae_vae_as_published"))
    assert published.config["data"]["batch_size"] == 20
    optimizer = published.configure_optimizers().param_groups[0]
    assert (optimizer["lr"], optimizer["eps"], optimizer["betas"]) == (1e-3, 1e-4, (0.9, 0.999))
    steps = 3280 * 3000
    rates = [published.lr(step, steps) for step in (0, 2999, 3000, 11_999, 12_000, steps - 1)]
    assert rates == pytest.approx([10 ** (-i / 7) for i in (0, 0, 1, 1, 2, 7)])
    assert [tuple(p.shape) for name, p in published.named_parameters() if "weight" in name] == linear


def test_a_hierarchy_with_a_vamp_prior_on_top_is_trained_resumed_and_opened(command, tmp_path):
    """From the command line to results.json: a run that resumes keeps what started from the training images."""
    words = [
        *SMALL, "model=hvae", "latent=5", "bottom=3", "posterior.first=top", "posterior.sees_x=true",
        "model.visible=null", "likelihood.latent=5", "prior@prior.top=vamp", "prior.top.components=4",
        "network.gated=true", "likelihood.output_bias=mean", "optimizer=muon", "evaluation.parts=[latents]", "name=h",
    ]  # fmt: skip
    status, out, err = command(*words, "epochs=1")
    assert (status, err) == (0, ""), out + err
    last = tmp_path / "outputs" / "runs" / "h" / "checkpoints" / "last.ckpt"
    status, out, err = command(f"ckpt={last}", "epochs=2", "name=on")
    assert (status, err) == (0, ""), out + err
    results = read_results(tmp_path / "outputs" / "runs" / "on")
    assert sum(results["evaluation"]["latents"]["active_units_per_layer"]) == results["test"]["active_units"]
    module, _ = load_run(tmp_path / "outputs" / "runs" / "on")
    begun, _ = load_run(tmp_path / "outputs" / "runs" / "h")
    assert torch.equal(module.model.likelihood.offset, begun.model.likelihood.offset)
    assert float(module.model.likelihood.offset.min()) == pytest.approx(math.log(0.001 / 0.999), abs=1e-3)


def test_the_autoencoders_loss_is_the_squared_error_and_a_constant():
    module = experiment(composed("model=ae", "latent=5"))
    x = torch.rand(6, 1, 28, 28)
    inference, loss = module.infer((x, None), 0)
    squared = (x - inference.px.mean[0]).square().flatten(1).sum(1)
    torch.testing.assert_close(loss, squared + 392 * torch.log(torch.tensor(torch.pi)), rtol=1e-5, atol=1e-3)


def test_every_configuration_file_has_comments():
    """A user opens a YAML to learn what a value means."""
    for path in CONF.rglob("*.yaml"):
        if path.parent.name not in ("help",) and path.name not in ("cpu.yaml",):
            assert "# " in path.read_text().replace("# @package", ""), path


def test_help_names_every_group_and_member(command):
    status, out, err = command("--help")
    assert (status, err) == (0, "")
    for group in sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name not in ("hydra",)):
        assert f"\n  {group} " in out
        for member in members(group):
            assert member in out
    for recipe in RECIPES:
        assert recipe in out
    assert out.count("\n  python train.py") >= 5


def test_a_finished_run_reports_what_was_composed(finished: Path):
    written = read_results(finished)
    assert {key: written[key] for key in ("model", "network", "posterior", "likelihood", "prior", "loss")} == {
        "model": "vae",
        "network": "mlp",
        "posterior": "gaussian",
        "likelihood": "bernoulli",
        "prior": "normal",
        "loss": "elbo",
    }
