"""When a training ends, and that one which was cut off within an epoch goes on bit for bit."""

import csv
import json
from pathlib import Path

import pytest
import torch
from conftest import SMALL, train_here

from vaelab.training.checkpoints import AtomicCheckpointIO

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
        (3, 9, ("trainer.val_check_interval=5", "trainer.check_val_every_n_epoch=null", "callbacks.step_checkpoints.every_n_steps=3")),
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
