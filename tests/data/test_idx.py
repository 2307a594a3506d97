"""IDX files: as they are read, damaged or of another format."""

import gzip
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from idx_files import idx, pack, small_mnist

from vaelab.data.idx import FILES, read_idx


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
def test_a_damaged_file_is_named_with_both_checksums(mnist_root, idx_arrays, how):
    path = damage(mnist_root, how)
    expected = hashlib.md5(idx(idx_arrays["train_images"])).hexdigest()
    with pytest.raises(ValueError, match="damaged") as raised:
        small_mnist(mnist_root, idx_arrays)
    message = str(raised.value)
    assert str(path) in message
    assert expected in message
    assert len(re.findall(r"\b[0-9a-f]{32}\b", message)) == 2
    assert "delete" not in message  # it may be the only copy of somebody's own images
    assert ("data.checksums=null" in message) == (how == "other content")
    assert path.exists()


def test_a_damaged_file_of_ones_own_is_not_to_be_downloaded(mnist_root, idx_arrays):
    damage(mnist_root, "truncated")
    with pytest.raises(ValueError, match="cannot be unpacked") as raised:
        small_mnist(mnist_root, idx_arrays, checksums=None)
    assert "where it came from" in str(raised.value)
    assert "None" not in str(raised.value)


def test_images_of_ones_own_are_read_without_checksums(mnist_root, idx_arrays):
    damage(mnist_root, "other content")
    with pytest.raises(ValueError, match="not the official file"):
        small_mnist(mnist_root, idx_arrays)
    pack(mnist_root / "MNIST" / "raw", "train_images", 255 - idx_arrays["train_images"])
    assert len(small_mnist(mnist_root, idx_arrays, checksums=None).sets["train"]) == 40


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no IDX file"),
        (b"PNG and so on", "no IDX file"),
        (b"\0\0\x08\x03\0\0", "inside its header"),
        (b"\0\0\x08\x01\0\0\0\x05ab", "2 bytes of content"),
    ],
)
def test_a_file_of_another_format_is_refused(tmp_path, content, says):
    path = tmp_path / "file-idx1-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=says):
        read_idx(path)


def test_training_and_test_images_of_two_sizes_are_named(mnist_root, idx_arrays):
    small = np.ascontiguousarray(idx_arrays["test_images"][:, :20, :24])
    path = pack(mnist_root / "MNIST" / "raw", "test_images", small)
    with pytest.raises(ValueError, match=r"28 x 28 pixels, and those in .* 20 x 24") as raised:
        small_mnist(mnist_root, idx_arrays, checksums=None)
    assert str(path) in str(raised.value)


def test_a_file_without_images_is_named(mnist_root, idx_arrays):
    folder = mnist_root / "MNIST" / "raw"
    path = pack(folder, "test_images", idx_arrays["test_images"][:0])
    (folder / FILES["test_labels"]).write_bytes(idx(idx_arrays["test_labels"][:0]))
    with pytest.raises(ValueError, match=f"{path} holds no image"):
        small_mnist(mnist_root, idx_arrays, checksums=None)


def test_images_and_labels_must_be_as_many(mnist_root, idx_arrays):
    idx_arrays["train_labels"] = idx_arrays["train_labels"][:-1]
    (mnist_root / "MNIST" / "raw" / FILES["train_labels"]).write_bytes(idx(idx_arrays["train_labels"]))
    with pytest.raises(ValueError, match="do not fit"):
        small_mnist(mnist_root, idx_arrays)
