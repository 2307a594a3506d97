"""Runs of older versions stay readable: their results and configurations as those versions wrote them."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from compositions import composed
from conftest import ROOT

from vaelab.models.contracts import Schedule
from vaelab.runs.directory import BEST, RESULTS
from vaelab.runs.load import load_run
from vaelab.runs.migrate import migrate
from vaelab.runs.options import NOT_TRAINING, differences
from vaelab.runs.pieces import make_piece
from vaelab.runs.prepare import make_module
from vaelab.runs.resume import find_resume_point
from vaelab.runs.run import Run
from vaelab.sweeps.report import report
from vaelab.training.schedules import CosineRate, CosineRateOf010

OLD = ROOT / "tests" / "data_of_old_versions" / "0.1.0"
STATE_DICTS = json.loads((OLD / "state_dicts.json").read_text())


@pytest.mark.parametrize("name", STATE_DICTS)
def test_weights_keep_their_names_and_shapes(name):
    config = composed("data=mnist5k", *STATE_DICTS[name]["overrides"])
    weights = make_module(config).state_dict()
    assert {key: list(value.shape) for key, value in weights.items()} == STATE_DICTS[name]["state_dict"]


@pytest.fixture
def old_sweep(tmp_path) -> Path:
    """The jobs latent=2 and latent=3 of a sweep of version 0.1.0, as it wrote them, without weights."""
    shutil.copytree(OLD, tmp_path / "old", ignore=shutil.ignore_patterns("state_dicts.json"))
    return tmp_path / "old"


def test_a_run_of_an_old_version_opens_with_its_weights(old_sweep):
    """Its checkpoint is written here, for it would be half a megabyte; its keys are the test's above."""
    run = old_sweep / "latent=2"
    network = {"1.0": (400, 784), "1.2": (4, 400)}
    shapes = {f"model.posterior.network.{layer}": shape for layer, shape in network.items()}
    shapes |= {"model.likelihood.network.0.0": (400, 2), "model.likelihood.network.0.2": (784, 400)}
    weights = {f"{layer}.weight": torch.randn(shape) for layer, shape in shapes.items()}
    weights |= {f"{layer}.bias": torch.randn(shape[0]) for layer, shape in shapes.items()}
    (run / BEST).parent.mkdir()
    results = json.loads((run / RESULTS).read_text())
    saved = {"state_dict": weights, "epoch": 0, "global_step": 8, "config": results["config"], "data": results["data"]}
    torch.save(saved, run / BEST)
    module, data = load_run(run)
    assert all(torch.equal(value, weights[key]) for key, value in module.state_dict().items())
    assert data.describe()["name"] == "mnist5k"
    assert module.model.decode(torch.zeros(1, 2)).mean.shape == (1, 1, 28, 28)


@pytest.mark.engine
def test_one_report_reads_old_and_new_runs(old_sweep, command, tmp_path):
    words = json.loads((old_sweep / "latent=2" / RESULTS).read_text())["overrides"]
    words = [word for word in words if not word.startswith(("latent=", "name="))]
    status, _, err = command("-m", *words, "latent=3,4", "evaluation.parts=[]", "name=new")
    assert (status, err) == (0, "")
    found = report([old_sweep, tmp_path / "outputs" / "sweeps" / "new"], tmp_path / "both")
    (group,) = found.groups  # comparable: what older runs lack has the default's value
    assert group.configurations["latent"].tolist() == [2, 3, 4]
    assert group.configurations["seeds"].tolist() == [1, 1, 1]  # latent=3 with seed=0 is there twice
    assert group.configurations["nll"].notna().all()


def test_a_configuration_of_an_old_version_becomes_todays(old_sweep):
    """So that the same command skips what is complete and resumes what was cut off."""
    results = json.loads((old_sweep / "latent=2" / RESULTS).read_text())
    words = [word for word in results["overrides"] if not word.startswith("name=")]
    assert differences(migrate(results["config"]), composed(*words), NOT_TRAINING) == []


def test_a_run_of_an_old_version_goes_on_under_the_learning_rate_that_it_was_begun_with(old_sweep, caplog):
    """Version 0.1.0's cosine fell during the warm-up; a rate that jumps half-way would be neither schedule."""
    results = json.loads((old_sweep / "latent=2" / RESULTS).read_text())
    words = [word for word in results["overrides"] if not word.startswith("name=")]
    began = results["config"]
    for _ in range(2):  # a run that has resumed resumes again
        checkpoint = {"state_dict": {}, "epoch": 0, "global_step": 8, "config": began, "data": results["data"]}
        torch.save(checkpoint, old_sweep / "last.ckpt")
        run = Run(composed(*words, f"ckpt='{old_sweep / 'last.ckpt'}'", "epochs=5"), [], {}, old_sweep / "elsewhere")
        run.config["trainer"]["max_epochs"] = 5
        with caplog.at_level("INFO", logger="vaelab"):
            assert find_resume_point(run).step == 8
        assert "the learning rate goes on as version 0.1.0 began it" in caplog.text
        rate = make_piece("lr", run.config["lr"], Schedule)
        assert [rate(step, 100) for step in (1, 50)] == [CosineRateOf010(0.03)(step, 100) for step in (1, 50)]
        began = run.config
        assert differences(migrate(began), composed(*words, "epochs=5"), ("trainer.max_epochs", *NOT_TRAINING)) == []

    run = Run(composed(*words, f"ckpt='{old_sweep / 'last.ckpt'}'", "epochs=5", "lr=constant"), [], {}, old_sweep)
    find_resume_point(run)
    assert run.config["lr"]["_target_"].endswith(".ConstantRate")  # another schedule was asked for


def test_a_new_run_has_todays_learning_rate():
    assert type(make_piece("lr", composed()["lr"], Schedule)) is CosineRate
