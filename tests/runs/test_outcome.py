"""How a training ended: what results.json and the last lines say, and what a resumed run is told."""

import csv
import json
import logging
import shutil
import sys
from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import SMALL

from vaelab.runs.outcome import blow_up
from vaelab.runs.unread import PLAIN
from vaelab.training.callbacks import PlotCallback

RUN = (*SMALL, "evaluation.nll_samples=0", "evaluation.parts=[]", "name=run")


def results(folder: Path) -> dict:
    return json.loads((folder / "outputs/runs/run/results.json").read_text())


def recorded(folder: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv."""
    return list(csv.DictReader((folder / "outputs/runs/run/metrics.csv").read_text().splitlines()))


def ending(written: dict) -> tuple[float, int, str]:
    assert written["ended"] == {**written["ended"], "epoch": written["epochs"], "step": written["steps"]}
    return written["epochs"], written["steps"], written["ended"]["reason"]


def test_a_finished_training(command, tmp_path):
    status, out, err = command(*RUN, "+trainer.profiler=simple")
    assert (status, err) == (0, "")
    assert ending(results(tmp_path)) == (2, 16, "epochs")
    assert results(tmp_path)["blew_up"] is False
    assert "ended the training" not in out
    for text in (out, (tmp_path / "outputs/runs/run/train.log").read_text()):
        assert "FIT Profiler Report" in text
        assert "run_training_batch" in text


def test_a_training_that_max_steps_ended_within_an_epoch_and_that_goes_on(command, tmp_path):
    status, out, err = command(*RUN, "epochs=4", "trainer.max_steps=11")
    assert (status, err) == (0, "")
    assert ending(results(tmp_path)) == (1.38, 11, "max_steps")
    assert "trainer.max_steps ended the training after 1.38 of 4 epochs, 11 steps" in out
    assert "epoch   2/4" not in out  # it was not trained to its end
    rows = recorded(tmp_path)
    assert rows[-1]["step"] == "11"
    assert rows[-1]["loss/train"]

    assert "train on: python train.py ckpt=outputs/runs/run/checkpoints/last.ckpt trainer.max_steps=22" in out

    status, _, err = command("ckpt=outputs/runs/run/checkpoints/last.ckpt")
    assert (status, err.count("\n")) == (1, 1)
    assert (
        "was trained for 11 steps, and trainer.max_steps=11 ends it there: to train on, add trainer.max_steps=22" in err
    )
    status, out, err = command("ckpt=outputs/runs/run/checkpoints/last.ckpt", "trainer.max_steps=null")
    assert (status, err) == (0, "")
    assert ending(results(tmp_path)) == (4, 4 * 8, "epochs")
    assert [float(row["epoch"]) for row in recorded(tmp_path) if row["elbo/val"]] == [1, 2, 3, 4]


def test_a_training_that_is_shorter_than_an_epoch_has_its_metrics(command, tmp_path):
    status, _, err = command(*RUN, "trainer.max_steps=3", "trainer.log_every_n_steps=50")
    assert (status, err) == (0, "")
    assert ending(results(tmp_path)) == (0.38, 3, "max_steps")
    (row,) = recorded(tmp_path)
    assert row["step"] == "3"


def test_a_training_that_max_time_ended(command, tmp_path):
    status, out, err = command(*RUN, "epochs=100000", "trainer.max_time=00:00:00:01")
    assert (status, err) == (0, "")
    written = results(tmp_path)
    assert written["ended"]["reason"] == "max_time"
    assert 0 < written["epochs"] < 1000
    assert written["epochs"] == pytest.approx(written["steps"] / 8, abs=0.01)
    assert "trainer.max_time ended the training after" in out
    assert "the schedules of the learning rate and of beta are those of 100000 epochs" in out
    status, _, err = command("ckpt=outputs/runs/run/checkpoints/last.ckpt")
    assert (status, err.count("\n")) == (1, 1)
    assert "was trained for as long as its limit of time allows: to train on, add trainer.max_time=null" in err


def test_going_on_for_longer_says_how_the_schedules_stretch(command, tmp_path, finished):
    """SMALL has a cosine rate: 0.8 % of it at the last of 16 steps, 51 % at the same step of 32."""
    shutil.copytree(finished, tmp_path / "outputs/runs/small")
    status, out, err = command("ckpt=outputs/runs/small/checkpoints/last.ckpt", "epochs=4", "evaluation.parts=[]")
    assert (status, err) == (0, "")
    (line,) = (line for line in out.splitlines() if line.startswith("going on from"))
    assert "step 16; the schedules now span 4 epochs instead of 2: here this changes the learning rate from" in line
    rates = [float(word) for word in line.split() if word.replace(".", "").replace("e-05", "").isdigit()][-2:]
    assert rates[0] < 0.001 < 0.003 < rates[1] < 0.005
    assert "beta" not in line  # it is constant


def test_a_line_of_an_epoch_means_that_a_run_can_go_on_from_there(command, tmp_path):
    """An interruption after "epoch 1/2" must not be told that there is nothing to go on from."""
    last, seen = tmp_path / "outputs/runs/run/checkpoints/last.ckpt", []

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("epoch "):
                seen.append(torch.load(last, weights_only=True)["epoch"] + 1 if last.exists() else 0)

    watch = Watch()
    logging.getLogger("vaelab.training.progress").addHandler(watch)
    try:
        command(*RUN)
    finally:
        logging.getLogger("vaelab.training.progress").removeHandler(watch)
    assert seen == [1, 2]


WORSE = """
from vaelab.models.objectives import ELBO


class Worse(ELBO):
    def __call__(self, inference, beta, progress=1.0):
        return -super().__call__(inference, beta, progress)
"""


def test_a_finite_blow_up_is_told_and_flagged(command, tmp_path, tmp_path_factory, monkeypatch):
    """A loss with the wrong sign: the ELBO falls without end, and stays finite."""
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "worse.py").write_text(WORSE)
    monkeypatch.syspath_prepend(folder)
    status, out, err = command(*RUN, "loss._target_=worse.Worse", "evaluation.checkpoint=last")
    sys.modules.pop("worse", None)
    assert (status, err) == (0, "")
    assert results(tmp_path)["blew_up"] is True
    assert "WARNING: the training became unstable" in out
    assert "lower optimizer.lr" in out


def test_a_model_without_an_active_latent_is_told(command):
    for weight, is_told in ((1e4, True), (0.01, False)):
        status, out, _ = command(*RUN, f"name=run{weight:g}", f"beta.weight={weight}")
        assert (status, "no latent is active" in out) == (0, is_told), out


@pytest.mark.parametrize(
    ("criterion", "before", "values", "is_blown_up"),
    [
        ("elbo", -543.0, (-100.0, -101.0), False),
        ("elbo", -543.0, (-900.0, -900.0), False),  # a poor model is not an unstable one
        ("elbo", -543.0, (-2e10, -120.0), True),  # the last epoch; the tested weights are better
        ("elbo", -543.0, (-100.0, -2e10), True),
        ("elbo", 900.0, (-100.0, 100.0), True),  # a density
        ("elbo", -20_000.0, (-30_000.0, None), False),
        ("distortion", 543.0, (80.0, 80.0), False),
        ("distortion", 543.0, (2e10, 80.0), True),
        (None, 543.0, (80.0, 2e10), True),  # of loss=capacity: the distortion
    ],
)
def test_what_counts_as_a_blow_up(tmp_path, criterion, before, values, is_blown_up):
    name = criterion or "distortion"
    validation, tested = values
    (tmp_path / "metrics.csv").write_text(f"epoch,step,{name}/val\n1,8,{before}\n2,16,{validation}\n")
    train = SimpleNamespace(images=torch.zeros(1, 1, 28, 28))
    components = SimpleNamespace(
        module=SimpleNamespace(criterion=criterion, model=SimpleNamespace(is_solved=False)),
        data=SimpleNamespace(sets={"train": train}),
        untrained={name: before},
    )
    test = {} if tested is None else {name: tested}
    warning = blow_up(SimpleNamespace(directory=tmp_path), components, test)
    assert (warning is not None) == is_blown_up


def test_the_plot_options_that_are_read_are_those_that_exist():
    taken = set(signature(PlotCallback).parameters) - {"directory", "title", "own"}
    assert set(PLAIN["pictures"]) == taken
