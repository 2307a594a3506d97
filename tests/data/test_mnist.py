"""MNIST and the sets in the same files: found, downloaded, or replaced by the fallback."""

import gzip
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from idx_files import idx, lay_out, small_mnist

from vaelab.data import download
from vaelab.data.idx import FILES
from vaelab.data.mnist import EMNIST, KMNIST, MNIST, FashionMNIST, emnist_files

KINDS = {"mnist": MNIST, "fashion_mnist": FashionMNIST, "kmnist": KMNIST}


def test_files_are_read_gzipped_or_not(mnist_root, idx_arrays):
    images = small_mnist(mnist_root, idx_arrays)
    np.testing.assert_array_equal(images.sets["train"].images[:, 0].numpy(), idx_arrays["train_images"][:40])
    np.testing.assert_array_equal(images.sets["val"].labels.numpy(), idx_arrays["train_labels"][40:])
    np.testing.assert_array_equal(images.sets["test"].images[:, 0].numpy(), idx_arrays["test_images"])
    assert images.sets["train"].images.dtype == torch.uint8
    assert images.describe() == {
        "name": "mnist",
        "train": 40,
        "val": 10,
        "test": 20,
        "binarize": "none",
        "batch_size": 8,
    }


@pytest.mark.usefixtures("offline")
def test_missing_data_fall_back_under_another_name(tmp_path, caplog):
    images = MNIST(batch_size=600, eval_batch_size=100, val=6_000, root=str(tmp_path))
    images.prepare_data()
    images.setup()
    assert images.is_fallback
    assert images.describe() == {
        "name": "mnist5k", "train": 3_600, "val": 400, "test": 1_000, "binarize": "none", "batch_size": 64,
    }  # fmt: skip
    assert images.batch_size == 64
    assert "mnist5k" in caplog.text


@pytest.mark.usefixtures("offline")
def test_missing_data_without_fallback_are_an_error(tmp_path):
    images = MNIST(batch_size=64, eval_batch_size=100, val=0, root=str(tmp_path), fallback=False)
    images.prepare_data()
    with pytest.raises(ValueError, match=r"no MNIST under .*no answer.*data\.root"):
        images.setup()


def test_a_failed_download_returns_the_reason(tmp_path, monkeypatch):
    from torchvision import datasets

    monkeypatch.setattr(datasets.MNIST, "mirrors", [tmp_path.joinpath("nowhere").as_uri() + "/"])
    assert "nowhere" in download.download(tmp_path, "MNIST")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Requests are not part of the tests' output."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server on this machine with the files of ``folder``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist"])
def test_a_download_by_torchvision_is_read(idx_arrays, tmp_path, monkeypatch, name):
    """From a server on this machine."""
    from torchvision import datasets

    images = KINDS[name](batch_size=8, eval_batch_size=8, val=10, root=str(tmp_path / "fetched"))
    kind, mirror = getattr(datasets, KINDS[name].dataset), tmp_path / "mirror"
    mirror.mkdir()
    resources = []
    for part, array in idx_arrays.items():
        packed = gzip.compress(idx(array))
        (mirror / f"{FILES[part]}.gz").write_bytes(packed)
        resources.append((f"{FILES[part]}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(kind, "resources", resources)
    with served(mirror) as address:
        monkeypatch.setattr(kind, "mirrors", [address])
        images.prepare_data()
    images.setup()
    np.testing.assert_array_equal(images.sets["test"].images[:, 0].numpy(), idx_arrays["test_images"])


@pytest.mark.parametrize(("name", "folder"), [("fashion_mnist", "FashionMNIST"), ("kmnist", "KMNIST")])
def test_other_sets_are_in_folders_of_their_own(tmp_path, idx_arrays, name, folder):
    lay_out(tmp_path / folder / "raw", idx_arrays, FILES)
    images = KINDS[name](batch_size=8, eval_batch_size=8, val=10, root=str(tmp_path))
    images.prepare_data()
    images.setup()
    np.testing.assert_array_equal(images.sets["test"].images[:, 0].numpy(), idx_arrays["test_images"])
    assert images.describe()["name"] == name
    assert not images.is_fallback


@pytest.mark.parametrize("split", ["letters", "balanced", "digits"])
def test_emnist_is_turned_upright_and_labelled_from_zero(tmp_path, idx_arrays, split):
    if split == "letters":  # whose labels begin at 1
        idx_arrays = {part: array + 1 if "labels" in part else array for part, array in idx_arrays.items()}
    lay_out(tmp_path / "EMNIST" / "raw", idx_arrays, emnist_files(split))
    images = EMNIST(split, batch_size=8, eval_batch_size=8, val=10, root=str(tmp_path))
    images.prepare_data()
    images.setup()
    assert images.describe()["name"] == f"emnist-{split}"
    test = images.sets["test"]
    np.testing.assert_array_equal(test.images[:, 0].numpy(), idx_arrays["test_images"].transpose(0, 2, 1))
    first = 1 if split == "letters" else 0
    np.testing.assert_array_equal(test.labels.numpy(), idx_arrays["test_labels"].astype(int) - first)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("make", [FashionMNIST, KMNIST, partial(EMNIST, "letters")])
def test_other_sets_have_no_fallback(tmp_path, make):
    images = make(batch_size=8, eval_batch_size=8, val=0, root=str(tmp_path))
    images.prepare_data()
    with pytest.raises(
        ValueError,
        match=r"no \w+ under .*/raw, and its download failed \(no answer\).*data\.root",
    ):
        images.setup()


def test_emnist_has_certain_splits():
    with pytest.raises(ValueError, match=r"data\.split must be one of byclass, .* got 'capitals'"):
        EMNIST("capitals", batch_size=8, eval_batch_size=8, val=0)


def test_emnist_is_downloaded_by_torchvision(idx_arrays, tmp_path, monkeypatch):
    """Its one archive holds every split; only the four files that were asked for are read."""
    import zipfile

    from torchvision import datasets

    mirror = tmp_path / "mirror"
    mirror.mkdir()
    with zipfile.ZipFile(mirror / "gzip.zip", "w") as archive:
        for part, file in emnist_files("digits").items():
            archive.writestr(f"gzip/{file}.gz", gzip.compress(idx(idx_arrays[part])))
    with served(mirror) as address:
        monkeypatch.setattr(datasets.EMNIST, "url", address + "gzip.zip")
        monkeypatch.setattr(datasets.EMNIST, "md5", hashlib.md5((mirror / "gzip.zip").read_bytes()).hexdigest())
        images = EMNIST("digits", batch_size=8, eval_batch_size=8, val=10, root=str(tmp_path / "fetched"))
        images.prepare_data()
    images.setup()
    expected = idx_arrays["test_images"].transpose(0, 2, 1)
    np.testing.assert_array_equal(images.sets["test"].images[:, 0].numpy(), expected)


def test_a_torchvision_that_does_not_import_gives_one_line(tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def broken(name, *arguments, **keywords):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist\nand more")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(ValueError, match="built against another torch") as raised:
        download.download(tmp_path, "MNIST")
    assert "\n" not in str(raised.value)
