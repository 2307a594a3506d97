"""The installed command: its commands, and what it says where there is none."""

from importlib import import_module

import pytest
from conftest import ROOT, exit_status

from vaelab.cli.main import main
from vaelab.commands import COMMANDS, as_typed, typed


@pytest.fixture
def installed(monkeypatch, tmp_path, capfd):
    """`vaelab ...` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capfd.readouterr()
        status = exit_status(main, monkeypatch, "/usr/bin/vaelab", *arguments)
        return status, *capfd.readouterr()

    return run


def test_help_names_every_command(installed):
    status, out, err = installed("--help")
    assert (status, err) == (0, "")
    assert [line.split()[1] for line in out.splitlines() if line.startswith("  vaelab ")] == list(COMMANDS)
    assert installed() == (0, out, "")
    assert installed("--version")[1].startswith("vaelab 0.")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_as_it_is_typed(installed, name):
    assert callable(import_module(f"vaelab.cli.{name}").main)
    status, out, err = installed(name, "--help")
    assert (status, err) == (0, "")
    assert f"vaelab {name}" in out
    assert "python " not in out
    assert name in ("train", "sweep") or (ROOT / "scripts" / f"{name}.py").is_file()


@pytest.mark.parametrize(
    ("here", "running", "folder"),
    [
        (ROOT, "train.py", ""),
        (ROOT, "./scripts/compare.py", ""),
        (ROOT / "scripts", "compare.py", "../"),
        (ROOT / "tests", "../train.py", "../"),
        (ROOT / "tests", "../scripts/sample.py", "../"),
        (None, f"{ROOT}/train.py", f"{ROOT}/"),
        (None, "my code/train.py", "'my code'/"),
        (None, "my code/scripts/report.py", "'my code'/"),
        (None, "train.py", ""),
        (None, "mine.py", ""),
    ],
)
def test_a_command_of_the_checkout_is_told_as_it_can_be_typed_here(monkeypatch, tmp_path, here, running, folder):
    (tmp_path / "my code").symlink_to(ROOT)
    monkeypatch.chdir(here or tmp_path)
    monkeypatch.setattr("sys.argv", [running])
    assert typed("train") == f"python {folder}train.py"
    assert typed("sweep") == f"python {folder}train.py -m"
    assert typed("evaluate") == f"python {folder}scripts/evaluate.py"
    assert as_typed("a: python train.py latent=2, b: python scripts/report.py X") == (
        f"a: python {folder}train.py latent=2, b: python {folder}scripts/report.py X"
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["tran"], "there is no command 'tran'; did you mean vaelab train?"),
        (["reconstrct", "x"], "did you mean vaelab reconstruct?"),
        (["latent=2"], "options follow a command, as in vaelab train latent=2"),
        (["-m", "latent=2,3"], "options follow a command, as in vaelab sweep latent=2"),
        (["xyz"], "the commands are train, sweep, "),
        (["train", "latent=2,3"], "latent=2,3 is a sweep of several values: vaelab sweep latent=2,3"),
        (["train", "latnt=2"], "did you mean latent=2? vaelab train --cfg job prints them all"),
        (["sweep", "latnt=2,3"], "there is no option 'latnt'"),
        (["sample", "nowhere", "s.png"], "there is no nowhere"),
    ],
)
def test_a_wrong_command_is_one_line(installed, tmp_path, words, line):
    status, out, err = installed(*words)
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert line in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_sweep_takes_the_flag_too_and_a_module_is_the_command(installed):
    for words in (("sweep",), ("sweep", "-m"), ("train", "-m")):
        assert "there is no option 'latnt'" in installed(*words, "latnt=2,3")[2]
    assert (
        installed("sweep", "--cfg", "job")[2]
        == "error: --cfg and --multirun exclude each other: leave one of them out\n"
    )
    assert import_module("vaelab.__main__").main is main
