"""The scripts as a user starts them, and a reopened run."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image

from vaelab.commands import COMMANDS
from vaelab.evaluation.bounds import squared_error
from vaelab.runs.load import load_run
from vaelab.runs.results import read_results


def test_a_reopened_run_is_the_one_that_was_tested(finished):
    module, data = load_run(finished)
    assert not module.training
    x = data.scale(data.sets["test"].images)
    with torch.no_grad():
        error = float(squared_error(module.model, module.model(x)).double().mean())
    assert error == pytest.approx(read_results(finished)["test"]["mse"], rel=1e-5)


def test_a_model_of_the_docs_is_a_small_plot_and_a_row_of_a_table(script, finished, tmp_path):
    status, out, err = script("model_plots", finished, "--to", tmp_path)
    assert (status, err) == (0, "")
    test = read_results(finished)["test"]
    row = out.splitlines()[-1]
    assert row.startswith("| small | `data=mnist5k")
    assert f"| 4 | {test['mse']:.2f} | {test['elbo']:.2f} | {test['nll']:.2f} |" in row
    with Image.open(tmp_path / "small.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 20
    assert (tmp_path / "small.png").stat().st_size < 40_000


@pytest.mark.parametrize("damage", ["nothing there", "no results", "no checkpoint", "failed", "other weights"])
def test_a_directory_without_a_finished_run_is_one_line(script, finished, tmp_path, damage):
    run = tmp_path / "run"
    if damage != "nothing there":
        shutil.copytree(finished, run)
    if damage == "no checkpoint":
        shutil.rmtree(run / "checkpoints")
    elif damage == "no results":
        (run / "results.json").unlink()
    elif damage == "failed":
        (run / "results.json").write_text('{"status": "failed", "error": "the loss became nan"}')
    elif damage == "other weights":
        best = run / "checkpoints" / "best.ckpt"
        checkpoint = torch.load(best, weights_only=True)
        checkpoint["state_dict"].popitem()
        torch.save(checkpoint, best)
    status, _, err = script("model_plots", run, "--to", tmp_path / "plots")
    assert status == 1
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    assert "run" in err


def test_a_script_ends_as_a_process_with_the_same_line_and_status(tmp_path):
    words = [sys.executable, str(ROOT / "scripts" / "sample.py"), "nowhere", "samples.png"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: there is no nowhere\n"


def test_the_plot_of_the_schedules_is_made_from_their_configuration(script, tmp_path):
    status, _, err = script("schedules", tmp_path / "schedules.png")
    assert (status, err) == (0, "")
    members = len(list((ROOT / "conf" / "beta").glob("*.yaml")))
    with Image.open(tmp_path / "schedules.png") as picture:
        width, height = picture.size
    assert width > members * 200 > 3 * height


def test_the_table_of_standard_errors_has_a_row_for_each_margin(script, finished):
    words = ("--images", 20, "--samples", 10, "--seeds", 3, "--margins", -8, -7)
    status, out, err = script("prior_samples", finished, *words)
    assert (status, err) == (0, "")
    rate = float(out.split("median rate ")[1].split()[0])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.splitlines()[-3:]]
    assert [row[0] for row in rows] == ["none", "-8.0", "-7.0"]
    for margin, row in zip((None, -8, -7), rows, strict=True):
        prior_samples, nll, spread, stated, ratio = (float(cell.replace(",", "")) for cell in row[1:])
        assert prior_samples == pytest.approx(0 if margin is None else np.exp(rate + margin), rel=0.01, abs=1)
        assert nll == pytest.approx(read_results(finished)["test"]["nll"], rel=0.2)
        assert ratio == pytest.approx(stated / spread, abs=0.01 + 0.02 * ratio)


def test_a_margin_that_takes_too_many_samples_of_the_prior_is_refused(script, finished):
    status, out, err = script("prior_samples", finished, "--images", 20, "--margins", 1, 30)
    assert (status, out) == (1, "")
    assert err.startswith("error: a margin of 30 at a rate of ")
    assert len(err.splitlines()) == 1


def test_a_model_without_samples_of_the_prior_has_no_such_table(script, conditional):
    status, out, err = script("prior_samples", conditional, "--images", 20)
    assert (status, out) == (1, "")
    assert err == f"error: {conditional}: images cannot share samples of the prior in this model\n"


@pytest.mark.parametrize(
    "name", sorted({path.stem for path in Path(ROOT / "scripts").glob("*.py")} - {"rivals", "installed"})
)
def test_every_script_explains_itself(script, name):
    status, out, err = script(name, "--help")
    assert (status, err) == (0, "")
    folder = f"{ROOT}/" if name in COMMANDS else ""  # as the script was started
    assert f"python {folder}scripts/{name}.py" in out


@pytest.mark.parametrize("file", ["train.py", "scripts/sample.py", "scripts/evaluate.py"])
def test_a_python_without_vaelab_is_told_so_in_one_line(file, tmp_path):
    """-S leaves the installed packages out, as the system's Python does before the environment is activated."""
    done = subprocess.run(
        [sys.executable, "-S", ROOT / file], cwd=tmp_path, env={}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "has no vaelab: make env, then . .venv/bin/activate" in done.stderr
