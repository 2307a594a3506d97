"""Runs that are trained together become what each would have become alone."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from compositions import composed
from conftest import ROOT
from lightning import Trainer

from vaelab.runs.prepare import load_data, make_module, start_model
from vaelab.runs.run import Run
from vaelab.runs.stacking import check_stackable
from vaelab.training.module import VAEModule
from vaelab.training.stacked import Stack

SMALL = (
    "experiment=stackable", "data=uci_digits", "data.train=100", "data.test=50", "data.batch_size=32", "epochs=2",
    "network.hidden=[16]", "latent=3", "accelerator=cpu", "evaluation.nll_samples=5", "evaluation.parts=[]",
)  # fmt: skip
JOBS = (
    ("seed=1", "beta.weight=0.5"), ("seed=2", "beta.weight=0.5"), ("seed=1", "beta.weight=4", "optimizer.lr=1e-3"),
    ("seed=1", "data.seed=7"),
)  # fmt: skip


def parts_of(config: dict) -> tuple[VAEModule, object]:
    data, module = load_data(config), make_module(config)
    start_model(Run(config, [], {}, Path("nowhere")), module, data)
    return module, data


def train_stacked(directory: Path, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "scripts" / "train_stacked.py"), *words]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True)


def alone(config: dict) -> tuple[VAEModule, dict]:
    """Trained by Lightning, and what it saved."""
    module, data = parts_of(config)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = Trainer(max_epochs=config["epochs"], accelerator="cpu", **quiet)
    saved = {}
    module.on_train_epoch_end = lambda: saved.update(trainer._checkpoint_connector.dump_checkpoint())
    trainer.fit(module, datamodule=data)
    return module, saved


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::FutureWarning:lightning.*")
@pytest.mark.parametrize(
    "composition",
    [
        (),
        ("loss=iwae", "loss.samples=3", "beta=linear"),
        ("prior=vamp", "prior.components=7"),
        ("likelihood=gaussian", "likelihood.learnt=true", "lr=constant"),
        # With a small eps the first steps, g / |g|, carry the rounding of gradients near zero into the weights.
        ("network=conv", "network.channels=[8,8]", "optimizer=adamw", "optimizer.eps=1e-4"),
        ("optimizer=adamax",),
    ],
    ids=lambda words: "-".join(words) or "default",
)
def test_stacked_runs_become_what_each_becomes_alone(composition):
    words = [word for word in SMALL if not (word.startswith("network.") and "network=conv" in composition)]
    configs = [composed(*words, *composition, *cell) for cell in JOBS]
    pairs = [parts_of(config) for config in configs]
    stack = Stack([module for module, _ in pairs], pairs[0][1], 2)
    before = [parameter.clone() for parameter in pairs[0][0].parameters()]
    losses = [stack.train_epoch(epoch) for epoch in range(2)]
    assert all(second < first for first, second in zip(*losses, strict=True))
    checkpoints = stack.checkpoints()
    assert any(not torch.equal(*pair) for pair in zip(before, pairs[0][0].parameters(), strict=True))
    for config, (together, _), written in zip(configs, pairs, checkpoints, strict=True):
        single, saved = alone(config)
        for name, weight in single.state_dict().items():
            torch.testing.assert_close(together.state_dict()[name], weight, rtol=1e-3, atol=1e-4, msg=name)
        assert written["loops"]["fit_loop"].items() <= saved["loops"]["fit_loop"].items()
        assert {key: written[key] for key in ("epoch", "global_step")} == {
            key: saved[key] for key in ("epoch", "global_step")
        }
        moments = [checkpoint["optimizer_states"][0]["state"] for checkpoint in (written, saved)]
        torch.testing.assert_close(moments[0][0]["step"], moments[1][0]["step"])
        groups = [checkpoint["optimizer_states"][0]["param_groups"] for checkpoint in (written, saved)]
        assert groups[0][0]["lr"] == pytest.approx(groups[1][0]["lr"])
        assert {**groups[0][0], "lr": 0} == {**groups[1][0], "lr": 0}
        torch.testing.assert_close(moments[0][0]["exp_avg"], moments[1][0]["exp_avg"], rtol=1e-2, atol=1e-3)


@pytest.mark.engine
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_losses_train_the_same():
    configs = [composed(*SMALL, *cell) for cell in JOBS]
    stacks = []
    for mode in (None, "default"):
        pairs = [parts_of(config) for config in configs]
        stacks.append(Stack([module for module, _ in pairs], pairs[0][1], 2, mode))
        for epoch in range(2):
            stacks[-1].train_epoch(epoch)
    for name, weight in stacks[0].weights.items():
        torch.testing.assert_close(stacks[1].weights[name], weight, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("latent=4",), "may differ in seed, beta.weight and optimizer.lr alone, and here .*latent"),
        (("evaluation.checkpoint=best",), "need evaluation.checkpoint=last, got best"),
        (("trainer.precision=bf16-mixed",), "need trainer.precision=32-true"),
        (("evaluation.ema=0.99",), "need evaluation.ema=null"),
        (("trainer.devices=2",), "need trainer.devices=1"),
        (("ckpt=last.ckpt",), "start anew, got ckpt=last.ckpt"),
        (("+trainer.accumulate_grad_batches=2",), r"leave \+trainer.accumulate_grad_batches out"),
    ],
)
def test_what_cannot_be_stacked_is_refused(words, message):
    same = words[0].startswith("latent")
    configs = [composed(*SMALL) if same else composed(*SMALL, *words), composed(*SMALL, *words)]
    with pytest.raises(ValueError, match=message):
        check_stackable(configs)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("model=cvae",), "no labels"),
        (("posterior=flow",), "posterior=gaussian"),
        (("data.binarize=dynamic",), "drawn"),
        (("loss=iwae", "loss.dreg=true"), "loss.dreg=true"),
        (("loss=iwae", "loss.gradient_samples=2"), "IWAE.infer calls it in another way"),
        (("loss=iwae", "loss.first_samples=2"), "leave out .* loss.first_samples"),
        (("model=pca", "network.hidden=[]"), "closed form"),
        (("optimizer=muon",), "optimizer=adam, adamw or adamax, got Muon"),
    ],
)
def test_pieces_that_draw_more_than_one_noise_are_refused(words, message):
    module, data = parts_of(composed(*SMALL, *words))
    with pytest.raises(ValueError, match=message):
        Stack([module], data, 1)


@pytest.mark.engine
def test_a_stacked_sweep_is_tested_and_reported_as_any_other(tmp_path, command):
    words = ("name=grid", *SMALL, "beta.weight=0.5,2")
    done = train_stacked(tmp_path, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    sweep = tmp_path / "outputs/sweeps/grid"
    found = [json.loads(path.read_text()) for path in sorted(sweep.glob("*/results.json"))]
    assert [(result["status"], result["steps"], result["epochs"]) for result in found] == [("completed", 8, 2)] * 2
    assert len({result["test"]["elbo"] for result in found}) == 2
    assert "2 jobs, 2 completed" in (sweep / "sweep.md").read_text()
    # The words are those of train.py, which finds everything done.
    status, out, err = command("-m", *words)
    assert status == 0, err
    assert out.count("complete already") == 2


@pytest.mark.engine
def test_a_run_that_diverges_is_left_alone_and_spoils_no_other(tmp_path):
    words = ("name=grid", *SMALL, "optimizer.lr=1e-3,1e30", "hydra/launcher=basic")
    done = train_stacked(tmp_path, "-m", *words)
    assert done.returncode == 1
    assert "diverged, so it is not saved" in done.stdout
    found = sorted((json.loads(path.read_text()) for path in tmp_path.glob("outputs/sweeps/grid/*/results.json")),
                   key=lambda result: result["status"])  # fmt: skip
    assert [result["status"] for result in found] == ["completed", "failed"]
    assert len(list(tmp_path.glob("outputs/sweeps/grid/*optimizer.lr*"))) == 2  # no other names than train.py's
    assert "lower optimizer.lr" in found[1]["error"]


def test_words_that_make_other_jobs_are_refused(tmp_path, script):
    status, _, err = script("train_stacked", "name=grid", "seed=1,2", "hydra/sweeper=search")
    assert status == 1
    assert "cannot take hydra/sweeper=search" in err
    assert not [*tmp_path.iterdir()]


def test_a_stacked_sweep_needs_a_name(script):
    status, _, err = script("train_stacked", "seed=1,2")
    assert status == 1
    assert "error: the sweep needs a name" in err
