"""What the tests share: train.py and the scripts in this process or in their own, and a configuration that is small."""

import contextlib
import io
import logging
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# Tests run side by side: each has one core, and so have the runs that it starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from idx_files import FILES, SIZES, idx, pack
from sklearn.datasets import load_sample_images
from small_models import IMAGE, PIXELS

from vaelab import collector
from vaelab.cli.train import main
from vaelab.evaluation import classifier

ROOT = Path(__file__).resolve().parents[1]
Outcome = tuple[int, str, str]  # exit status, standard output, standard error

# A few hundred real digits that need no download, and a small network: a run of some seconds.
SMALL = (
    "data=mnist5k",
    "data.train=512",
    "data.val=128",
    "data.test=200",
    "data.batch_size=64",
    "network.hidden=[32]",
    "latent=4",
    "epochs=2",
    "evaluation.nll_samples=10",
    "evaluation.prior_samples=2000",
    "trainer.log_every_n_steps=4",
    "trainer.precision=32-true",
    "pictures.every=null",  # the plots would take longer than all else; tests of them ask for them
    "accelerator=cpu",
)


def exit_status(function: Callable[[], object], patch: pytest.MonkeyPatch, *argv: object) -> int:
    """The status that a process with the arguments ``argv`` would end with."""
    patch.setattr(sys, "argv", [str(argument) for argument in argv])
    # This process goes on; Hypothesis, for one, looks among the objects that a command freezes.
    patch.setattr(collector, "begin_command", lambda: None)
    try:
        function()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        torch.set_flush_denormal(False)
        _close_log()
    return 0


def _close_log() -> None:
    logger = logging.getLogger("vaelab")
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()


@pytest.fixture
def command(monkeypatch, tmp_path, capfd) -> Callable[..., Outcome]:
    """`python train.py ...` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VAELAB_DATA", raising=False)

    def run(*arguments: str) -> Outcome:
        capfd.readouterr()
        status = exit_status(main, monkeypatch, "train.py", *arguments)
        return status, *capfd.readouterr()

    return run


@pytest.fixture
def script(monkeypatch, tmp_path, capfd) -> Callable[..., Outcome]:
    """`python scripts/<name>.py ...` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "scripts")

    def run(name: str, *arguments: object) -> Outcome:
        path = ROOT / "scripts" / f"{name}.py"
        capfd.readouterr()
        status = exit_status(lambda: runpy.run_path(str(path), run_name="__main__"), monkeypatch, path, *arguments)
        return status, *capfd.readouterr()

    return run


def train_here(folder: Path, *arguments: str) -> Outcome:
    """`python train.py ...` in this process, in ``folder``, for fixtures that several tests share."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.chdir(folder)
        patch.delenv("VAELAB_DATA", raising=False)
        status = exit_status(main, patch, "train.py", *arguments)
    return status, out.getvalue(), err.getvalue()


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    """`python train.py ...` as a process of its own, in ``folder``."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, Ctrl-C is ignored, and child processes inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def outcome(process: subprocess.Popen, timeout: float = 600) -> Outcome:
    """Wait for the end of ``process``; one that does not end is killed, and what it printed is shown."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"it did not end within {timeout} s; it printed: {process.communicate()}")
    return process.returncode, out, err


def train(folder: Path, *arguments: str, **environment: str) -> Outcome:
    """As ``start``, and wait for its end."""
    return outcome(start(folder, *arguments, **environment))


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """The directory of a small run that completed."""
    folder = tmp_path_factory.mktemp("finished")
    status, out, err = train_here(folder, *SMALL, "name=small", "pictures.every=1")
    assert (status, err) == (0, ""), out + err
    return folder / "outputs" / "runs" / "small"


@pytest.fixture(scope="session")
def conditional(tmp_path_factory) -> Path:
    """The directory of a small run of a conditional model, with TensorBoard's projector."""
    folder = tmp_path_factory.mktemp("conditional")
    options = ("model=cvae", "name=cvae", "epochs=1", "evaluation.parts=[]", "pictures.projector=true")
    status, out, err = train_here(folder, *SMALL, *options)
    assert (status, err) == (0, ""), out + err
    return folder / "outputs" / "runs" / "cvae"


@pytest.fixture(scope="module")
def short_training() -> Iterator[None]:
    """A classifier's training of a second, where its accuracy does not matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "STEPS", 96)
        yield


@pytest.fixture(scope="session")
def classifiers(tmp_path_factory) -> Path:
    """The folder in which tests with ``short_training`` share their classifiers."""
    return tmp_path_factory.mktemp("classifiers")


@pytest.fixture(scope="session")
def images() -> torch.Tensor:
    """500 images in float64 of five factors and some noise."""
    generator = torch.Generator().manual_seed(1)
    factors = torch.randn(500, 5, generator=generator, dtype=torch.float64)
    mixing = torch.randn(5, PIXELS, generator=generator, dtype=torch.float64)
    noise = torch.randn(500, PIXELS, generator=generator, dtype=torch.float64)
    return (factors @ mixing + 0.5 * noise).view(500, *IMAGE)


@pytest.fixture(scope="session")
def colour_patches() -> torch.Tensor:
    """1,500 patches ``(N, 3, 20, 20)`` of the two photographs that scikit-learn carries."""
    random, photographs = np.random.default_rng(0), load_sample_images().images
    corners = random.integers(0, [2, 427 - 20, 640 - 20], (1_500, 3))
    patches = np.stack([photographs[which][y : y + 20, x : x + 20] for which, y, x in corners])
    return torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 255


@pytest.fixture
def idx_arrays() -> dict[str, np.ndarray]:
    """The arrays of a small image set in MNIST's layout."""
    random = np.random.default_rng(0)
    return {
        part: random.integers(0, 10 if "labels" in part else 256, size, dtype=np.uint8) for part, size in SIZES.items()
    }


@pytest.fixture
def mnist_root(tmp_path, idx_arrays) -> Path:
    """A folder with them in torchvision's layout: images gzipped, labels plain."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, array in idx_arrays.items():
        if "images" in part:
            pack(folder, part, array)
        else:
            (folder / FILES[part]).write_bytes(idx(array))
    return tmp_path


@pytest.fixture
def offline(monkeypatch) -> None:
    """Downloads fail at once."""
    monkeypatch.setattr("vaelab.data.download.download", lambda *arguments: "no answer")
