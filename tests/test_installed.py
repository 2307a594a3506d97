"""vaelab as a user installs it, not editable and outside of the checkout: the wheel and the command."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, SMALL
from PIL import Image

SOURCES = ("src", "conf", "pyproject.toml", "setup.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of the sources, so that the checkout stays as it is."""
    copy, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, copy / name)
    pip(sys.executable, "wheel", str(copy), "--no-deps", "--no-build-isolation", "--no-index", "-w", str(built))
    (found,) = built.glob("vaelab-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of the commands of a fresh environment, which has the wheel and sees this environment's packages."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    bin_folder = folder / "bin"
    pip(sys.executable, "--python", str(bin_folder / "python"), "install", "--no-deps", "--no-index", str(wheel))
    (packages,) = folder.glob("lib/python*/site-packages")
    # A path in a .pth file adds the packages there, but not what their own .pth files add: an editable vaelab.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return bin_folder


def pip(python: str, *words: str) -> None:
    done = subprocess.run([python, "-m", "pip", "--quiet", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.engine
def test_the_wheel_has_every_module_every_configuration_and_the_page(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    configurations = {f"vaelab/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "conf").rglob("*.yaml")}
    page = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src/vaelab/explore").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert modules | configurations | page <= names
    assert {"vaelab/explore/site/index.html", "vaelab/explore/plane.js", "vaelab/explore/page.css"} <= page
    assert len(configurations) > 80
    assert "vaelab/py.typed" in names


@pytest.mark.engine
def test_an_installed_command_works_in_an_empty_folder(installed, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VAELAB_DATA")}

    def run(*words: str) -> str:
        command = [installed / words[0], *words[1:]]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    place = run("python", "-c", "import vaelab; print(vaelab.__file__)").strip()
    assert Path(place).is_relative_to(installed.parent)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)  # of other code: no run may name its commit
    out = run("vaelab", "train", *SMALL, "epochs=1", "name=two")
    assert "more by vaelab evaluate outputs/runs/two" in out
    results = json.loads((tmp_path / "outputs" / "runs" / "two" / "results.json").read_text())
    assert results["status"] == "completed"
    assert results["commit"] is None
    few = ("nll_samples=10", "prior_samples=0", "aggregate_images=100", "probes=false", "samples=false")
    assert "nll_stderr" in run("vaelab", "evaluate", "outputs/runs/two", *few)
    run("vaelab", "sample", "outputs/runs/two", "samples.png")
    assert np.asarray(Image.open(tmp_path / "samples.png").convert("L")).std() > 10
    run("vaelab", "encode", "outputs/runs/two", "codes.npz")
    assert np.load(tmp_path / "codes.npz")["mean"].shape == (200, 4)
    out = run("vaelab", "sweep", *SMALL, "epochs=1", "evaluation.parts=[]", "seed=1,2", "name=two")
    assert "2 jobs, 2 completed: " in out
    assert {path.name for path in tmp_path.iterdir()} == {".git", "codes.npz", "outputs", "samples.png"}
