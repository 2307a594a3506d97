"""Files as they are found, damaged or missing; splits; binarisation; batches over processes."""

import gzip
import hashlib
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from vaelab.data import mnist
from vaelab.data.batches import Batches, IndexedImages
from vaelab.data.binarize import draw_binary
from vaelab.data.datamodule import ImageDataModule
from vaelab.data.mnist import FILES, read_idx

SIZES = {"train_images": (50, 28, 28), "train_labels": (50,), "test_images": (20, 28, 28), "test_labels": (20,)}


def idx(array: np.ndarray) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        part: random.integers(0, 10 if "labels" in part else 256, size, dtype=np.uint8) for part, size in SIZES.items()
    }


@pytest.fixture
def root(tmp_path, arrays) -> Path:
    """A folder in torchvision's layout: images gzipped, labels plain."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, array in arrays.items():
        if "images" in part:
            (folder / f"{FILES[part]}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / FILES[part]).write_bytes(idx(array))
    return tmp_path


def mnist(root: Path, arrays: dict[str, np.ndarray], **options) -> ImageDataModule:
    checksums = {FILES[part]: hashlib.md5(idx(array)).hexdigest() for part, array in arrays.items()}
    defaults = {"batch_size": 8, "eval_batch_size": 8, "val": 10, "root": str(root), "checksums": checksums}
    images = ImageDataModule("mnist", **{**defaults, **options})
    images.setup()
    return images


def test_files_are_read_gzipped_or_not(root, arrays):
    images = mnist(root, arrays)
    np.testing.assert_array_equal(images.sets["train"].images[:, 0].numpy(), arrays["train_images"][:40])
    np.testing.assert_array_equal(images.sets["val"].labels.numpy(), arrays["train_labels"][40:])
    np.testing.assert_array_equal(images.sets["test"].images[:, 0].numpy(), arrays["test_images"])
    assert images.sets["train"].images.dtype == torch.uint8
    assert images.describe() == {
        "name": "mnist",
        "train": 40,
        "val": 10,
        "test": 20,
        "binarize": "none",
        "batch_size": 8,
    }


def test_limits_leave_the_validation_where_it_is(root, arrays):
    images = mnist(root, arrays, train=15, test=7)
    assert [len(images.sets[which]) for which in ("train", "val", "test")] == [15, 10, 7]
    np.testing.assert_array_equal(images.sets["val"].labels.numpy(), arrays["train_labels"][40:])


def test_without_validation_all_training_images_train(root, arrays):
    images = mnist(root, arrays, val=0)
    assert [len(images.sets[which]) for which in ("train", "val")] == [50, 0]
    assert len(images.val_dataloader()) == 0


def damage(root: Path, how: str) -> Path:
    path = root / "MNIST" / "raw" / f"{FILES['train_images']}.gz"
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "bit flipped":
        path.write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
    elif how == "other content":
        path.write_bytes(gzip.compress(idx(np.zeros((50, 28, 28), np.uint8))))
    return path


@pytest.mark.parametrize("how", ["truncated", "bit flipped", "other content"])
def test_a_damaged_file_is_named_with_both_checksums(root, arrays, how):
    path = damage(root, how)
    expected = hashlib.md5(idx(arrays["train_images"])).hexdigest()
    with pytest.raises(ValueError, match="is damaged") as raised:
        mnist(root, arrays)
    message = str(raised.value)
    assert str(path) in message
    assert expected in message
    assert len(re.findall(r"\b[0-9a-f]{32}\b", message)) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no IDX file"),
        (b"PNG and so on", "no IDX file"),
        (b"\0\0\x08\x03\0\0", "inside its header"),
        (b"\0\0\x08\x01\0\0\0\x05ab", "2 bytes of content"),
    ],
)
def test_what_is_no_idx_file_is_told_so(tmp_path, content, says):
    path = tmp_path / "file-idx1-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=says):
        read_idx(path)


def test_images_and_labels_must_be_as_many(root, arrays):
    arrays["train_labels"] = arrays["train_labels"][:-1]
    (root / "MNIST" / "raw" / FILES["train_labels"]).write_bytes(idx(arrays["train_labels"]))
    with pytest.raises(ValueError, match="do not fit"):
        mnist(root, arrays)


@pytest.fixture
def offline(monkeypatch) -> None:
    monkeypatch.setattr(module, "download", lambda *arguments: "no answer")


@pytest.mark.usefixtures("offline")
def test_missing_data_fall_back_under_another_name(tmp_path, caplog):
    images = ImageDataModule("mnist", 600, 100, val=6_000, root=str(tmp_path))
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
    images = ImageDataModule("mnist", 64, 100, val=0, root=str(tmp_path), fallback=False)
    images.prepare_data()
    with pytest.raises(ValueError, match=r"no MNIST under .*no answer.*data\.root"):
        images.setup()


def test_torchvisions_download_is_asked_and_its_failure_told(tmp_path, monkeypatch):
    from torchvision.datasets import MNIST

    monkeypatch.setattr(MNIST, "mirrors", [tmp_path.joinpath("nowhere").as_uri() + "/"])
    assert "nowhere" in mnist.download(tmp_path)


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
def test_torchvisions_download_is_read_back(arrays, tmp_path, monkeypatch, name):
    """A mirror on this machine: torchvision fetches and verifies, we read."""
    from torchvision import datasets

    images = ImageDataModule(name, 8, 8, val=10, root=str(tmp_path / "fetched"))
    kind, mirror = getattr(datasets, mnist.FOLDERS[name]), tmp_path / "mirror"
    mirror.mkdir()
    resources = []
    for part, array in arrays.items():
        packed = gzip.compress(idx(array))
        (mirror / f"{FILES[part]}.gz").write_bytes(packed)
        resources.append((f"{FILES[part]}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(kind, "resources", resources)
    with served(mirror) as address:
        monkeypatch.setattr(kind, "mirrors", [address])
        images.prepare_data()
    images.setup()
    np.testing.assert_array_equal(images.sets["test"].images[:, 0].numpy(), arrays["test_images"])


# ---- MNIST's kin ---------------------------------------------------------------------------------------------


def lay_out(folder: Path, arrays: dict[str, np.ndarray], files: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    for part, array in arrays.items():
        (folder / files[part]).write_bytes(idx(array))


@pytest.mark.parametrize(("name", "folder"), [("fashion_mnist", "FashionMNIST"), ("kmnist", "KMNIST")])
def test_kin_lie_in_folders_of_their_own(tmp_path, arrays, name, folder):
    lay_out(tmp_path / folder / "raw", arrays, FILES)
    images = ImageDataModule(name, 8, 8, val=10, root=str(tmp_path))
    images.prepare_data()
    images.setup()
    np.testing.assert_array_equal(images.sets["test"].images[:, 0].numpy(), arrays["test_images"])
    assert images.describe()["name"] == name
    assert not images.is_fallback


@pytest.mark.parametrize("split", ["letters", "balanced", "digits"])
def test_emnist_is_turned_upright_and_labelled_from_zero(tmp_path, arrays, split):
    if split == "letters":  # whose labels begin at 1
        arrays = {part: array + 1 if "labels" in part else array for part, array in arrays.items()}
    lay_out(tmp_path / "EMNIST" / "raw", arrays, mnist.files_of("emnist", split))
    images = ImageDataModule("emnist", 8, 8, val=10, root=str(tmp_path), split=split)
    images.prepare_data()
    images.setup()
    assert images.describe()["name"] == f"emnist-{split}"
    test = images.sets["test"]
    np.testing.assert_array_equal(test.images[:, 0].numpy(), arrays["test_images"].transpose(0, 2, 1))
    first = 1 if split == "letters" else 0
    np.testing.assert_array_equal(test.labels.numpy(), arrays["test_labels"].astype(int) - first)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ["fashion_mnist", "kmnist", "emnist"])
def test_nothing_stands_in_for_kin_that_is_missing(tmp_path, name):
    images = ImageDataModule(name, 8, 8, val=0, root=str(tmp_path), split="letters")
    images.prepare_data()
    with pytest.raises(
        ValueError,
        match=r"no \w+ under .*/raw, and its download failed \(no answer\).*data\.root",
    ):
        images.setup()


def test_emnist_wants_one_of_its_splits():
    with pytest.raises(ValueError, match=r"data\.split must be one of byclass, .* got 'capitals'"):
        ImageDataModule("emnist", 8, 8, val=0, split="capitals")


def test_emnist_is_fetched_by_torchvision(arrays, tmp_path, monkeypatch):
    """Its one archive holds every split; only the four files that were asked for are read."""
    import zipfile

    from torchvision.datasets import EMNIST

    mirror = tmp_path / "mirror"
    mirror.mkdir()
    with zipfile.ZipFile(mirror / "gzip.zip", "w") as archive:
        for part, file in mnist.files_of("emnist", "digits").items():
            archive.writestr(f"gzip/{file}.gz", gzip.compress(idx(arrays[part])))
    with served(mirror) as address:
        monkeypatch.setattr(EMNIST, "url", address + "gzip.zip")
        monkeypatch.setattr(EMNIST, "md5", hashlib.md5((mirror / "gzip.zip").read_bytes()).hexdigest())
        images = ImageDataModule("emnist", 8, 8, val=10, root=str(tmp_path / "fetched"), split="digits")
        images.prepare_data()
    images.setup()
    expected = arrays["test_images"].transpose(0, 2, 1)
    np.testing.assert_array_equal(images.sets["test"].images[:, 0].numpy(), expected)


def test_an_unusable_torchvision_is_told_in_one_line(tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def broken(name, *arguments, **keywords):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist\nand more")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(ValueError, match="built against another torch") as raised:
        mnist.download(tmp_path)
    assert "\n" not in str(raised.value)


def test_uci_digits_lie_as_mnist_s_do():
    images = ImageDataModule("uci_digits", 64, 100, val=137)
    images.prepare_data()
    images.setup()
    assert images.describe() == {
        "name": "uci_digits", "train": 1_300, "val": 137, "test": 360, "binarize": "none", "batch_size": 64,
    }  # fmt: skip
    pixels = images.sets["train"].images
    assert (pixels.shape[1:], pixels.dtype) == ((1, 28, 28), torch.uint8)
    assert int(pixels[..., :4, :].max()) == int(pixels[..., -4:].max()) == 0
    assert int(pixels.max()) == 255
    assert set(images.sets["test"].labels.tolist()) == set(range(10))
    assert not images.is_fallback
    assert len(torch.unique(pixels.flatten(1), dim=0)) > 1_250  # hardly any twice


def test_mnist5k_has_every_digit_in_every_split():
    images = ImageDataModule("mnist5k", 64, 100, val=500)
    images.setup()
    assert [len(images.sets[which]) for which in ("train", "val", "test")] == [3_500, 500, 1_000]
    for part in images.sets.values():
        assert set(part.labels.tolist()) == set(range(10))
    assert images.sets["train"].images.max() == 255


# ---- binarisation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["none", "threshold", "static", "dynamic"])
@pytest.mark.parametrize("which", ["train", "val", "test"])
def test_binarised_images_are_binary(root, arrays, how, which):
    images = mnist(root, arrays, binarize=how)
    x = images.scale(images.sets[which].images, drawn=which == "train")
    assert x.shape[1:] == (1, 28, 28)
    assert float(x.min()) == 0
    assert float(x.max()) == 1
    assert (how == "none") == (len(x.unique()) > 2)


def test_static_is_the_same_in_every_run_and_dynamic_in_none(root, arrays):
    first, second = (mnist(root, arrays, binarize="static", seed=seed) for seed in (0, 1))
    assert torch.equal(first.sets["train"].images, second.sets["train"].images)
    images = mnist(root, arrays, binarize="dynamic")
    grey = images.sets["train"].images
    assert not torch.equal(images.scale(grey, drawn=True), images.scale(grey, drawn=True))
    # what is measured is drawn once
    assert torch.equal(images.sets["test"].images, first.sets["test"].images)


def test_drawing_keeps_the_mean_and_the_certain_pixels():
    grey = torch.full((20_000, 1), 64, dtype=torch.uint8)
    drawn = draw_binary(grey, 0).float() / 255
    assert abs(float(drawn.mean()) - 64 / 255) < 4 * (64 / 255 * 191 / 255 / 20_000) ** 0.5
    assert not draw_binary(torch.zeros(100, 1, dtype=torch.uint8), 0).any()
    assert draw_binary(torch.full((100, 1), 255, dtype=torch.uint8), 0).eq(255).all()


# ---- batches -------------------------------------------------------------------------------------------------


def indices(size: int, *arguments: object) -> list[torch.Tensor]:
    """Those of every batch: the images are numbers."""
    return [x for x, _ in Batches(IndexedImages(torch.arange(size), torch.arange(size)), *arguments)]


@pytest.mark.parametrize("size", [1, 7, 8, 9, 100])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_evaluation_sees_every_image_once_over_all_processes(size, world):
    shares = [indices(size, 8, None, rank, world) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1  # as many batches everywhere, or one waits for ever
    seen = torch.cat([batch for share in shares for batch in share])
    assert sorted(seen.tolist()) == list(range(size))


@pytest.mark.parametrize("size", [9, 100, 101])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_training_shares_are_equal_and_together_the_same_batches(size, world):
    alone = indices(size, 12, 5)
    shares = [indices(size, 12, 5, rank, world) for rank in range(world)]
    for number, parts in enumerate(zip(*shares, strict=True)):
        assert len({len(part) for part in parts}) == 1
        together = set(torch.cat(parts).tolist())
        assert together <= set(alone[number].tolist())
        assert len(alone[number]) - len(together) < world


def test_the_order_is_a_function_of_seed_and_epoch():
    def order(seed: int, epoch: int) -> list[int]:
        batches = Batches(IndexedImages(torch.arange(50), torch.arange(50)), 8, seed)
        batches.sampler.set_epoch(epoch)
        return torch.cat([x for x, _ in batches]).tolist()

    assert order(0, 3) == order(0, 3)
    assert sorted(order(0, 3)) == list(range(50))
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)


def test_images_come_a_batch_at_a_time_as_bytes(root, arrays):
    images = mnist(root, arrays)
    x, y = next(iter(images.train_dataloader()))
    assert x.shape == (8, 1, 28, 28)
    assert x.dtype == torch.uint8
    assert y.shape == (8,)
    assert len(images.train_dataloader()) == 5
