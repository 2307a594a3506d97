"""Whole runs of train.py: what they leave, resuming bit by bit, several processes."""

import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, SMALL, outcome, start, train, train_here
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vaelab.evaluation.bounds import squared_error
from vaelab.runs.load import load_run


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def metrics(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def results(run: Path) -> dict:
    return json.loads((run / "results.json").read_text())


# ---- what a run leaves ---------------------------------------------------------------------------------------


def test_results_say_what_the_run_was_and_reached(finished):
    written = results(finished)
    assert written["status"] == "completed"
    assert written["name"] == "small"
    assert "latent=4" in written["overrides"]
    assert (written["latent"], written["beta"], written["seed"], written["epochs"]) == (4, 1.0, 0, 2)
    assert written["steps"] == 2 * 512 // 64
    # 784-32-8 and 4-32-784, each with its bias
    assert written["parameters"] == 785 * 32 + 33 * 8 + 5 * 32 + 33 * 784
    assert written["data"] == {
        "name": "mnist5k",
        "train": 512,
        "val": 128,
        "test": 200,
        "binarize": "none",
        "batch_size": 64,
    }
    test = written["test"]
    assert set(test) - {"bf16_error"} == {  # which only processors with bfloat16 have
        "loss", "elbo", "rate", "distortion", "mse", "nll", "nll_samples", "nll_prior_samples", "nll_stderr", "gap",
        "active_units", "posterior_std",
    }  # fmt: skip
    assert test["elbo"] == pytest.approx(-test["rate"] - test["distortion"])
    assert -400 < test["elbo"] < -test["nll"] < 0
    assert test["nll_samples"] == 10
    assert 0 <= test["active_units"] <= 4
    assert all(seconds > 0 for seconds in written["time"].values())
    assert written["device"].startswith("cpu")
    best = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)
    assert written["tested"] == {"checkpoint": "best", "epoch": best["epoch"] + 1, "step": best["global_step"]}
    assert written["precision"] == "32-true"
    assert written["versions"]["torch"] == torch.__version__


PLOTS = {
    "samples", "ranked_samples", "reconstructions", "interpolation", "traversal", "latent_means", "kl_per_latent",
    "kl_over_training", "posterior_std", "hardest_and_easiest", "curves",
}  # fmt: skip


def test_the_directory_holds_what_the_readme_lists(finished):
    files = (path for path in finished.rglob("*") if path.is_file() and path.suffix != ".lock" and path.name != ".lock")
    left = {str(path.relative_to(finished)) for path in files}
    events = {name for name in left if name.startswith("events.out.tfevents")}
    assert events
    assert left - events == {
        ".hydra/config.yaml", ".hydra/overrides.yaml", "checkpoints/last.ckpt", "checkpoints/best.ckpt",
        *(f"figures/{name}.png" for name in PLOTS), "metrics.csv", "results.json", "train.log",
    }  # fmt: skip
    log = (finished / "train.log").read_text()
    assert log.count("epoch   ") == 2
    assert "WARNING" not in log
    assert str(ROOT) not in (finished / "results.json").read_text()


def test_metrics_of_every_epoch_in_nats(finished):
    rows = metrics(finished)
    val = [row for row in rows if row["elbo/val"]]
    assert [float(row["epoch"]) for row in val] == [1, 2]
    assert [int(row["step"]) for row in val] == [8, 16]
    assert float(val[1]["elbo/val"]) > float(val[0]["elbo/val"])
    training = [row for row in rows if row["loss/train"]]
    assert [int(row["step"]) for row in training] == [4, 8, 12, 16]
    for row in training:
        assert float(row["elbo/train"]) == pytest.approx(-float(row["rate/train"]) - float(row["distortion/train"]))


def test_plots_are_not_blank(finished):
    sizes = {}
    for name in PLOTS:
        pixels = np.asarray(Image.open(finished / "figures" / f"{name}.png").convert("L"))
        assert pixels.std() > 20, name
        sizes[name] = pixels.shape
    assert sizes["samples"][1] >= 8 * 3 * 28
    assert sizes["reconstructions"][0] >= 2 * 3 * 28


def test_tensorboard_finds_curves_plots_and_hparams(finished):
    events = EventAccumulator(str(finished), size_guidance={"images": 0, "scalars": 0, "histograms": 0})
    events.Reload()
    tags = events.Tags()
    assert {
        "loss/train",
        "elbo/train",
        "elbo/val",
        "rate/val",
        "distortion/val",
        "schedule/beta",
        "schedule/lr",
    } <= set(tags["scalars"])
    assert "hp_metric" not in tags["scalars"]
    assert set(tags["images"]) == {f"plots/{name}" for name in PLOTS}
    assert [image.step for image in events.Images("plots/samples")] == [8, 16]
    assert [image.step for image in events.Images("plots/latent_means")] == [16]
    assert not tags["histograms"]
    assert not [tag for tag in tags["scalars"] if tag.startswith(("kl/", "epoch"))]
    for tag in ("test/elbo", "test/nll", "test/rate"):
        assert events.Scalars(tag)[-1].value == pytest.approx(results(finished)["test"][tag[5:]], rel=1e-5)
    assert "_hparams_/session_start_info" in events.summary_metadata


def test_the_best_weights_are_those_that_are_tested(finished):
    rows = [row for row in metrics(finished) if row["elbo/val"]]
    best = max(rows, key=lambda row: float(row["elbo/val"]))
    checkpoint = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["epoch"] + 1 == float(best["epoch"])


def test_the_same_seed_gives_the_same_numbers_and_another_does_not(command, finished, tmp_path):
    """The first in a process of its own, as a user starts it."""
    for run, name, seed in ((partial(train, tmp_path), "again", 0), (command, "other", 1)):
        status, out, err = run(*SMALL, f"name={name}", f"seed={seed}")
        assert (status, err) == (0, ""), out + err
    again, other = tmp_path / "outputs/runs/again", tmp_path / "outputs/runs/other"
    assert same(weights(finished), weights(again))
    assert results(finished)["test"] == results(again)["test"]
    assert not same(weights(finished), weights(other))


def test_an_autoencoder_leaves_the_same_except_a_bound(command, tmp_path):
    status, out, err = command(*SMALL, "model=ae", "name=ae", "data.val=0", "pictures.every=5")
    assert status == 0, out + err
    written = results(tmp_path / "outputs/runs/ae")
    assert set(written["test"]) == {"loss", "distortion", "mse"}
    assert (written["model"], written["loss"], written["beta"]) == ("ae", "reconstruction", None)
    assert {path.name for path in (tmp_path / "outputs/runs/ae/figures").iterdir()} == {
        f"{name}.png" for name in PLOTS
        if name not in ("ranked_samples", "kl_per_latent", "kl_over_training", "posterior_std")
    }  # fmt: skip
    assert not (tmp_path / "outputs/runs/ae/checkpoints/best.ckpt").exists()


# ---- the other models ----------------------------------------------------------------------------------------


def test_pca_needs_no_epoch_and_leaves_what_the_others_do(command, tmp_path):
    status, out, err = command(*SMALL, "model=pca", "network.hidden=[]", "name=pca", "pictures.every=5")
    assert (status, err) == (0, ""), out + err
    run = tmp_path / "outputs" / "runs" / "pca"
    written = results(run)
    assert (written["epochs"], written["steps"], written["status"]) == (0, 0, "completed")
    test = written["test"]
    assert test["nll_stderr"] < 1e-3
    assert abs(test["gap"]) < 0.5  # the ELBO's codes are drawn; their mean is exact
    drawn = PLOTS - {"curves", "kl_over_training"}
    assert {path.stem for path in (run / "figures").iterdir()} == drawn
    assert weights(run)["model.stretch"].shape == (4,)
    events = EventAccumulator(str(run), size_guidance={"images": 0})
    events.Reload()
    assert set(events.Tags()["images"]) == {f"plots/{name}" for name in drawn}
    status, _, err = command("ckpt=outputs/runs/pca/checkpoints/last.ckpt")
    assert status == 1
    assert "closed form has nothing to go on with" in err


def test_a_linear_autoencoder_is_trained_to_what_pca_solves(command, tmp_path):
    options = (
        *SMALL, "data.train=null", "data.val=0", "data.batch_size=128", "network=linear", "network.hidden=[]",
        "latent=8", "optimizer.lr=1e-2",
    )  # fmt: skip
    errors = {}
    for model in ("pca", "ae"):
        status, out, err = command(*options, f"model={model}", f"name={model}", "epochs=15")
        assert status == 0, out + err
        errors[model] = results(tmp_path / "outputs" / "runs" / model)["test"]["mse"]
    assert errors["ae"] == pytest.approx(errors["pca"], rel=0.01)


def test_a_conditional_vae_draws_a_row_for_every_digit(command, tmp_path):
    status, out, err = command(*SMALL, "model=cvae", "name=cvae", "pictures.every=5")
    assert status == 0, out + err
    run = tmp_path / "outputs" / "runs" / "cvae"
    pixels = np.asarray(Image.open(run / "figures" / "samples.png").convert("L"))
    assert pixels.shape[0] > 3 * 10 * 30  # a row for each digit, each pixel of it three of the plot
    assert pixels.shape[1] > 3 * 8 * 30
    assert results(run)["test"]["nll"] < -results(run)["test"]["elbo"]


def test_a_mixtures_bound_is_its_likelihood_in_results_too(command, tmp_path):
    words = ("model=mixture", "network.hidden=[]", "latent=8", "data.binarize=static")
    status, out, err = command(*SMALL, *words, "name=m")
    assert status == 0, out + err
    test = results(tmp_path / "outputs" / "runs" / "m")["test"]
    assert test["nll"] == pytest.approx(-test["elbo"], rel=1e-5)
    assert not {"active_units", "posterior_std"} & set(test)


def test_averaged_weights_are_what_is_tested_and_survive_a_resume(command, tmp_path):
    run = tmp_path / "outputs" / "runs" / "run"
    averaged = (*SMALL, "evaluation.ema=0.9", "lr=constant", "name=run")
    assert command(*averaged, "epochs=4")[0] == 0
    expected = results(run)["test"], weights(run)
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert not same(checkpoint["state_dict"], checkpoint["current_model_state"])
    experiment, data = load_run(run)
    assert same(experiment.state_dict(), checkpoint["state_dict"])
    x = data.scale(data.sets["test"].images)
    with torch.no_grad():
        error = float(squared_error(experiment.model, experiment.model(x)).mean())
    assert results(run)["test"]["mse"] == pytest.approx(error, rel=1e-5)  # the average's, not the raw weights'
    status, _, err = command("ckpt=outputs/runs/run/checkpoints/last.ckpt", "evaluation.ema=null", "epochs=5")
    assert status == 1
    assert "holds averaged weights" in err
    shutil.rmtree(run)
    assert command(*averaged, "epochs=2")[0] == 0
    assert not same(weights(run), expected[1])
    assert command("ckpt=outputs/runs/run/checkpoints/last.ckpt", "epochs=4")[0] == 0
    assert same(weights(run), expected[1])
    assert results(run)["test"] == expected[0]


@pytest.mark.parametrize(
    ("words", "chosen_by"),
    [
        (("loss=iwae",), "iwae"),
        (("model=noisy_ae",), "distortion"),
        (("beta.weight=0",), "distortion"),
        (("beta.weight=4",), "elbo"),
        (("loss=capacity",), None),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else words,
)
def test_the_best_weights_are_best_by_what_they_are_trained_for(command, tmp_path, words, chosen_by):
    assert command(*SMALL, *words, "name=run", "epochs=3", "optimizer.lr=0.05")[0] == 0
    run = tmp_path / "outputs" / "runs" / "run"
    tested = results(run)["tested"]
    if chosen_by is None:
        assert tested == {"checkpoint": "last", "epoch": 3, "step": 24}
        return
    values = {float(row["epoch"]): float(row[f"{chosen_by}/val"]) for row in metrics(run) if row[f"{chosen_by}/val"]}
    choose = min if chosen_by == "distortion" else max
    epoch = choose(values, key=values.get)
    assert tested == {"checkpoint": "best", "epoch": epoch, "step": 8 * epoch}


def test_bf16_trains_and_is_measured_in_full_precision(command, tmp_path):
    status, out, err = command(*SMALL, "trainer.precision=bf16-mixed", "name=b")
    assert status == 0, out + err
    test = results(tmp_path / "outputs/runs/b")["test"]
    assert results(tmp_path / "outputs/runs/b")["precision"] == "bf16-mixed"
    assert test["elbo"] == pytest.approx(-test["rate"] - test["distortion"])


# ---- resuming ------------------------------------------------------------------------------------------------

# Dynamic binarisation, a warm-up and several epochs: order, noise and schedules all depend on the step.
LONG = (*SMALL, "epochs=5", "data.train=2048", "data.batch_size=8", "data.binarize=dynamic", "beta=linear", "lr=cosine")


def stop_in_epoch(folder: Path, name: str, epoch: int, how: int, *options: str) -> tuple[int, str, str]:
    """Start a run and stop it in the middle of an epoch: (exit status, standard output, standard error)."""
    process = start(folder, *LONG, f"name={name}", *options)
    run = folder / "outputs" / "runs" / name
    log, last = run / "train.log", run / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not (last.exists() and f"epoch {epoch - 1:3d}/" in log.read_text()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.15)
    process.send_signal(how)
    return outcome(process, 180)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    status, out, err = train_here(folder, *LONG, "name=run")
    assert (status, err) == (0, ""), out + err
    return folder / "outputs" / "runs" / "run"


def test_a_killed_run_resumes_to_exactly_the_same_weights(command, undisturbed, tmp_path):
    run = tmp_path / "outputs" / "runs" / "run"
    assert stop_in_epoch(tmp_path, "run", 3, signal.SIGKILL)[0] == -signal.SIGKILL
    assert not (run / "results.json").exists()
    config = (run / ".hydra" / "config.yaml").read_text()
    done = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] + 1
    assert 2 <= done < 5

    status, out, err = command("ckpt=outputs/runs/run/checkpoints/last.ckpt")
    assert status == 0, out + err
    assert f"epoch {done + 1:3d}/5" in out
    assert f"epoch {done:3d}/5" not in out
    assert same(weights(undisturbed), weights(run))
    assert results(undisturbed)["test"] == results(run)["test"]
    assert results(run)["steps"] == results(undisturbed)["steps"]
    assert (run / ".hydra" / "config.yaml").read_text().replace(str(tmp_path), "") == config.replace(
        "ckpt: null", "ckpt: outputs/runs/run/checkpoints/last.ckpt"
    )

    assert metrics(run) == metrics(undisturbed)  # each row once
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    steps = [scalar.step for scalar in events.Scalars("loss/train")]
    assert steps == [int(row["step"]) for row in metrics(run) if row["loss/train"]]


def test_beta_and_rate_after_a_resume_are_those_of_their_step(undisturbed):
    """The oracle: the schedules, computed from the step alone."""
    from vaelab.training.schedules import CosineRate, Linear

    beta, rate = Linear(1.0, 0.25), CosineRate(0.03)
    steps = results(undisturbed)["steps"]
    for row in metrics(undisturbed):
        if row["schedule/beta"]:
            step = int(row["step"]) - 1
            assert float(row["schedule/beta"]) == pytest.approx(beta(step, steps))
            assert float(row["schedule/lr"]) == pytest.approx(8e-3 * rate(step, steps))


@pytest.mark.parametrize(
    ("how", "accelerator"),
    [
        (signal.SIGINT, "cpu"),
        pytest.param(signal.SIGTERM, "cpu", marks=pytest.mark.engine),
        pytest.param(signal.SIGINT, "ddp_cpu", marks=pytest.mark.engine),
        pytest.param(signal.SIGTERM, "ddp_cpu", marks=pytest.mark.engine),
    ],
)
def test_a_run_that_is_interrupted_says_how_to_go_on(tmp_path, accelerator, how):
    status, out, err = stop_in_epoch(tmp_path, "run", 2, how, f"accelerator={accelerator}")
    assert status == 1, out + err
    assert "Traceback" not in err
    # A process whose gloo threads are killed may print a line of its own before.
    assert err.splitlines()[-1] == (
        f"error: interrupted; go on with: python {ROOT}/train.py ckpt=outputs/runs/run/checkpoints/last.ckpt"
    )
    assert not (tmp_path / "outputs/runs/run/results.json").exists()


def test_a_run_knows_its_best_weights_after_a_resume(command, finished, tmp_path):
    """Without a step the bound stays what it was: the record must not pass to weights that are not better."""
    run = tmp_path / "elsewhere" / "small"  # also where the directory was moved
    shutil.copytree(finished, run)
    status, out, err = command(f"ckpt={run}/checkpoints/last.ckpt", "epochs=3", "optimizer.lr=1e-30", "lr=constant")
    assert status == 0, out + err
    epochs = {
        name: torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["epoch"] for name in ("best", "last")
    }
    assert epochs == {"best": 1, "last": 2}


def test_the_best_and_not_the_last_weights_are_tested(command, tmp_path):
    overfits = ("data.train=64", "data.batch_size=8", "epochs=40", "lr=constant", "data.val=400")
    for which in ("best", "last"):
        status, out, err = command(*SMALL, *overfits, f"evaluation.checkpoint={which}", f"name={which}")
        assert status == 0, out + err
    best, last = (results(tmp_path / "outputs/runs" / which)["test"] for which in ("best", "last"))
    rows = [float(row["elbo/val"]) for row in metrics(tmp_path / "outputs/runs/best") if row["elbo/val"]]
    assert max(rows) > rows[-1] + 1
    assert best["elbo"] > last["elbo"] + 1


def test_a_run_resumes_from_the_directory_of_a_sweeps_job(command, finished, tmp_path):
    run = tmp_path / "sweep" / "beta.weight=0.5,latent=4"
    shutil.copytree(finished, run)
    status, out, err = command("ckpt=sweep/beta.weight=0.5,latent=4/checkpoints/last.ckpt", "epochs=3")
    assert status == 0, out + err
    assert results(run)["steps"] == 24


@pytest.mark.engine
def test_ctrl_c_ends_a_multirun(tmp_path):
    process = start(tmp_path, "-m", *LONG, "latent=2,3", "hydra.sweep.dir=s", "hydra.sweep.subdir=${latent}")
    deadline = time.monotonic() + 120
    while not (tmp_path / "s/2/checkpoints/last.ckpt").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    status, _, err = outcome(process, 180)
    assert status == 1
    assert err == (
        f"error: interrupted; go on with: python {ROOT}/train.py ckpt=s/2/checkpoints/last.ckpt; "
        "the same command goes on with the sweep\n"
    )
    assert not (tmp_path / "s/3").exists()


@pytest.mark.engine
def test_a_closed_output_does_not_stop_a_run(tmp_path):
    process = start(tmp_path, *SMALL, "name=piped")
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=180) == 0
    assert "Logging error" not in err
    assert results(tmp_path / "outputs/runs/piped")["status"] == "completed"


def test_a_run_that_was_killed_before_its_test_is_tested(command, finished, tmp_path):
    run = tmp_path / "outputs" / "runs" / "small"
    shutil.copytree(finished, run)
    (run / "results.json").unlink()
    status, out, err = command("ckpt=outputs/runs/small/checkpoints/last.ckpt")
    assert status == 0, out + err
    assert results(run)["test"] == results(finished)["test"]
    assert metrics(run) == metrics(finished)


def test_a_run_resumes_with_another_learning_rate(command, finished, tmp_path):
    run = tmp_path / "outputs" / "runs" / "small"
    shutil.copytree(finished, run)
    status, out, err = command(
        "ckpt=outputs/runs/small/checkpoints/last.ckpt", "epochs=4", "optimizer.lr=1e-6", "lr=constant"
    )
    assert status == 0, out + err
    rates = [float(row["schedule/lr"]) for row in metrics(run) if row["schedule/lr"]]
    assert set(rates[4:]) == {1e-6}
    assert len(rates) == 8


def test_a_run_branches_off_into_a_directory_of_its_own(command, finished, tmp_path):
    run = tmp_path / "outputs" / "runs" / "small"
    shutil.copytree(finished, run)
    before = (run / "results.json").read_bytes(), (run / "checkpoints" / "last.ckpt").read_bytes()
    status, out, err = command("ckpt=outputs/runs/small/checkpoints/best.ckpt", "epochs=3", "name=branch")
    assert status == 0, out + err
    assert results(tmp_path / "outputs/runs/branch")["name"] == "branch"
    assert results(tmp_path / "outputs/runs/branch")["latent"] == 4
    assert before == ((run / "results.json").read_bytes(), (run / "checkpoints" / "last.ckpt").read_bytes())


def test_a_complete_run_resumes_for_more_epochs_and_keeps_its_old_results(command, finished, tmp_path):
    run = tmp_path / "outputs" / "runs" / "small"
    shutil.copytree(finished, run)
    status, out, err = command("ckpt=outputs/runs/small/checkpoints/last.ckpt", "epochs=3")
    assert status == 0, out + err
    assert results(run)["epochs"] == 3
    assert results(run)["steps"] == 24
    assert json.loads((run / "results.before-1.json").read_text())["epochs"] == 2


# ---- several processes ---------------------------------------------------------------------------------------


@pytest.mark.engine
def test_two_processes_reach_what_one_does(undisturbed, tmp_path):
    status, out, err = train(tmp_path, *LONG, "accelerator=ddp_cpu", "name=two")
    assert status == 0, out + err
    run = tmp_path / "outputs" / "runs" / "two"
    one, two = results(undisturbed), results(run)
    assert two["device"].startswith("2 x cpu")
    assert two["steps"] == one["steps"]
    assert two["data"] == one["data"]
    for figure in ("elbo", "nll"):  # other noise, so another trade of rate for distortion, but no other bound
        assert math.isclose(two["test"][figure], one["test"][figure], rel_tol=0.02), figure
    assert (run / "train.log").read_text().count("epoch   5/5") == 1
    assert [path.name for path in (tmp_path / "outputs/runs").iterdir()] == ["two"]
    assert len(list(run.glob("results*.json"))) == 1


@pytest.mark.engine
def test_two_processes_take_the_same_steps_as_one_where_there_is_no_noise(command, tmp_path):
    """An auto-encoder draws nothing: the same order, split in two, has the same gradients up to rounding."""
    trained = []
    for run, name, accelerator in ((command, "one", "cpu"), (partial(train, tmp_path), "two", "ddp_cpu")):
        status, out, err = run(
            *SMALL[:-1], "model=ae", f"accelerator={accelerator}", f"name={name}", "optimizer.lr=1e-4"
        )
        assert status == 0, out + err
        trained.append(tmp_path / "outputs" / "runs" / name)
    one, two = (weights(run) for run in trained)
    assert max(float((one[key] - two[key]).abs().max()) for key in one) < 1e-5
    assert results(trained[0])["test"]["mse"] == pytest.approx(results(trained[1])["test"]["mse"], rel=1e-5)


@pytest.mark.engine
def test_a_multirun_of_two_processes_each(tmp_path):
    status, out, err = train(
        tmp_path, "-m", *SMALL, "latent=2,3", "accelerator=ddp_cpu", "data.eval_batch_size=199", "epochs=1",
        "hydra.sweep.dir=s", "hydra.sweep.subdir=latent-${latent}",
    )  # fmt: skip
    assert status == 0, out + err
    assert {path.parent.name: results(path.parent)["latent"] for path in (tmp_path / "s").glob("*/results.json")} == {
        "latent-2": 2,
        "latent-3": 3,
    }


@pytest.mark.parametrize(
    "words",
    [("model=pca", "network.hidden=[]"), ("prior=vamp", "prior.components=8", "optimizer.lr=1e-30")],
    ids=lambda words: words[0],
)
@pytest.mark.engine
def test_models_that_start_from_images_do_so_in_every_process(command, tmp_path, words):
    """Without a step, the first weights are tested."""
    tested = []
    for run, name, accelerator in ((command, "one", "cpu"), (partial(train, tmp_path), "two", "ddp_cpu")):
        status, out, err = run(*SMALL, *words, f"accelerator={accelerator}", "epochs=1", f"name={name}")
        assert status == 0, out + err
        tested.append(results(tmp_path / "outputs" / "runs" / name)["test"])
    assert tested[1]["mse"] == pytest.approx(tested[0]["mse"], rel=1e-5)
    assert tested[1]["nll"] == pytest.approx(tested[0]["nll"], rel=1e-3)


@pytest.mark.engine
def test_a_failure_in_several_processes_is_one_line(tmp_path):
    status, _, err = train(tmp_path, *SMALL, "accelerator=ddp_cpu", "name=wild", "optimizer.lr=1e20", "lr=constant")
    assert status == 1
    lines = [line for line in err.splitlines() if line]
    assert len(lines) == 1, err
    assert "lower optimizer.lr" in lines[0]
    assert results(tmp_path / "outputs/runs/wild")["status"] == "failed"


# ---- the command line ----------------------------------------------------------------------------------------


def test_help_waits_for_no_heavy_import():
    code = (
        "import sys; sys.argv = ['train.py', '--help']; sys.path.insert(0, '.')\n"
        "import train\n"
        "try: train.main()\n"
        "except SystemExit: pass\n"  # what it imported is looked at, however it ended
        "sys.exit('torch' in sys.modules or 'lightning' in sys.modules or 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_cfg_job_prints_the_whole_configuration(command, tmp_path):
    status, out, err = command("--cfg", "job", "likelihood=gaussian")
    assert (status, err) == (0, "")
    for words in (
        "latent: 20",
        "_target_: vaelab.models.likelihoods.GaussianLikelihood",
        "sigma: 1.0",
        "batch_size: 512",
    ):
        assert words in out
    assert not list(tmp_path.iterdir())


def test_a_run_in_a_terminal_shows_a_bar(tmp_path):
    """Through a pseudo-terminal, as a user sees it."""
    import pty

    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *SMALL, "name=bar"],
        cwd=tmp_path, stdout=child, stderr=child, env={**os.environ, "COLUMNS": "120", "TERM": "xterm"},
    )  # fmt: skip
    os.close(child)
    shown = b""
    while True:
        try:
            chunk = os.read(parent, 4096)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(parent)
    assert process.wait(timeout=180) == 0
    text = shown.decode()
    assert "epoch 2/2" in text
    assert "val elbo" in text
    assert "results   outputs/runs/bar/results.json" in text


@pytest.mark.engine
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_networks_compute_the_same(finished, tmp_path):
    status, out, err = train(tmp_path, *SMALL, "name=compiled", "trainer.compile=default")
    assert status == 0, out + err
    test, expected = (results(run)["test"] for run in (tmp_path / "outputs/runs/compiled", finished))
    assert {name: test[name] for name in ("elbo", "rate", "mse")} == pytest.approx(
        {name: expected[name] for name in ("elbo", "rate", "mse")}, rel=1e-4
    )


def test_a_run_without_plots_leaves_none(command, tmp_path):
    status, out, err = command(*SMALL, "name=plain", "epochs=1", "evaluation.parts=[]", "pictures.every=null")
    assert (status, err) == (0, "")
    run = tmp_path / "outputs" / "runs" / "plain"
    assert not (run / "figures").exists()
    assert "figures" not in out
    assert not EventAccumulator(str(run)).Reload().Tags()["images"]
    assert results(run)["status"] == "completed"
