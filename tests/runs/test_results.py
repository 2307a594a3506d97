"""results.json, and the directory that it lies in."""

import json

import pytest

from vaelab import files
from vaelab.errors import InputError
from vaelab.runs.directory import claim, keep_aside, release
from vaelab.runs.results import add_evaluation, missing_parts, read_results


def test_results_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    files.write_json(path, {"elbo": -100.5, "bad": float("nan"), "far": [float("inf")], 3: {"x": (1, 2)}})
    assert json.loads(path.read_text()) == {"elbo": -100.5, "bad": None, "far": [None], "3": {"x": [1, 2]}}
    with pytest.raises(TypeError):
        files.write_json(path, {"thing": object()})
    assert json.loads(path.read_text())["elbo"] == -100.5
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_a_directory_is_claimed_once(tmp_path):
    directory = tmp_path / "a" / "run"
    claim(directory, resumes=False)
    claim(directory, resumes=False)  # still empty
    (directory / "metrics.csv").touch()
    with pytest.raises(ValueError, match=r"exists already.*delete it"):
        claim(directory, resumes=False)
    claim(directory, resumes=True)
    assert [file.name for file in directory.iterdir()] == ["metrics.csv"]


def test_release_removes_no_file_of_others(tmp_path):
    directory = tmp_path / "outputs" / "runs" / "run"
    directory.mkdir(parents=True)
    (tmp_path / "outputs" / "README.md").touch()
    release(directory)
    assert [file.name for file in (tmp_path / "outputs").iterdir()] == ["README.md"]


def test_earlier_results_are_kept_under_a_number(tmp_path):
    for number in (1, 2):
        files.write_json(tmp_path / "results.json", {"number": number})
        keep_aside(tmp_path / "results.json")
        assert f'"number": {number}' in (tmp_path / f"results.before-{number}.json").read_text()
    keep_aside(tmp_path / "results.json")  # nothing to keep
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(("content", "says"), [(None, "not finished"), ("{", "damaged"), ("", "damaged")])
def test_reading_results_that_are_none(tmp_path, content, says):
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(ValueError, match=says):
        read_results(tmp_path)


def test_a_part_of_the_evaluation_that_failed_counts_as_missing(tmp_path):
    files.write_json(tmp_path / "results.json", {"status": "completed"})
    add_evaluation(tmp_path, "latents", {"active_units": 2})
    add_evaluation(tmp_path, "probes", {"error": "RuntimeError: out of memory"})
    add_evaluation(tmp_path, "aggregate", {"lacking": "its latents are discrete"})
    config = {"evaluation": {"parts": ["latents", "aggregate", "probes", "likelihood"]}}
    assert missing_parts(read_results(tmp_path), config) == ["probes", "likelihood"]


def test_a_run_that_does_not_exist_is_told_from_one_that_is_not_finished(tmp_path):
    (tmp_path / "first").mkdir()
    with pytest.raises(InputError, match=r"there is no .*frist; did you mean .*first\?"):
        read_results(tmp_path / "frist")
    with pytest.raises(InputError, match=r"there is no .*other$"):
        read_results(tmp_path / "other")
    with pytest.raises(InputError, match="is not finished"):
        read_results(tmp_path / "first")
    files.write_json(tmp_path / "first" / "results.json", {"status": "completed"})
    with pytest.raises(InputError, match=r"no checkpoint"):
        claim(tmp_path / "first", resumes=False)
    (tmp_path / "first" / "checkpoints").mkdir()
    (tmp_path / "first" / "checkpoints" / "last.ckpt").touch()
    with pytest.raises(InputError, match=r"ckpt=.*last\.ckpt epochs=\.\.\. \(more than it has\)"):
        claim(tmp_path / "first", resumes=False)
