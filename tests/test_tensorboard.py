"""TensorBoard itself on a finished run, as one sees it in a browser."""

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from browser import PICTURES, chromium, wait_for

from vaelab.results import read_results


@pytest.fixture(scope="module")
def address(finished, tmp_path_factory):
    """Where TensorBoard serves the finished run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("tensorboard") / "log"
    with log.open("w") as file:
        server = subprocess.Popen(
            [
                str(Path(sys.executable).parent / "tensorboard"), "--logdir", str(finished), "--host", "127.0.0.1",
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
def browser(address):
    with chromium() as opened:
        yield opened


def show(browser, address: str, tab: str) -> None:
    browser.get("about:blank")
    browser.get(f"{address}/#{tab}")


def test_the_charts_of_train_val_and_test_are_there(browser, address):
    show(browser, address, "timeseries")
    seen = wait_for(browser, "beta", "lr", "train", "val", "test", "kl_per_latent")
    assert "No scalar data was found" not in seen
    show(browser, address, "scalars")
    wait_for(browser, "train", "val", "test", "lr")


def test_the_pictures_are_there(browser, address):
    show(browser, address, "images")
    wait_for(browser, "pictures", "pictures/codes", "pictures/curves")
    until = time.monotonic() + 60
    while (count := browser.execute_script(PICTURES)) < 4:
        assert time.monotonic() < until, f"{count} pictures are shown"
        time.sleep(0.5)


def test_loss_elbo_rate_and_distortion_stand_together(browser, address):
    show(browser, address, "custom_scalars")
    wait_for(browser, "together", "training and validation", "Matches (4)", "Matches (2)")


def test_the_run_is_a_row_of_hparams_with_its_test_figures(browser, address, finished):
    show(browser, address, "hparams")
    test = read_results(finished)["test"]
    wait_for(browser, "test/elbo", "latent", "bernoulli", f"{test['elbo']:.2f}"[:6])
