"""MNIST and the sets in the same files: found, downloaded, or replaced by the fallback."""

import gzip
import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from idx_files import idx, lay_out, small_mnist
from mirrors import served

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


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """The current folder, with nothing in it, and no other default."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VAELAB_DATA", raising=False)
    return tmp_path


@pytest.fixture
def unreachable(monkeypatch) -> None:
    """torchvision's own download, whose mirror does not answer."""
    from torchvision import datasets

    monkeypatch.setattr(datasets.MNIST, "mirrors", ["file:///nowhere/"])


@pytest.mark.usefixtures("offline", "elsewhere")
def test_missing_data_fall_back_under_another_name(caplog):
    images = MNIST(batch_size=600, eval_batch_size=100, val=6_000)
    images.prepare_data()
    images.setup()
    assert images.is_fallback
    assert images.describe() == {
        "name": "mnist5k", "train": 3_600, "val": 400, "test": 1_000, "binarize": "none", "batch_size": 64,
    }  # fmt: skip
    assert images.batch_size == 64
    assert "mnist5k" in caplog.text


@pytest.mark.usefixtures("offline", "elsewhere")
def test_missing_data_without_fallback_are_an_error():
    images = MNIST(batch_size=64, eval_batch_size=100, val=0, fallback=False)
    images.prepare_data()
    with pytest.raises(ValueError, match=r"no MNIST under .*no answer.*data\.root.*data\.fallback=true"):
        images.setup()


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_root_that_was_named_has_no_fallback(elsewhere, monkeypatch, how):
    """Another set than the one that was asked for would train under a wrong path."""
    root = str(elsewhere / "typo")
    if how == "environment":
        monkeypatch.setenv("VAELAB_DATA", root)
    images = MNIST(batch_size=64, eval_batch_size=100, val=0, root=root if how == "option" else None)
    images.prepare_data()
    with pytest.raises(ValueError, match=r"no MNIST under .*typo.*no answer.*data=mnist5k") as raised:
        images.setup()
    assert "data.fallback=true" not in str(raised.value)  # it is already, and of no use here
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("root", ["", " ", 3])
def test_a_root_is_the_path_of_a_folder(root):
    with pytest.raises(ValueError, match=r"data\.root must be the path of a folder"):
        MNIST(batch_size=8, eval_batch_size=8, val=10, root=root)


@pytest.mark.parametrize("kind", [FashionMNIST, KMNIST, partial(EMNIST, "letters")])
def test_a_fallback_that_does_not_exist_is_refused(kind):
    with pytest.raises(ValueError, match=r"data\.fallback=true: there is no fallback for \w+"):
        kind(batch_size=8, eval_batch_size=8, val=10, fallback=True)


def test_a_failed_download_returns_the_reason_and_leaves_nothing(tmp_path, monkeypatch):
    from torchvision import datasets

    monkeypatch.setattr(datasets.MNIST, "mirrors", [tmp_path.joinpath("nowhere").as_uri() + "/"])
    for root in (tmp_path / "there", tmp_path / "new" / "folder"):
        if root.name == "there":
            root.mkdir()
        assert "nowhere" in download.download(root, "MNIST")
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.usefixtures("unreachable")
def test_a_failed_download_leaves_no_folder(tmp_path):
    images = MNIST(batch_size=8, eval_batch_size=8, val=10, root=str(tmp_path / "a" / "b"))
    images.prepare_data()
    with pytest.raises(ValueError, match="its download failed"):
        images.setup()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("unreachable")
def test_an_old_torchvisions_files_do_not_count_as_a_download(tmp_path):
    processed = tmp_path / "MNIST" / "processed"
    processed.mkdir(parents=True)
    for name in ("training.pt", "test.pt"):
        torch.save((torch.zeros(3, 28, 28, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64)), processed / name)
    images = MNIST(batch_size=8, eval_batch_size=8, val=10, root=str(tmp_path))
    images.prepare_data()
    with pytest.raises(ValueError, match=r"its download failed \(.*nowhere.*\).*/processed are not read"):
        images.setup()
    assert sorted(path.name for path in processed.iterdir()) == ["test.pt", "training.pt"]


@pytest.mark.parametrize("root", ["MNIST", "MNIST/raw", "mine"])
def test_the_folder_of_the_files_themselves_is_understood(mnist_root, idx_arrays, root):
    (mnist_root / "mine").symlink_to(mnist_root / "MNIST" / "raw")
    images = small_mnist(mnist_root / root, idx_arrays)
    np.testing.assert_array_equal(images.sets["test"].images[:, 0].numpy(), idx_arrays["test_images"])


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("root", ["KMNIST", "KMNIST/raw"])
def test_the_folder_of_another_set_is_refused(tmp_path, idx_arrays, root):
    """Its files have the same names."""
    lay_out(tmp_path / "KMNIST" / "raw", idx_arrays, FILES)
    images = FashionMNIST(batch_size=8, eval_batch_size=8, val=10, root=str(tmp_path / root))
    with pytest.raises(ValueError, match=r"data\.root=.*KMNIST.* is a folder of another set than FashionMNIST"):
        images.prepare_data()


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
def test_a_missing_file_is_named_and_nothing_is_mixed_with_a_download(tmp_path, idx_arrays, kind, monkeypatch):
    monkeypatch.setattr("vaelab.data.download.download", lambda *arguments: pytest.fail("a download"))
    lay_out(tmp_path / kind.dataset / "raw", idx_arrays, FILES)
    (tmp_path / kind.dataset / "raw" / FILES["test_labels"]).unlink()
    images = kind(batch_size=8, eval_batch_size=8, val=10, root=str(tmp_path))
    with pytest.raises(ValueError, match=r"holds train-images.* but not t10k-labels-idx1-ubyte: add what is missing"):
        images.prepare_data()


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
    assert [path.name for path in (tmp_path / "fetched").iterdir()] == [kind.__name__]
    images.setup()
    np.testing.assert_array_equal(images.sets["test"].images[:, 0].numpy(), idx_arrays["test_images"])


def test_a_download_keeps_the_files_that_are_there(idx_arrays, tmp_path, monkeypatch):
    """Those that a checksum does not vouch for are somebody's own; torchvision would write over them."""
    from torchvision import datasets

    mirror, raw = tmp_path / "mirror", tmp_path / "fetched" / "MNIST" / "raw"
    resources = []
    mirror.mkdir()
    raw.mkdir(parents=True)
    for part, array in idx_arrays.items():
        packed = gzip.compress(idx(array))
        (mirror / f"{FILES[part]}.gz").write_bytes(packed)
        resources.append((f"{FILES[part]}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    (raw / f"{FILES['train_images']}.gz").write_bytes(b"mine")
    with served(mirror) as address:
        monkeypatch.setattr(datasets.MNIST, "mirrors", [address])
        assert download.download(tmp_path / "fetched", "MNIST") is None
    assert (raw / f"{FILES['train_images']}.gz").read_bytes() == b"mine"
    assert (raw / FILES["test_labels"]).is_file()


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
