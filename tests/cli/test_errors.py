"""Wrong input is one line; a bug in a piece keeps its traceback, without the frames of Hydra and Lightning."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import SMALL, train

from vaelab.runs import fit
from vaelab.runs.results import read_results

HEAD = """
import torch
from vaelab.errors import InputError
from vaelab.models.contracts import Objective
from vaelab.models.networks import MLP
from vaelab.models.posteriors import GaussianPosterior


"""
# A network whose encoder begins with a layer of its own.
NETWORK = """class Layer(torch.nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.outputs, self.steps = outputs, 0

    def forward(self, x):
        self.steps += torch.is_grad_enabled()
        if {condition}:
            {failure}
        return x


class Network(MLP):
    def encoder(self, outputs):
        return torch.nn.Sequential(Layer(outputs), super().encoder(outputs))
"""
FAILURES = {
    'raise ValueError("seven is no\\nnumber")': "ValueError: seven is no",
    'raise TypeError("no such thing")': "TypeError: no such thing",
    "torch.ones(2, 3) @ x.new_ones(2, 3)": "RuntimeError: mat1 and mat2 shapes cannot be multiplied",
}
ALWAYS, IN_THE_SECOND_EPOCH = "True", "self.steps == 12"
MINE = (*SMALL, "network._target_=mine.Network", "name=mine")


@pytest.fixture
def mine(tmp_path_factory, monkeypatch) -> Iterator[Callable[[str], Path]]:
    """Writes the module ``mine`` to a folder that Python imports from: source -> file."""
    folder = tmp_path_factory.mktemp("pieces")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))

    def write(source: str) -> Path:
        path = folder / "mine.py"
        path.write_text(HEAD + source)
        return path

    yield write
    sys.modules.pop("mine", None)


def network(failure: str, condition: str = ALWAYS) -> str:
    return NETWORK.format(failure=failure.replace("\n", "\\n"), condition=condition)


def check_traceback(err: str, file: Path, failure: str, message: str) -> None:
    """One traceback, which ends with the line of the piece, its message and its name."""
    lines = file.read_text().splitlines()
    number = next(index for index, line in enumerate(lines, 1) if failure.replace("\n", "\\n") in line)
    assert err.count("Traceback (most recent call last)") == 1, err
    assert f'File "{file}", line {number}, in forward' in err
    assert message in err
    assert "in the piece mine.Layer" in err
    for package in ("hydra", "omegaconf", "lightning", "multiprocessing"):
        assert f"/{package}/" not in err, err


@pytest.mark.parametrize(("failure", "message"), FAILURES.items(), ids=["value", "type", "runtime"])
def test_a_bug_in_a_piece_is_a_traceback_before_the_training(command, tmp_path, mine, failure, message):
    file = mine(network(failure))
    status, out, err = command(*MINE)
    assert (status, out) == (1, "")
    check_traceback(err, file, failure, message)
    assert "Error executing job" not in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("failure", "message"), FAILURES.items(), ids=["value", "type", "runtime"])
def test_a_bug_in_a_piece_is_a_traceback_in_the_middle_of_the_training(command, tmp_path, mine, failure, message):
    file = mine(network(failure, IN_THE_SECOND_EPOCH))
    status, out, err = command(*MINE)
    assert status == 1
    assert "epoch   1/2" in out
    check_traceback(err, file, failure, message)
    run = tmp_path / "outputs" / "runs" / "mine"
    results = json.loads((run / "results.json").read_text())
    assert results["status"] == "failed"
    assert results["error"].startswith(message)
    check_traceback(results["traceback"], file, failure, message)
    assert "mine.py" in (run / "train.log").read_text()


def test_a_bug_in_a_constructor_names_the_place_of_the_piece(command, tmp_path, mine):
    mine("class Network(MLP):\n    def __init__(self, image, **options):\n        self.size = image[3]\n")
    status, _, err = command(*MINE)
    assert status == 1
    assert err.count("Traceback (most recent call last)") == 1
    assert "IndexError: list index out of range" in err
    assert "in model.posterior.network (mine.Network)" in err
    assert "/hydra/" not in err
    assert not list(tmp_path.iterdir())


def test_the_whole_traceback_is_shown_on_demand(command, mine, monkeypatch):
    monkeypatch.setenv("VAELAB_TRACEBACK", "1")
    failure = 'raise ValueError("seven is no number")'
    mine(network(failure, IN_THE_SECOND_EPOCH))
    status, _, err = command(*MINE)
    assert status == 1
    assert "/lightning/" in err
    assert "ValueError: seven is no number" in err


def test_other_jobs_go_on_after_a_bug_in_one(command, tmp_path, mine):
    failure = 'raise ValueError("seven is no number")'
    file = mine(network(failure, "self.outputs == 4"))
    words = ("-m", *MINE[:-1], "latent=2,3", "epochs=1", "evaluation.parts=[]", "name=s")
    status, out, err = command(*words)
    assert status == 1
    check_traceback(err, file, failure, "ValueError: seven is no number")
    assert "latent=2,network._target_=mine.network" not in out
    assert err.splitlines()[-1] == (
        "error: a job of the sweep failed, the others went on; the first to fail: ValueError: seven is no number"
    )
    written = [read_results(path.parent) for path in (tmp_path / "outputs/sweeps/s").glob("*/results.json")]
    by_latent = {results["latent"]: results for results in written}
    assert {latent: results["status"] for latent, results in by_latent.items()} == {2: "failed", 3: "completed"}
    assert by_latent[2]["error"] == "ValueError: seven is no number"
    assert "mine.py" in by_latent[2]["traceback"]
    assert "ValueError: seven is no number" in (tmp_path / "outputs/sweeps/s/sweep.md").read_text()


@pytest.mark.engine
def test_two_processes_print_the_traceback_once(tmp_path, mine):
    failure = 'raise ValueError("seven is no number")'
    file = mine(network(failure, IN_THE_SECOND_EPOCH))
    status, _, err = train(tmp_path, *MINE, "accelerator=ddp_cpu")
    assert status == 1
    check_traceback(err, file, failure, "ValueError: seven is no number")
    assert err.splitlines()[-1] == "error: ValueError: seven is no number"
    assert read_results(tmp_path / "outputs/runs/mine")["status"] == "failed"


@pytest.mark.engine
def test_the_process_that_failed_first_is_the_one_that_is_reported(tmp_path, mine):
    """The second of two: the first one then loses its connection, which is not the reason."""
    failure = 'raise ValueError("seven is no number")'
    file = mine(network(failure, f"{IN_THE_SECOND_EPOCH} and torch.distributed.get_rank() == 1"))
    status, _, err = train(tmp_path, *MINE, "accelerator=ddp_cpu")
    assert status == 1
    check_traceback(err, file, failure, "ValueError: seven is no number")


def test_wrong_input_that_a_piece_finds_is_one_line(command, tmp_path, mine):
    mine(network('raise InputError("take an even number of latents")'))
    status, _, err = command(*MINE)
    assert (status, err) == (1, "error: take an even number of latents\n")
    assert not list(tmp_path.iterdir())


def test_an_error_of_a_library_keeps_its_traceback(command, monkeypatch):
    def fit(*arguments: object, **options: object) -> None:
        raise ValueError("a library's own")

    monkeypatch.setattr("lightning.Trainer.fit", fit)
    status, _, err = command(*SMALL, "name=run")
    assert status == 1
    assert "Traceback (most recent call last)" in err
    assert "ValueError: a library's own" in err


def test_a_bug_in_a_script_keeps_its_traceback(script, finished, tmp_path, monkeypatch):
    def sample(*arguments: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr("vaelab.runs.finished.sample_images", sample)
    status, _, err = script("sample", finished, tmp_path / "s.png")
    assert status == 1
    assert "Traceback (most recent call last)" in err
    assert "TypeError: a bug" in err
    assert not (tmp_path / "s.png").exists()


def test_a_failed_part_of_the_evaluation_is_tried_again(command, tmp_path, monkeypatch):
    def failing(part: str, *arguments: object) -> dict:
        return {"error": "RuntimeError: too little memory"} if part == "probes" else evaluate(part, *arguments)

    evaluate = fit.evaluate
    words = ("-m", *SMALL, "latent=2", "epochs=1", "evaluation.parts=[latents, probes]", "name=s")
    with monkeypatch.context() as patch:
        patch.setattr(fit, "evaluate", failing)
        status, out, err = command(*words)
    assert (status, err) == (0, ""), out + err
    (job,) = (path.parent for path in (tmp_path / "outputs/sweeps/s").glob("*/results.json"))
    before = read_results(job)["evaluation"]
    assert before["probes"] == {"error": "RuntimeError: too little memory"}
    status, out, err = command(*words)
    assert (status, err) == (0, ""), out + err
    assert "complete already" in out
    after = read_results(job)["evaluation"]
    assert "error" not in after["probes"]
    assert after["probes"]["images"] == 200
    assert after["latents"] == before["latents"]  # its time too: it was not computed again
