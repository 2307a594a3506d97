"""CIFAR-10, SVHN and CelebA in small files of their formats, whose checksums torchvision is told."""

import hashlib
import pickle
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from mirrors import served
from own_images import pixels
from PIL import Image
from torchvision import datasets

from vaelab.data.torchvision_sets import CIFAR10, SVHN, CelebA
from vaelab.errors import InputError

OPTIONS = {"batch_size": 4, "eval_batch_size": 4, "val": 2}
CELEBA_PARTS = [0, 2, 0, 1, 0, 2, 0, 1]  # of the files in their order
CELEBA_LISTS = ("identity_CelebA.txt", "list_bbox_celeba.txt", "list_landmarks_align_celeba.txt")


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def colours(count: int, first: int = 0) -> np.ndarray:
    """Images (N, 3, 32, 32)."""
    return np.stack([pixels(number, 32, 32) for number in range(first, first + count)]).transpose(0, 3, 1, 2)


@pytest.fixture
def cifar(tmp_path, monkeypatch) -> Path:
    """Five files of 2 training images and one of 3 test images."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    names = [f"data_batch_{number}" for number in range(1, 6)]
    for number, name in enumerate(names):
        rows = colours(2, 2 * number).reshape(2, -1)
        (folder / name).write_bytes(pickle.dumps({"data": rows, "labels": [number, 9 - number]}))
    (folder / "test_batch").write_bytes(pickle.dumps({"data": colours(3, 90).reshape(3, -1), "labels": [3, 1, 0]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [[name, md5(folder / name)] for name in names])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", md5(folder / "test_batch")]])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": md5(folder / "batches.meta")})
    return tmp_path


@pytest.fixture
def svhn(tmp_path, monkeypatch) -> Iterator[Path]:
    """8 training and 4 test images, and a server that has them."""
    with served(tmp_path) as address:
        splits = {}
        for split, count, labels in (("train", 8, [1, 10, 3, 4, 5, 6, 7, 8]), ("test", 4, [10, 1, 2, 9])):
            path = tmp_path / f"{split}_32x32.mat"
            images = colours(count, count).transpose(2, 3, 1, 0)
            scipy.io.savemat(path, {"X": images, "y": np.array(labels, np.uint8)[:, None]})
            splits[split] = [address + path.name, path.name, md5(path)]
        monkeypatch.setattr(datasets.SVHN, "split_list", splits)
        yield tmp_path


@pytest.fixture
def celeba(tmp_path, monkeypatch) -> Path:
    """8 files of the size of CelebA's, with two attributes."""
    folder, count = tmp_path / "celeba", len(CELEBA_PARTS)
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06d}.jpg" for number in range(1, count + 1)]
    for number, name in enumerate(names):
        colour = (25 * number, 100, 200 - 20 * number)
        Image.new("RGB", (178, 218), colour).save(folder / "img_align_celeba" / name)
    lines = [f"{name} {part}" for name, part in zip(names, CELEBA_PARTS, strict=True)]
    (folder / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    attributes = [f"{name}  {1 if number % 3 else -1} -1" for number, name in enumerate(names)]
    (folder / "list_attr_celeba.txt").write_text("\n".join([str(count), "Smiling Young ", *attributes]) + "\n")
    for name in CELEBA_LISTS:
        header = [] if name.startswith("identity") else [str(count), "a b"]
        (folder / name).write_text("\n".join([*header, *(f"{file} 1 2" for file in names)]) + "\n")
    files = ["list_eval_partition.txt", "list_attr_celeba.txt", *CELEBA_LISTS]
    monkeypatch.setattr(datasets.CelebA, "file_list", [("", md5(folder / name), name) for name in files])
    return tmp_path


def opened(kind: type, root: Path, **options: object) -> CIFAR10 | SVHN | CelebA:
    data = kind(root=str(root), **{**OPTIONS, **options})
    data.prepare_data()
    data.setup()
    return data


def test_cifar10(cifar):
    data = opened(CIFAR10, cifar)
    assert data.describe() == {"name": "cifar10", "train": 8, "val": 2, "test": 3, "binarize": "none", "batch_size": 4}
    np.testing.assert_array_equal(data.image_set.train_images.numpy(), colours(10))
    np.testing.assert_array_equal(data.sets["test"].images.numpy(), colours(3, 90))
    assert data.image_set.train_labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]


def test_svhn(svhn):
    """Its files hold the label 10 for the digit 0."""
    data = opened(SVHN, svhn)
    np.testing.assert_array_equal(data.image_set.train_images.numpy(), colours(8, 8))
    assert data.image_set.train_labels.tolist() == [1, 0, 3, 4, 5, 6, 7, 8]
    assert data.sets["test"].labels.tolist() == [0, 1, 2, 9]


def test_celeba_has_the_official_parts(celeba):
    data = opened(CelebA, celeba, size=16, val=None)
    assert {part: len(images) for part, images in data.sets.items()} == {"train": 4, "val": 2, "test": 2}
    expected = [25 * number for part in (0, 1, 2) for number, at in enumerate(CELEBA_PARTS) if at == part]
    red = [int(images[0, 8, 8]) for part in ("train", "val", "test") for images in data.sets[part].images]
    assert red == pytest.approx(expected, abs=3)  # JPEG
    assert data.shape == [3, 16, 16]
    assert data.sets["train"].labels.tolist() == [0, 0, 0, 0]


def test_an_attribute_of_celeba_is_its_label(celeba):
    data = opened(CelebA, celeba, size=16, val=None, attribute="Smiling")
    assert [data.sets[part].labels.tolist() for part in ("train", "val", "test")] == [[0, 1, 1, 0], [0, 1], [1, 1]]
    assert data.contents.classes == ["not Smiling", "Smiling"]
    with pytest.raises(InputError, match=r"data\.attribute=Happy is none of CelebA's: Smiling, Young"):
        opened(CelebA, celeba, size=16, val=None, attribute="Happy")


def test_the_lists_of_celeba_are_read_once(celeba, monkeypatch):
    """torchvision takes seconds to read them."""
    opened(CelebA, celeba, size=16, val=None)
    monkeypatch.setattr(datasets.CelebA, "__init__", lambda *arguments, **options: pytest.fail("read again"))
    assert len(opened(CelebA, celeba, size=16, val=None).sets["train"]) == 4


def test_a_damaged_photograph_of_celeba(celeba):
    (celeba / "celeba" / "img_align_celeba" / "000003.jpg").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"1 of 8 files in .*celeba are no images, or damaged ones: .*000003\.jpg"):
        opened(CelebA, celeba, size=16, val=None)
    assert len(opened(CelebA, celeba, size=16, val=None, batch_size=2, skip_unreadable=True).sets["train"]) == 3


@pytest.mark.parametrize(
    ("kind", "fixture", "file"),
    [(CIFAR10, "cifar", "cifar-10-batches-py/data_batch_2"), (SVHN, "svhn", "test_32x32.mat"),
     (CelebA, "celeba", "celeba/list_attr_celeba.txt")],
)  # fmt: skip
def test_a_damaged_file_is_not_unpacked(request, kind, fixture, file):
    """Pickles of CIFAR-10 run code: torchvision opens only files with its checksums."""
    root = request.getfixturevalue(fixture)
    (root / file).write_bytes(b"damaged")
    with pytest.raises(
        InputError, match=r"a file is not the official one.*data\.root.*your own images by data=folder or data=arrays"
    ):
        opened(kind, root, **({"val": None, "size": 16} if kind is CelebA else {}))


def test_a_damaged_list_of_parts(celeba):
    (celeba / "celeba" / "list_eval_partition.txt").write_text("000001.jpg 7\n")
    with pytest.raises(InputError, match=r"list_eval_partition\.txt is damaged: expected a name and 0, 1 or 2"):
        opened(CelebA, celeba, size=16, val=None)


@pytest.mark.parametrize(
    ("kind", "missing"),
    [(CIFAR10, "cifar-10-batches-py/data_batch_1"), (SVHN, "train_32x32.mat"), (CelebA, "celeba/list_eval_partition")],
)
def test_a_missing_set_says_why_it_was_not_downloaded(tmp_path, monkeypatch, kind, missing):
    monkeypatch.setattr("vaelab.data.download.download", lambda *arguments: "no answer")
    with pytest.raises(InputError, match=rf"there is no {missing}.*download failed \(no answer\); point data\.root"):
        opened(kind, tmp_path / "empty", **({"val": None, "size": 16} if kind is CelebA else {}))
    assert not (tmp_path / "empty").exists()


def test_cifar10_is_downloaded_by_torchvision(cifar, tmp_path, monkeypatch):
    archive, root = tmp_path / "mirror.tar.gz", tmp_path / "fetched"
    with tarfile.open(archive, "w:gz") as file:
        file.add(cifar / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(archive))
    with served(tmp_path) as address:
        monkeypatch.setattr(datasets.CIFAR10, "url", address + archive.name)
        assert len(opened(CIFAR10, root).sets["train"]) == 8
    assert [path.name for path in root.iterdir()] == ["cifar-10-batches-py"]


def test_svhn_is_downloaded_by_torchvision(svhn, tmp_path):
    root = tmp_path / "fetched"
    assert len(opened(SVHN, root).sets["test"]) == 4
    assert sorted(path.name for path in root.iterdir()) == ["test_32x32.mat", "train_32x32.mat"]


def test_celeba_is_downloaded_by_torchvision(celeba, tmp_path, monkeypatch):
    """From Google's drive; here its files are copied."""
    source, archive = celeba / "celeba", celeba / "img_align_celeba.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted((source / "img_align_celeba").iterdir()):
            file.write(path, f"img_align_celeba/{path.name}")
    files = [("zip", md5(archive), archive.name), *datasets.CelebA.file_list]

    def copied(file_id: str, root: str, filename: str, checksum: str) -> None:
        Path(root).mkdir(exist_ok=True)
        origin = archive if file_id == "zip" else source / filename
        Path(root, filename).write_bytes(origin.read_bytes())

    monkeypatch.setattr(datasets.CelebA, "file_list", files)
    monkeypatch.setattr("torchvision.datasets.celeba.download_file_from_google_drive", copied)
    data = opened(CelebA, tmp_path / "fetched", size=16, val=None)
    assert len(data.sets["train"]) == 4
