"""Wrong commands and damaged inputs: one line that names the value and the remedy, and nothing is touched."""

import gzip
import hashlib
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from bombs import Bomb
from compositions import composed
from conftest import SMALL, train
from hydra._internal.hydra import Hydra
from idx_files import FILES, SIZES, idx
from torchvision.datasets import MNIST
from wrong_commands import PIECES, ROWS

from vaelab.cli.overrides import CommandLine
from vaelab.runs.prepare import check_options
from vaelab.runs.results import read_results


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file below ``folder`` with its content, and every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def fast(monkeypatch) -> None:
    """Hydra composes once, and not twice: it does so first to read hydra.mode, which no command here sets."""
    monkeypatch.setattr(Hydra, "get_mode", lambda *arguments, **options: None)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory) -> Iterator[Path]:
    """The folder with the module ``mine``, which has the wrong pieces of the table."""
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "mine.py").write_text(PIECES)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
    sys.modules.pop("mine", None)


def test_the_table_is_long_enough_and_has_no_row_twice():
    lines = [row.line for row in ROWS]
    assert len(lines) >= 120
    assert len(lines) == len(set(lines))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.line[:60])
def test_a_wrong_command_gets_one_line_and_leaves_nothing(command, tmp_path, pieces, fast, row):
    status, out, err = command(*SMALL, *row.words)
    assert (status, out) == (1, "")
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    for words in row.says:
        assert words in lines[0]
    if row.instead == "":
        assert re.search(r"\bleave\b.*\bout\b|without \+|remove it", lines[0]), lines[0]
    elif row.instead is not None:
        assert set(shlex.split(row.instead)) <= set(typed(lines[0])), lines[0]
    assert tree(tmp_path) == {}


def typed(line: str) -> list[str]:
    """The words of a line as a shell reads them, without the punctuation around them."""
    words = re.findall(r"(?:[^\s'\"]|\"[^\"]*\"|'[^']*')+", line.replace(", ", " ").replace("; ", " "))
    return [shlex.split(word.strip("?:,;"))[0] for word in words if word.strip("?:,;")]


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.instead is not None and "mine" not in row.line], ids=lambda row: row.line[:60]
)
def test_the_remedy_of_a_wrong_command_works_when_it_is_typed(row):
    """It passes all checks of the command line, Hydra composes it, and its options have values that exist."""
    line = CommandLine.parse([*SMALL, *row.remedy])
    line.check()
    axes = {override.input_line for override in line.overrides if override.is_sweep_override()}
    words = [str(override.input_line) for override in line.overrides if override.input_line not in axes]
    config = composed(*words)
    assert config
    check_options(config)


def test_a_sweep_over_members_with_different_options_takes_the_two_commands_that_it_is_told(command, tmp_path):
    """The line has them, and they train all jobs of the sweep in one directory."""
    sweep = (
        "-m",
        *SMALL,
        "epochs=1",
        "evaluation.parts=[]",
        "beta=constant,linear,cosine",
        "beta.warmup=0.1",
        "name=s",
    )
    _, _, err = command(*sweep)
    commands = err.partition("one name: ")[2].strip().split(" && ")
    assert len(commands) == 2
    for line in commands:
        assert line.startswith("python train.py -m ")
        status, _, err = command(*shlex.split(line)[2:])
        assert (status, err) == (0, "")
    jobs = sorted(path.parent for path in (tmp_path / "outputs/sweeps/s").glob("*/results.json"))
    found = [read_results(job)["config"]["beta"] for job in jobs]
    assert sorted((beta["_target_"].rpartition(".")[2], beta.get("warmup")) for beta in found) == [
        ("Constant", None), ("Cosine", 0.1), ("Linear", 0.1),
    ]  # fmt: skip


no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU, so asking for one is no mistake")
no_mps = pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has an Apple GPU")


@pytest.mark.parametrize(
    "accelerator",
    [pytest.param("gpu", marks=no_gpu), pytest.param("ddp", marks=no_gpu), pytest.param("mps", marks=no_mps)],
)
def test_hardware_that_is_not_there(command, tmp_path, accelerator):
    status, _, err = command(*SMALL[:-1], f"accelerator={accelerator}")
    assert status != 0
    assert len(err.strip().splitlines()) == 1
    assert f"accelerator={accelerator}: " in err  # what was typed, not trainer.accelerator=gpu
    assert "accelerator=cpu" in err
    assert tree(tmp_path) == {}


@no_gpu
def test_a_script_names_its_own_option_for_the_device(script, finished, tmp_path):
    status, _, err = script("sample", finished, tmp_path / "s.png", "--device", "cuda")
    assert status == 1
    assert err.startswith("error: --device cuda: ")
    assert "--device cpu" in err
    assert not (tmp_path / "s.png").exists()


# ---- data ----------------------------------------------------------------------------------------------------


@pytest.fixture
def image_set(tmp_path_factory) -> tuple[Path, list[str]]:
    """A small image set in torchvision's layout, and the options with its checksums."""
    root = tmp_path_factory.mktemp("images")
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    options = [f"data.root={root}", "data.val=10", "data.batch_size=8", "data.train=null", "data.test=null"]
    random = np.random.default_rng(0)
    for part, size in SIZES.items():
        content = idx(random.integers(0, 10, size, dtype=np.uint8))
        (folder / f"{FILES[part]}.gz").write_bytes(gzip.compress(content))
        options.append(f"data.checksums.{FILES[part]}={hashlib.md5(content).hexdigest()}")
    return root, options


def test_these_images_themselves_are_fine(command, image_set):
    status, out, err = command(*SMALL[4:], "data=mnist", *image_set[1], "name=fine", "epochs=1")
    assert (status, err) == (0, ""), err
    assert "mnist with 40 images" in out


@pytest.mark.parametrize("how", ["truncated", "bit flipped"])
def test_damaged_images(command, tmp_path, image_set, how):
    path = image_set[0] / "MNIST" / "raw" / f"{FILES['test_images']}.gz"
    content = path.read_bytes()
    path.write_bytes(content[:300] if how == "truncated" else content[:300] + bytes([content[300] ^ 4]) + content[301:])
    status, _, err = command(*SMALL[4:], "data=mnist", *image_set[1])
    assert status != 0
    assert len(err.strip().splitlines()) == 1
    assert str(path) in err
    assert "damaged" in err
    assert "delete" not in err
    assert tree(tmp_path) == {}


def test_images_of_ones_own_without_their_checksums(command, tmp_path, image_set):
    root, options = image_set
    status, _, err = command(*SMALL[4:], "data=mnist", *(word for word in options if "checksums" not in word))
    assert status != 0
    (line,) = err.strip().splitlines()
    assert f"{root}/MNIST/raw/train-images-idx3-ubyte.gz is not the official file" in line
    assert "data.checksums=null" in line
    assert "delete" not in line
    assert tree(tmp_path) == {}


def test_training_and_test_images_of_two_sizes_are_refused_before_the_training(command, tmp_path, image_set):
    root, options = image_set
    small = np.zeros((20, 14, 14), np.uint8)
    (root / "MNIST" / "raw" / f"{FILES['test_images']}.gz").write_bytes(gzip.compress(idx(small)))
    options = [word for word in options if "checksums" not in word]
    status, _, err = command(*SMALL[4:], "data=mnist", *options, "data.checksums=null")
    assert status != 0
    (line,) = err.strip().splitlines()
    assert "28 x 28 pixels" in line
    assert "14 x 14" in line
    assert tree(tmp_path) == {}


def test_images_of_one_class_have_no_probes(command, tmp_path, image_set):
    """What was not measured is not said to be."""
    root, options = image_set
    for part in ("train_labels", "test_labels"):
        (root / "MNIST" / "raw" / f"{FILES[part]}.gz").write_bytes(gzip.compress(idx(np.zeros(SIZES[part], np.uint8))))
    options = [word for word in options if "labels" not in word]
    options += [f"data.checksums.{FILES[part]}=null" for part in ("train_labels", "test_labels")]
    status, out, err = command(*SMALL[4:], "data=mnist", *options, "name=one", "epochs=1")
    assert (status, err) == (0, ""), err
    assert "evaluated latents, aggregate; no probes (the training images have no labels, or all have the same)" in out
    assert "failed" not in out


@pytest.mark.parametrize("fallback", ["true", "false"])
def test_missing_images_where_a_folder_is_named(command, tmp_path, monkeypatch, fallback):
    """No other images take their place, and nothing is left behind."""
    monkeypatch.setattr(MNIST, "mirrors", [tmp_path.joinpath("nowhere").as_uri() + "/"])
    status, _, err = command(*SMALL[4:], "data=mnist", f"data.fallback={fallback}", "data.root=some/where")
    assert status != 0
    line = err.strip().splitlines()[-1]
    assert line.startswith("error: no MNIST under some/where")
    assert "data=mnist5k" in line
    assert tree(tmp_path) == {}


def test_missing_images_with_the_fallback_off(command, tmp_path, monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", [tmp_path.joinpath("nowhere").as_uri() + "/"])
    status, _, err = command(*SMALL[4:], "data=mnist", "data.fallback=false")
    assert status != 0
    line = err.strip().splitlines()[-1]
    assert line.startswith("error: no MNIST under data/MNIST/raw")
    assert "data.fallback=true" in line
    assert tree(tmp_path) == {}


def test_the_fallback_for_missing_images_is_reported_at_the_start_and_the_end(command, tmp_path, monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", [tmp_path.joinpath("nowhere").as_uri() + "/"])
    status, out, _ = command(*SMALL[4:], "data=mnist", "name=in", "epochs=1")
    assert status == 0
    assert not (tmp_path / "data").exists()
    assert out.count("WARNING: this is not MNIST but mnist5k") == 2
    assert '"name": "mnist5k"' in (tmp_path / "outputs/runs/in/results.json").read_text()


# ---- directories and checkpoints -----------------------------------------------------------------------------


@pytest.fixture
def runs(finished, tmp_path) -> Path:
    """The current folder with a copy of a finished run in it."""
    shutil.copytree(finished, tmp_path / "outputs" / "runs" / "small")
    return tmp_path


def refused(command, folder: Path, *arguments: str) -> str:
    before = tree(folder)
    status, _, err = command(*arguments)
    assert status != 0
    assert len(err.strip().splitlines()) == 1, err
    assert "Traceback" not in err
    assert tree(folder) == before
    return err


def test_the_name_of_a_run_that_exists(command, runs):
    err = refused(command, runs, *SMALL, "name=small")
    assert "outputs/runs/small exists already" in err
    assert "name=" in err
    assert "ckpt=outputs/runs/small/checkpoints/last.ckpt" in err


def test_a_folder_as_a_checkpoint(command, runs):
    err = refused(command, runs, "ckpt=outputs/runs/small", "epochs=4")
    assert "ckpt=outputs/runs/small is a folder: take ckpt=outputs/runs/small/checkpoints/last.ckpt" in err
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints", "epochs=4")
    assert "take ckpt=outputs/runs/small/checkpoints/last.ckpt" in err


def test_a_checkpoint_as_a_run(script, runs):
    checkpoint = runs / "outputs/runs/small/checkpoints/best.ckpt"
    status, _, err = script("sample", checkpoint, "s.png")
    assert (status, err.count("\n")) == (1, 1)
    assert f"{checkpoint} is a file: name the run's directory, {runs / 'outputs/runs/small'}" in err
    status, _, err = script("sample", runs / "outputs/runs/small", "s.png")
    assert (status, err) == (0, "")


def test_a_text_file_as_a_checkpoint(command, runs):
    (runs / "README.md").write_text("a text")
    err = refused(command, runs, *SMALL, "name=new", "ckpt=README.md")
    assert "ckpt=README.md is no checkpoint" in err
    assert "weights_only" not in err


def test_a_working_directory_without_write_permission(command, tmp_path, monkeypatch):
    if os.geteuid() == 0:
        closed = Path("/sys")  # permissions do not bind root, but the kernel's own file system does
    else:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)
    monkeypatch.chdir(closed)
    status, _, err = command(*SMALL, "name=x")
    assert (status, err.count("\n")) == (1, 1)
    assert "name=" not in err  # another name would not help
    assert "hydra.run.dir=" in err


def test_going_on_from_a_run_that_is_complete(command, runs):
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints/last.ckpt")
    assert "was trained for 2 epochs" in err


def test_a_checkpoint_of_another_latent_size(command, runs):
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints/last.ckpt", "latent=5", "epochs=4")
    assert "trained with latent=4, this command says latent=5" in err


def test_a_checkpoint_of_another_network(command, runs):
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints/last.ckpt", "network.hidden=[8]", "epochs=4")
    assert "network.hidden=[32]" in err
    assert "network.hidden=[8]" in err


def test_a_checkpoint_of_another_optimizer(command, runs):
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints/last.ckpt", "optimizer=muon", "epochs=4")
    assert "optimizer._target_=torch.optim.Adam" in err
    assert "vaelab.training.optimizers.Muon" in err


def test_going_on_with_other_data(command, runs):
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints/last.ckpt", "data.batch_size=32", "epochs=4")
    assert "'batch_size': 64" in err
    assert "'batch_size': 32" in err


def test_a_refused_job_leaves_a_directory_that_is_not_its_own(command, runs):
    (runs / "outputs/runs/small/results.json").unlink()
    before = tree(runs)
    status, _, err = command("-m", *SMALL, "latent=2", "hydra.sweep.dir=outputs/runs", "hydra.sweep.subdir=small")
    assert status != 0
    assert "latent=4 there, 2 here; nothing was touched" in err
    after = {name: content for name, content in tree(runs).items() if not name.endswith(".lock")}
    assert {name: content for name, content in after.items() if "runs/small" in name} == {
        name: content for name, content in before.items() if "runs/small" in name and not name.endswith(".lock")
    }


def test_folders_that_the_user_made_stay(command, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.setattr("vaelab.STARTED", time.time() + 1)  # they are older than the command
    refused(command, tmp_path, *SMALL, "latent=0", "hydra.run.dir=mine")


def test_a_checkpoint_behind_the_last_one_would_overwrite_it(command, runs):
    folder = runs / "outputs/runs/small/checkpoints"
    early = torch.load(folder / "last.ckpt", weights_only=True)
    torch.save({**early, "epoch": 0, "global_step": 8}, folder / "early.ckpt")
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints/early.ckpt")
    assert "has fewer steps than outputs/runs/small/checkpoints/last.ckpt" in err
    assert "name=" in err


@pytest.mark.parametrize("content", [b"not a checkpoint", b""])
def test_a_checkpoint_that_is_none(command, runs, content):
    (runs / "some.ckpt").write_bytes(content)
    assert "ckpt=some.ckpt is no checkpoint" in refused(command, runs, *SMALL, "ckpt=some.ckpt", "name=new")


def test_a_damaged_checkpoint(command, runs):
    path = runs / "outputs/runs/small/checkpoints/last.ckpt"
    path.write_bytes(path.read_bytes()[:5000])
    err = refused(command, runs, "ckpt=outputs/runs/small/checkpoints/last.ckpt", "epochs=4")
    assert "damaged" in err


def test_a_pickle_bomb_under_a_checkpoints_name_is_not_run(command, runs):
    trace = runs / "it-ran"
    torch.save({"state_dict": {}, "config": Bomb(trace), "epoch": 0}, runs / "bomb.ckpt")
    refused(command, runs, *SMALL, "ckpt=bomb.ckpt", "name=new")
    assert not trace.exists()


def test_a_directory_without_write_permission(command, tmp_path):
    if os.geteuid() == 0:
        closed = Path("/sys/vaelab")  # permissions do not bind root, but the kernel's own file system does
    else:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)
    err = refused(command, tmp_path, *SMALL, f"hydra.run.dir={closed}/run")
    assert str(closed) in err
    assert "hydra.run.dir=" in err


def test_a_file_where_the_directory_should_be(command, tmp_path):
    (tmp_path / "outputs").write_text("a file")
    err = refused(command, tmp_path, *SMALL, "name=x")
    assert "outputs" in err
    assert "choose another place" in err


def test_a_loss_that_is_no_number(command, tmp_path):
    status, _, err = command(*SMALL, "name=wild", "optimizer.lr=1e20", "lr=constant")
    assert status != 0
    assert len(err.strip().splitlines()) == 1
    assert "lower optimizer.lr" in err
    written = (tmp_path / "outputs/runs/wild/results.json").read_text()
    assert '"status": "failed"' in written
    assert "the loss became" in written
    assert not (tmp_path / "outputs/runs/wild/checkpoints/last.ckpt").exists()


def test_a_full_disk(command, tmp_path, monkeypatch):
    """From the second checkpoint on."""
    real, written = Path.write_bytes, []

    def full(path: Path, content: bytes) -> int:
        if path.name.startswith(".last."):
            if written:
                raise OSError(28, "No space left on device")
            written.append(path)
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    status, _, err = command(*SMALL, "name=full")
    assert status != 0
    assert len(err.strip().splitlines()) == 1, err
    assert "outputs/runs/full/checkpoints/last.ckpt: No space left on device" in err
    assert "go on with: python train.py ckpt=outputs/runs/full/checkpoints/last.ckpt" in err
    monkeypatch.undo()
    torch.load(tmp_path / "outputs/runs/full/checkpoints/last.ckpt", weights_only=True)


def test_a_multirun_goes_on_after_a_wrong_job(command, tmp_path):
    status, _, err = command(
        "-m", *SMALL, "latent=0,2", "epochs=1", "hydra.sweep.dir=sweep", "hydra.sweep.subdir=latent-${latent}"
    )
    assert status != 0
    assert "Traceback" not in err
    assert '"status": "failed"' in (tmp_path / "sweep/latent-0/results.json").read_text()
    assert "latent must be" in (tmp_path / "sweep/latent-0/results.json").read_text()
    assert '"status": "completed"' in (tmp_path / "sweep/latent-2/results.json").read_text()


def test_a_process_of_its_own_says_the_same(tmp_path):
    status, out, err = train(tmp_path, *SMALL, "latent=0")
    assert (status, out) == (1, "")
    assert err == "error: latent must be a whole number of at least 1, got 0\n"
    assert tree(tmp_path) == {}
