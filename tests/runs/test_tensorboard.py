"""TensorBoard itself on a finished run, as one sees it in a browser."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import IMAGES, chromium, wait_for
from conftest import SMALL, train

from vaelab.runs.results import read_results


@contextmanager
def serving(directory: Path, log: Path) -> Iterator[str]:
    """The address at which TensorBoard serves ``directory``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("w") as file:
        server = subprocess.Popen(
            [
                str(Path(sys.executable).parent / "tensorboard"), "--logdir", str(directory), "--host", "127.0.0.1",
                "--port", str(port),
            ],
            stdout=file, stderr=file,
        )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{base}/data/runs", timeout=5).close()
            break
        except OSError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.5)
    yield base
    server.terminate()
    server.wait(timeout=30)


@pytest.fixture(scope="module")
def address(finished, tmp_path_factory):
    with serving(finished, tmp_path_factory.mktemp("tensorboard") / "log") as base:
        yield base


@pytest.fixture(scope="module")
def browser(address):
    with chromium() as opened:
        yield opened


def show(browser, address: str, tab: str) -> None:
    browser.get("about:blank")
    browser.get(f"{address}/#{tab}")


def test_the_charts_of_train_val_and_test_are_there(browser, address):
    show(browser, address, "timeseries")
    seen = wait_for(browser, "elbo\n/train", "elbo\n/val", "distortion\n/train", "distortion\n/val")
    assert "No scalar data was found" not in seen
    show(browser, address, "scalars")
    wait_for(browser, "elbo", "rate", "distortion", "schedule", "test")


def test_the_plots_are_there(browser, address):
    show(browser, address, "images")
    wait_for(browser, "plots", "plots/latent_means", "plots/curves")
    until = time.monotonic() + 60
    while (count := browser.execute_script(IMAGES)) < 4:
        assert time.monotonic() < until, f"{count} images are shown"
        time.sleep(0.5)


def test_a_metric_of_training_and_validation_is_one_chart(browser, address):
    show(browser, address, "custom_scalars")
    wait_for(browser, "training and validation", "Matches (2)")


def test_the_run_is_a_row_of_hparams_with_its_test_figures(browser, address, finished):
    show(browser, address, "hparams")
    test = read_results(finished)["test"]
    wait_for(browser, "test/elbo", "latent", "bernoulli", f"{test['elbo']:.2f}"[:6])


@pytest.mark.engine
def test_a_sweep_has_its_plots_and_a_row_of_hparams_for_each_job(browser, tmp_path):
    words = ("-m", *SMALL, "epochs=1", "evaluation.parts=[]", "latent=2,3", "optimizer.lr=0.0043", "name=s")
    status, out, err = train(tmp_path, *words)
    assert status == 0, out + err
    sweep = tmp_path / "outputs" / "sweeps" / "s"
    with serving(sweep, tmp_path / "log") as address:
        show(browser, address, "images")
        wait_for(browser, "sweep/rate_distortion", "sweep/lines", "sweep/sample_grid")
        show(browser, address, "hparams")
        figures = [read_results(path.parent)["test"]["elbo"] for path in sweep.glob("*/results.json")]
        wait_for(browser, "latent", "test/elbo", *(f"{elbo:.2f}"[:6] for elbo in figures))
