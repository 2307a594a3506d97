"""The tools in scripts/ on a finished run, as a user starts them."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image

from vaelab.evaluation.bounds import squared_error
from vaelab.runs.load import load_run
from vaelab.runs.results import read_results


def script(name: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / name), *arguments], capture_output=True, text=True, check=False
    )


def test_a_reopened_run_is_the_one_that_was_tested(finished):
    experiment, data = load_run(finished)
    assert not experiment.training
    x = data.scale(data.sets["test"].images)
    with torch.no_grad():
        error = float(squared_error(experiment.model, experiment.model(x)).double().mean())
    assert error == pytest.approx(read_results(finished)["test"]["mse"], rel=1e-5)


def test_a_rung_is_a_small_picture_and_a_row(finished, tmp_path):
    done = script("ladder.py", str(finished), "--to", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    test = read_results(finished)["test"]
    row = done.stdout.splitlines()[-1]
    assert row.startswith("| small | `data=mnist5k")
    assert f"| 4 | {test['mse']:.2f} | {test['elbo']:.2f} | {test['nll']:.2f} |" in row
    with Image.open(tmp_path / "small.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 20
    assert (tmp_path / "small.png").stat().st_size < 40_000


@pytest.mark.parametrize("damage", ["nothing there", "no results", "no checkpoint", "failed", "other weights"])
def test_what_is_no_finished_run_is_told_in_one_line(finished, tmp_path, damage):
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
    done = script("ladder.py", str(run), "--to", str(tmp_path / "pictures"))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert "run" in done.stderr


def test_the_picture_of_the_schedules_is_made_from_their_configuration(tmp_path):
    done = script("schedules.py", str(tmp_path / "schedules.png"))
    assert (done.returncode, done.stderr) == (0, "")
    members = len(list((ROOT / "conf" / "beta").glob("*.yaml")))
    with Image.open(tmp_path / "schedules.png") as picture:
        width, height = picture.size
    assert width > members * 200 > 3 * height


@pytest.mark.parametrize("name", sorted({path.name for path in Path(ROOT / "scripts").glob("*.py")} - {"rivals.py"}))
def test_every_script_explains_itself(name):
    done = script(name, "--help")
    assert done.returncode == 0
    assert f"python scripts/{name}" in done.stdout
