"""The examples of docs/extending.md, from a folder outside the repository, as a stranger's code."""

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, SMALL, train, train_here
from extending import PAGE, examples, members, write_examples

from vaelab import own
from vaelab.evaluation import metrics
from vaelab.runs.load import load_run

QUICK = (*SMALL, "epochs=1", "evaluation.parts=[]", "trainer.log_every_n_steps=8")
BLOBS = ("data=blobs", "data.images=600", "data.val=100", "latent=3", "epochs=1", "evaluation.nll_samples=10",
         "evaluation.prior_samples=2000", "pictures.every=null", "evaluation.parts=[]", "accelerator=cpu")  # fmt: skip
PIECES = [group for group in members() if group not in ("metric", "plot")]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Each test is a process of its own to the pieces: no folder, no module and no metric of another test."""
    yield
    own.use([])
    metrics._OWN.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with all examples, beside which runs go to outputs/."""
    made = tmp_path_factory.mktemp("stranger")
    write_examples(made)
    return made


def words(group: str) -> tuple[str, ...]:
    """A short training with the example of ``group``, its metric and the importance-weighted bound."""
    loss = () if group == "loss" else ("loss=iwae",)
    options = BLOBS if group == "data" else (*QUICK, f"{group}={members()[group]}")
    if group == "network":
        options = tuple(word for word in options if not word.startswith("network.hidden"))
    return ("--config-dir", "mine", *options, *loss, f"name={group}", "metric=sparsity")


@pytest.fixture(scope="module")
def runs(folder) -> Callable[[str], Path]:
    """The finished run with the example of a group."""

    def run(group: str) -> Path:
        directory = folder / "outputs" / "runs" / group
        if not directory.exists():
            status, out, err = train_here(folder, *words(group))
            assert (status, err) == (0, ""), out + err
        return directory

    return run


def test_the_page_has_an_example_of_each_kind_none_longer_than_thirty_lines():
    kinds = {"network", "likelihood", "prior", "posterior", "loss", "beta", "data", "metric", "plot"}
    assert set(members()) == kinds
    modules = {name: text for name, text in examples().items() if name.endswith(".py")}
    assert len(modules) == len(kinds)
    assert max(text.count("\n") for text in modules.values()) <= 30
    assert "RESULT" not in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("group", PIECES)
def test_an_example_trains_and_every_tool_takes_its_run(runs, script, group):
    directory = runs(group)
    results = json.loads((directory / "results.json").read_text())
    assert np.isfinite([results["test"][name] for name in ("elbo", "nll", "rate", "distortion")]).all()
    assert results["evaluation"]["own"]["sparsity"]["better"] == "higher"
    settings = ("nll_samples=20", "prior_samples=0", "aggregate_images=100", "probe_images=100", "samples=false")
    quick = ("amortization=true", "amortization_images=4", "amortization_steps=2")
    status, out, err = script("evaluate", directory, *settings, *quick)
    assert (status, err) == (0, "")
    assert "failed" not in out
    assert "sparsity" in out
    for name, file in (("sample", "s.npy"), ("encode", "z.npz")):
        assert script(name, directory, file)[::2] == (0, "")
    assert np.isfinite(np.load("s.npy")).all()


def test_an_example_is_exported(runs, script):
    for group in ("likelihood", "posterior"):  # whose densities ONNX does not have
        status, out, _ = script("export", runs(group), f"exported-{group}")
        assert status == 0, out
        assert out.count(".onnx and .pt2") == 2


def test_a_plot_and_a_metric_of_ones_own_stand_beside_the_shipped_ones(folder):
    extra = ("metric=sparsity", "plot=correlation", "pictures.every=1", "name=extra")
    status, out, err = train_here(folder, "--config-dir", "mine", *QUICK, *extra)
    assert (status, err) == (0, ""), out + err
    assert "of the posterior means, 1 where one" in out
    run = folder / "outputs" / "runs" / "extra"
    assert (run / "figures" / "latent_correlation.png").is_file()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run)).Reload().Tags()
    assert "test/sparsity" in events["scalars"]
    assert "plots/latent_correlation" in events["images"]


def test_a_sweep_over_own_members_knows_the_own_metric(folder):
    axes = ("prior=normal,student_mixture", "latent=2", "name=s")
    status, out, err = train_here(folder, "-m", "--config-dir", "mine", *QUICK, *axes)
    assert (status, err) == (0, ""), out + err
    status, out, err = train_here(folder, "-m", "--config-dir", "mine", *QUICK, *axes, "metric=sparsity")
    assert (status, err) == (0, ""), out + err
    assert ": starts" not in out  # the metric alone was missing
    sweep = folder / "outputs" / "sweeps" / "s"
    with (sweep / "sweep.csv").open() as file:
        assert all(0 <= float(row["test_sparsity"]) <= 1 for row in csv.DictReader(file))
    assert "| sparsity |" in (sweep / "sweep.md").read_text()
    assert (sweep / "figures" / "sample_grid.png").is_file()


# ---- where the folder is ------------------------------------------------------------------------------------------


def test_a_run_is_opened_and_resumed_from_any_directory(runs, script, command):
    directory = runs("prior")
    assert script("sample", directory, "here.png")[0] == 0  # `script` changes to another folder
    last = directory / "checkpoints" / "last.ckpt"
    status, out, err = command(f"ckpt={last}", "epochs=2", "name=longer")
    assert (status, err) == (0, ""), out
    assert "student_mixture" in out


def test_a_folder_that_has_moved_is_named_anew(folder, runs, script, tmp_path):
    directory = tmp_path / "moved"
    shutil.copytree(runs("prior"), directory)
    gone, now = tmp_path / "gone", tmp_path / "now"
    (directory / ".hydra" / "folders.yaml").write_text(f"- {gone}\n")
    status, _, err = script("sample", directory, "s.png")
    assert (status, err.count("\n")) == (1, 1)
    assert f"pieces of its own, student_mixture.py, which were in {gone}" in err.replace("sparsity.py, ", "")
    assert "--config-dir FOLDER" in err
    shutil.copytree(folder / "mine", now)
    assert script("sample", directory, "s.png", "--config-dir", now)[::2] == (0, "")
    (now / "student_mixture.py").unlink()
    own.use([])
    status, _, err = script("sample", directory, "t.png", "--config-dir", now)
    assert (status, err.count("\n")) == (1, 1)
    assert f"there is no module 'student_mixture' in {now}: put student_mixture.py there" in err


def test_two_runs_with_modules_of_one_name_each_get_their_own(runs, folder, tmp_path):
    """As in a report of two sweeps, whose pieces are in different folders."""
    directory, other = tmp_path / "other", tmp_path / "pieces"
    shutil.copytree(runs("prior"), directory)
    shutil.copytree(folder / "mine", other)
    (other / "student_mixture.py").write_text(f"{examples()['mine/student_mixture.py']}\n\nWHERE = 'other'\n")
    (directory / ".hydra" / "folders.yaml").write_text(f"- {other}\n")
    found = [sys.modules[type(load_run(path, False)[0].model.prior).__module__] for path in (runs("prior"), directory)]
    assert [hasattr(module, "WHERE") for module in found] == [False, True]


def test_help_and_did_you_mean_know_own_members(folder, command):
    mine = ("--config-dir", str(folder / "mine"))
    status, out, err = command(*mine, "--help")
    assert (status, err) == (0, "")
    assert "Your own members" in out
    assert "network      attention" in out
    _, _, err = command(*mine, "prior=student_mixtur")
    assert err.endswith("did you mean prior=student_mixture?\n")
    _, _, err = command(*mine, "prior=student_mixture", "prior.componets=3")
    assert "did you mean prior.components=3?" in err


@pytest.mark.engine
def test_two_processes_find_the_pieces(folder):
    """torch's elastic launcher starts them; a process of its own has nothing of this one's sys.path."""
    status, out, err = train(folder, *words("prior"), "accelerator=ddp_cpu", "name=two", PYTHONPATH=str(ROOT / "src"))
    assert (status, err) == (0, ""), out + err


@pytest.mark.engine
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "ray"])
def test_the_processes_of_a_launcher_find_the_pieces(folder, launcher):
    axes = ("-m", *words("prior"), "latent=2,3", f"name={launcher}", f"hydra/launcher={launcher}")
    status, out, err = train(folder, *axes, PYTHONPATH=str(ROOT / "src"))
    assert status == 0, out + err
    assert len(list((folder / "outputs" / "sweeps" / launcher).glob("*/results.json"))) == 2


def test_stacked_runs_find_the_pieces(folder, script, monkeypatch):
    monkeypatch.setattr("subprocess.run", lambda *arguments, **options: type("Done", (), {"returncode": 0}))
    options = [word for word in words("beta") if not word.startswith(("metric", "name", "loss"))]
    stack = (*options, "experiment=stackable", "name=stack", "seed=1,2", "epochs=1", "accelerator=cpu")
    monkeypatch.chdir(folder)
    status, out, err = script("train_stacked", *stack)
    assert (status, err) == (0, ""), out + err
