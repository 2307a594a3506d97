"""When a training ends, and that one which was cut off within an epoch goes on bit for bit."""

import csv
import json
from pathlib import Path

import pytest
import torch
from conftest import SMALL, train_here

from vaelab.training.checkpoints import AtomicCheckpointIO
from vaelab.training.early_stopping import schedule_end
from vaelab.training.schedules import Constant, Cosine, Cyclical, Linear

RUN = (*SMALL, "evaluation.nll_samples=0", "evaluation.parts=[]", "name=run")
LAST = "outputs/runs/run/checkpoints/last.ckpt"
STEPS = (*RUN, "data.binarize=dynamic", "callbacks=step_checkpoints", "beta=linear")  # 8 steps in an epoch


def results(folder: Path) -> dict:
    return json.loads((folder / "outputs/runs/run/results.json").read_text())


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "outputs/runs/run/metrics.csv").read_text().splitlines()))


def outcome(folder: Path) -> dict[str, object]:
    """What two trainings must have in common to be the same."""
    saved = torch.load(folder / LAST, weights_only=True)
    return {
        "weights": {name: value.tolist() for name, value in saved["state_dict"].items()},
        "moments": [entry["exp_avg_sq"].sum().item() for entry in saved["optimizer_states"][0]["state"].values()],
        "callbacks": {name: str(state) for name, state in saved["callbacks"].items() if name == "EarlyStopping"},
        "rows": rows(folder),
        "test": results(folder)["test"],
        "validation": results(folder)["validation"],
        "ended": results(folder)["ended"],
        "tested": results(folder)["tested"],
    }


def cut_off(monkeypatch, folder: Path, step: int, *words: str) -> None:
    """Train in ``folder`` until the checkpoint of ``step`` is saved."""
    save = AtomicCheckpointIO.save_checkpoint

    def save_and_stop(self, checkpoint, path, storage_options=None):
        save(self, checkpoint, path)
        if checkpoint["global_step"] == step and Path(path).name == "last.ckpt":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(AtomicCheckpointIO, "save_checkpoint", save_and_stop)
        status, _, err = train_here(folder, *words)
    assert status == 1
    assert "interrupted; go on with" in err
    assert torch.load(folder / LAST, weights_only=True)["global_step"] == step


@pytest.mark.parametrize(
    ("every", "step", "words"),
    [
        (3, 3, ()),
        (3, 12, ("evaluation.ema=0.9",)),
        (4, 12, ("trainer.val_check_interval=0.5",)),  # a validation is due at that step
        (3, 9, ("trainer.val_check_interval=5", "trainer.check_val_every_n_epoch=null")),
        (1, 4, ("+trainer.accumulate_grad_batches=3",)),  # steps after 3, 6 and 8 of 8 batches
    ],
)  # fmt: skip
def test_a_run_goes_on_within_an_epoch_as_if_it_had_never_stopped(monkeypatch, tmp_path, every, step, words):
    words = (*STEPS, f"callbacks.step_checkpoints.every_n_steps={every}", *words)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    status, _, err = train_here(whole, *words)
    assert (status, err) == (0, "")
    cut_off(monkeypatch, parts, step, *words)
    assert "within_epoch" in torch.load(parts / LAST, weights_only=True)
    status, out, err = train_here(parts, f"ckpt={LAST}")
    assert (status, err) == (0, ""), out + err
    assert outcome(parts) == outcome(whole)


# ---- early stopping --------------------------------------------------------------------------------------------

# No validation after the first that counts is better by 1,000 nats.
STOPPED = (
    *RUN, "epochs=20", "callbacks=early_stopping", "callbacks.early_stopping.patience=2",
    "callbacks.early_stopping.min_delta=1000",
)  # fmt: skip


def test_early_stopping_ends_a_training_which_is_finished_then(command, tmp_path):
    status, out, err = command(*STOPPED)
    assert (status, err) == (0, "")
    assert results(tmp_path)["ended"] == {"reason": "early_stopping", "epoch": 3, "step": 24}
    assert (results(tmp_path)["epochs"], results(tmp_path)["steps"]) == (3, 24)
    line = next(line for line in out.splitlines() if line.startswith("early stopping ended"))
    assert "after 3 of 20 epochs, 24 steps" in line
    assert line.endswith(f"to train on: python train.py ckpt={LAST} callbacks.early_stopping.patience=4")

    before = (tmp_path / LAST).read_bytes()
    for more in ((), ("epochs=50",)):
        status, _, err = command(f"ckpt={LAST}", *more)
        assert (status, err.count("\n")) == (1, 1)
        assert "was stopped early: 2 epochs brought no better validation" in err
        assert "add callbacks.early_stopping.patience=4" in err
    assert (tmp_path / LAST).read_bytes() == before
    status, out, err = command(f"ckpt={LAST}", "callbacks.early_stopping.patience=4")
    assert (status, err) == (0, "")
    assert results(tmp_path)["ended"] == {"reason": "early_stopping", "epoch": 5, "step": 40}


@pytest.mark.parametrize("step", [16, 24])
def test_a_training_that_is_stopped_early_is_so_too_where_it_was_cut_off(monkeypatch, tmp_path, step):
    """At step 16 it has waited for one epoch; at step 24 it has stopped, and lacks its test alone."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    train_here(whole, *STOPPED)
    cut_off(monkeypatch, parts, step, *STOPPED)
    status, out, err = train_here(parts, f"ckpt={LAST}")
    assert (status, err) == (0, ""), out + err
    assert results(parts)["ended"]["reason"] == "early_stopping"
    assert outcome(parts) == outcome(whole)


@pytest.mark.parametrize(
    ("words", "epoch"),
    [
        (("beta=linear", 'beta.warmup="10 epochs"'), 12),
        (("beta=cyclical", "beta.cycles=4", "beta.warmup=0.125"), 20),  # the last rise ends after 17.5 epochs
        (("beta=cosine", "beta.warmup=1.0"), 20),  # it never counts
        (("loss=iwae", "loss.first_samples=2", "loss.first_part=0.5"), 12),
        (("model=ae",), 3),  # the distortion
        (("trainer.check_val_every_n_epoch=2",), 4),  # patience is in epochs, not in validations
        (("trainer.val_check_interval=0.5",), 2.5),
        (("+trainer.min_epochs=6",), 6),
    ],
)
def test_early_stopping_waits_for_the_schedules_and_counts_epochs(command, tmp_path, words, epoch):
    status, out, err = command(*STOPPED, *words)
    assert (status, err) == (0, "")
    assert results(tmp_path)["ended"]["epoch"] == epoch
    assert results(tmp_path)["ended"]["reason"] == ("epochs" if epoch == 20 else "early_stopping")
    assert ("waits until the schedule of beta ends" in out) == (words[0].startswith("beta="))
    assert ("waits until the first part of the loss ends" in out) == ("loss=iwae" in words)


def test_lightnings_own_early_stopping_by_target(command, tmp_path):
    options = {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "elbo/val", "mode": "max",
               "patience": 2, "min_delta": 1000}  # fmt: skip
    words = (f"+callbacks.mine.{name}={value}" for name, value in options.items())
    status, _, err = command(*RUN, "epochs=20", *words)
    assert (status, err) == (0, "")
    assert results(tmp_path)["ended"] == {"reason": "early_stopping", "epoch": 3, "step": 24}


@pytest.mark.parametrize(
    ("beta", "end"),
    [
        (Constant(), 0),
        (Linear(warmup=0.25), 250),
        (Linear(warmup=300), 300),
        (Linear(warmup="2 epochs"), 200),
        (Cyclical(cycles=4, warmup=0.125), 875),
        (Cosine(warmup=1.0), 1000),
    ],
)
def test_where_a_schedule_ends(beta, end):
    beta.epochs = 10
    assert schedule_end(beta, 1000) == end


# ---- limits ----------------------------------------------------------------------------------------------------


def test_a_warm_up_in_epochs_is_that_long_where_max_steps_ends_the_training(command, tmp_path):
    """2 of 40 epochs of 8 steps, of which the training has 4: it must not be shortened to 2 / 40 of 32 steps."""
    status, _, err = command(
        *RUN, "epochs=40", "trainer.max_steps=32", "trainer.log_every_n_steps=1", "beta=linear",
        'beta.warmup="2 epochs"', 'lr.warmup="1 epoch"',
    )  # fmt: skip
    assert (status, err) == (0, "")
    logged = {int(row["step"]): row for row in rows(tmp_path) if row["schedule/beta"]}
    assert float(logged[9]["schedule/beta"]) == pytest.approx(0.5)
    assert float(logged[17]["schedule/beta"]) == 1.0
    rates = {step: float(row["schedule/lr"]) for step, row in logged.items()}
    assert rates[4] == pytest.approx(rates[8] / 2)
    assert max(rates, key=rates.__getitem__) in (8, 9)
    assert rates[32] < 0.01 * rates[8]  # the cosine has fallen within the steps that are taken


@pytest.mark.parametrize("words", [("callbacks=timer", "callbacks.timer.duration=00:00:00:01")])
def test_a_timer_ends_a_training_at_an_epochs_end(command, tmp_path, words):
    status, out, err = command(*RUN, "epochs=100000", *words)
    assert (status, err) == (0, "")
    ended = results(tmp_path)["ended"]
    assert ended["reason"] == "max_time"
    assert ended["epoch"] == int(ended["epoch"])
    assert "callbacks.timer.duration=null" in out
    status, _, err = command(f"ckpt={LAST}")
    assert (status, err.count("\n")) == (1, 1)
    assert "callbacks.timer.duration=null" in err


def test_a_job_of_a_sweep_that_was_stopped_early_is_complete(command, tmp_path):
    words = ("-m", *STOPPED[:-4], "name=s", *STOPPED[-4:], "latent=2,3")
    words = tuple(word for word in words if word != "name=run")
    status, _, err = command(*words)
    assert (status, err) == (0, "")
    status, out, err = command(*words)
    assert (status, err) == (0, "")
    assert (
        out.count("complete already, early stopping ended it after 3 of 20 epochs (to train on: python train.py") == 2
    )
