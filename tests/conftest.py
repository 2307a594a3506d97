"""What the tests share: train.py as a function and as a process, and a configuration that is small."""

import importlib.util
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

# Tests run side by side: each has one core, and so have the runs that it starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from small_models import IMAGE, PIXELS

ROOT = Path(__file__).resolve().parents[1]

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
    "trainer.log_every_n_steps=4",
    "trainer.precision=32-true",
    "accelerator=cpu",
)


def train_py() -> object:
    """train.py as a module."""
    spec = importlib.util.spec_from_file_location("train", ROOT / "train.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["train"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def command(monkeypatch, tmp_path, capfd):
    """`python train.py ...` in this process, in an empty folder: (exit status, standard output, standard error)."""
    module = train_py()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VAELAB_DATA", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        capfd.readouterr()
        status = 0
        try:
            module.main()
        except SystemExit as leave:
            status = leave.code or 0
        finally:
            torch.set_flush_denormal(False)
        out, err = capfd.readouterr()
        return status, out, err

    yield run
    logger = logging.getLogger("vaelab")
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    """`python train.py ...` as a process of its own, in ``folder``."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, Ctrl-C is ignored, and that is handed down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def train(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """As ``start``, waited for: (exit status, standard output, standard error)."""
    process = start(folder, *arguments, **environment)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """The directory of a small run that completed, as a stranger's process left it."""
    folder = tmp_path_factory.mktemp("finished")
    status, out, err = train(folder, *SMALL, "name=small", "pictures.every=1")
    assert status == 0, out + err
    assert err == ""
    return folder / "outputs" / "runs" / "small"


@pytest.fixture(scope="module")
def short_training():
    """A classifier's training of a second, for tests of what it is for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "STEPS", 96)
        yield


@pytest.fixture(scope="session")
def images() -> torch.Tensor:
    """500 images in float64 of five factors and some noise."""
    generator = torch.Generator().manual_seed(1)
    factors = torch.randn(500, 5, generator=generator, dtype=torch.float64)
    mixing = torch.randn(5, PIXELS, generator=generator, dtype=torch.float64)
    noise = torch.randn(500, PIXELS, generator=generator, dtype=torch.float64)
    return (factors @ mixing + 0.5 * noise).view(500, *IMAGE)
