"""The three text files of the fixed binarisation."""

import numpy as np
import pytest
import torch
from conftest import SMALL

from vaelab.data.binarized_mnist import BinarizedMNIST
from vaelab.errors import InputError

SIZES = {"train": 40, "valid": 10, "test": 8}


@pytest.fixture
def images(tmp_path) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    made = {part: generator.integers(0, 2, (size, 784)) for part, size in SIZES.items()}
    for part, rows in made.items():
        lines = "".join(" ".join(map(str, row)) + " \n" for row in rows)
        (tmp_path / f"binarized_mnist_{part}.amat").write_text(lines)
    return made


def opened(root, **options) -> BinarizedMNIST:
    words = {"batch_size": 10, "eval_batch_size": 10, "val": 10, "binarize": "threshold"} | options
    data = BinarizedMNIST(str(root), **words)
    data.setup()
    return data


def test_every_pixel_is_where_the_file_has_it(images, tmp_path):
    data = opened(tmp_path)
    for which, part in (("train", "train"), ("val", "valid"), ("test", "test")):
        x, labels = data.sets[which][torch.arange(SIZES[part])]
        assert torch.equal(data.scale(x), torch.from_numpy(images[part]).view(-1, 1, 28, 28).float())
        assert not labels.any()
    assert data.is_binary


def test_the_files_are_found_in_a_folder_of_their_own(images, tmp_path):
    (tmp_path / "BinarizedMNIST").mkdir()
    for path in tmp_path.glob("*.amat"):
        path.rename(tmp_path / "BinarizedMNIST" / path.name)
    assert len(opened(tmp_path).sets["train"]) == 40


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("0 1 0.5\n", "must hold only 0, 1 and blanks"),
        ("0 1 1\n", "3 pixels, not a multiple of 28 x 28"),
        ("", "0 pixels"),
    ],
)
def test_another_file_is_refused(images, tmp_path, content, says):
    (tmp_path / "binarized_mnist_valid.amat").write_text(content)
    with pytest.raises(InputError, match=says):
        opened(tmp_path)


def test_a_missing_file_is_named(images, tmp_path):
    (tmp_path / "binarized_mnist_test.amat").unlink()
    with pytest.raises(InputError, match=r"binarized_mnist_test\.amat: give their folder by data\.root"):
        opened(tmp_path)


def test_a_run_trains_on_them(images, command, tmp_path):
    words = [word for word in SMALL if not word.startswith(("data=", "data."))]
    status, out, err = command(
        *words, "data=binarized_mnist", f"data.root={tmp_path}", "data.val=10", "data.batch_size=10", "epochs=1",
        "name=run", "evaluation.parts=[]",
    )  # fmt: skip
    assert (status, err) == (0, ""), out + err
    assert "Grey pixels" not in out
