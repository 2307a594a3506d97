"""Every valid choice of groups, composed from conf/ as the command line composes it."""

import copy
import itertools
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from vaelab.experiment import Experiment
from vaelab.results import read_results

CONF = ROOT / "conf"


def members(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def composed(*overrides: str) -> dict:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=["name=test", *overrides])
    return OmegaConf.to_container(config, resolve=True)


def experiment(config: dict) -> Experiment:
    parts = (instantiate(config[part], _convert_="all") for part in ("model", "loss", "beta", "optimizer", "lr"))
    return Experiment(*parts)


COMPOSITIONS = [
    choice
    for choice in itertools.product(
        members("network"), members("posterior"), members("likelihood"), members("prior"), members("loss")
    )
    if not ("dirac" in choice and "elbo" in choice)  # refused, see below
]


@pytest.mark.parametrize("choice", COMPOSITIONS, ids="-".join)
def test_loss_is_nats_per_image_and_reaches_every_parameter(choice, tmp_path):
    names = ("network", "posterior", "likelihood", "prior", "loss")
    overrides = [f"{name}={member}" for name, member in zip(names, choice, strict=True)]
    torch.manual_seed(0)
    config = composed(*overrides, "latent=3", *(["likelihood.learnt=true"] if "gaussian" in choice[2:3] else []))
    module = experiment(config)
    x = torch.rand(5, 1, 28, 28)
    inference, loss = module.infer(x, 0.5)
    assert loss.shape == (5,)
    assert loss.isfinite().all()
    figures = module.figures(inference, loss)
    assert all(figure.shape == (5,) for figure in figures.values())
    loss.mean().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name

    # images in range from the prior, and the same weights after a save
    _, px = module.model.sample(4)
    assert px.mean.shape == (4, 1, 28, 28)
    assert float(px.mean.detach().min()) >= 0
    assert float(px.mean.detach().max()) <= 1
    torch.save(module.state_dict(), tmp_path / "weights")
    again = experiment(config)
    again.load_state_dict(torch.load(tmp_path / "weights", weights_only=True))
    torch.manual_seed(1)
    before = module.infer(x, 0.5)[1]
    torch.manual_seed(1)
    assert torch.equal(before, again.infer(x, 0.5)[1])


@pytest.mark.parametrize("network", members("network"))
def test_a_bound_without_a_density_is_refused(network):
    with pytest.raises(ValueError, match=r"posterior=gaussian or loss=reconstruction"):
        experiment(composed(f"network={network}", "posterior=dirac", "loss=elbo"))


@pytest.mark.parametrize("latent", [1, 2, 200])
def test_nats_do_not_depend_on_the_number_of_latents(latent):
    """Sums over pixels, means over images only: an untrained model of any size stands at 784 log 2."""
    torch.manual_seed(0)
    module = experiment(composed(f"latent={latent}"))
    with torch.no_grad():
        inference, _ = module.infer(torch.rand(64, 1, 28, 28), 1.0)
    assert abs(float(-inference.log_px.mean()) - 784 * 0.6931) < 20


@pytest.mark.parametrize(
    ("optimizer", "rate"), list(itertools.product(members("optimizer"), members("lr"))), ids=lambda word: word
)
def test_optimizers_train_and_go_on_from_their_state(optimizer, rate):
    torch.manual_seed(0)
    module = experiment(composed(f"optimizer={optimizer}", f"lr={rate}", "latent=3", "network.hidden=[16]"))
    x = torch.rand(32, 1, 28, 28)

    def steps(count: int, current: torch.optim.Optimizer) -> float:
        for _ in range(count):
            torch.manual_seed(2)
            loss = module.infer(x, 1.0)[1].mean()
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
    module.infer(torch.rand(4, 1, 28, 28), 1.0)[1].mean().backward()
    optimizer.step()
    assert all(torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))


RECIPES = sorted(str(path.relative_to(CONF / "experiment"))[:-5] for path in (CONF / "experiment").rglob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_compose_and_say_what_to_expect(recipe):
    experiment(composed(f"experiment={recipe}"))
    top = (CONF / "experiment" / f"{recipe}.yaml").read_text()
    assert f"python train.py experiment={recipe}" in top
    assert "Expected: " in top


def test_the_tutorials_recipes_are_the_tutorials():
    ae, vae = composed("experiment=seed/ae"), composed("experiment=seed/vae")
    for config in (ae, vae):
        assert config["optimizer"]["_target_"] == "torch.optim.Adam"
        assert config["optimizer"]["lr"] == 1e-3
        assert config["optimizer"]["betas"] == [0.9, 0.999]
        assert config["lr"]["_target_"] == "vaelab.schedules.ConstantRate"
        assert (config["data"]["batch_size"], config["data"]["val"]) == (128, 0)
    assert (vae["epochs"], vae["latent"], vae["network"]["hidden"]) == (200, 20, [400])
    assert (ae["epochs"], ae["latent"], ae["network"]["hidden"]) == (40, 64, [128])
    linear = [tuple(p.shape) for name, p in experiment(ae).named_parameters() if "weight" in name]
    assert linear == [(128, 784), (64, 128), (128, 64), (784, 128)]
    assert (experiment(ae).model.encode(torch.rand(3, 1, 28, 28)).mean >= 0).all()


def test_the_autoencoders_loss_is_the_squared_error_and_a_constant():
    module = experiment(composed("model=ae", "latent=5"))
    x = torch.rand(6, 1, 28, 28)
    inference, loss = module.infer(x, 1.0)
    squared = (x - inference.px.mean[0]).square().flatten(1).sum(1)
    torch.testing.assert_close(loss, squared + 392 * torch.log(torch.tensor(torch.pi)), rtol=1e-5, atol=1e-3)


def test_config_comments_every_member():
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


def test_what_a_finished_run_reports_is_what_was_composed(finished: Path):
    written = read_results(finished)
    assert {key: written[key] for key in ("model", "network", "likelihood", "prior", "loss")} == {
        "model": "vae",
        "network": "mlp",
        "likelihood": "bernoulli",
        "prior": "normal",
        "loss": "elbo",
    }
