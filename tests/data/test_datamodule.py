"""The contract of a data module: splits and limits, also of a data set from elsewhere."""

import inspect

import numpy as np
import pytest
import torch
from idx_files import small_mnist
from own_data import Stripes

from vaelab.data.contracts import ImageSet
from vaelab.data.datamodule import ImageDataModule
from vaelab.data.mnist import EMNIST
from vaelab.errors import InputError
from vaelab.runs.pieces import make_piece


def test_limits_leave_the_validation_where_it_is(mnist_root, idx_arrays):
    images = small_mnist(mnist_root, idx_arrays, train=15, test=7)
    assert [len(images.sets[which]) for which in ("train", "val", "test")] == [15, 10, 7]
    np.testing.assert_array_equal(images.sets["val"].labels.numpy(), idx_arrays["train_labels"][40:])


def test_without_validation_all_training_images_train(mnist_root, idx_arrays):
    images = small_mnist(mnist_root, idx_arrays, val=0)
    assert [len(images.sets[which]) for which in ("train", "val")] == [50, 0]
    assert len(images.val_dataloader()) == 0


def test_a_data_set_from_elsewhere_needs_only_read():
    data = Stripes(size=4, batch_size=10, eval_batch_size=5, val=10, binarize="static", train=20)
    data.prepare_data()
    data.setup()
    assert data.describe() == {
        "name": "stripes", "train": 20, "val": 10, "test": 10, "binarize": "static", "batch_size": 10,
    }  # fmt: skip
    x, y = next(iter(data.train_dataloader()))
    assert (x.shape, y.shape) == ((10, 3, 4, 6), (10,))
    assert data.scale(x).unique().tolist() == [0, 1]
    assert not data.is_fallback


def test_a_subclass_shows_the_options_that_it_passes_on():
    """The check of the configuration reads the signature, so that a wrong option is refused before the call."""
    own, common = inspect.signature(Stripes).parameters, inspect.signature(ImageDataModule).parameters
    assert set(own) == {"size", *common} - {"name"}
    assert {"split", "root", "checksums", "fallback", "val"} < set(inspect.signature(EMNIST).parameters)
    sizes = {"batch_size": 8, "eval_batch_size": 8, "val": 3}
    with pytest.raises(InputError, match="data has no option 'vall'"):
        make_piece("data", {"_target_": "vaelab.data.packaged.MNIST5k", **sizes, "vall": 3}, ImageDataModule)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"train_images": torch.zeros(40, 6, 8, dtype=torch.uint8)}, r"train_images as uint8 \(N, C, H, W\)"),
        ({"train_images": torch.zeros(40, 3, 6, 8)}, "got float32"),
        ({"train_labels": torch.zeros(39, dtype=torch.int64)}, "39 and 40"),
        ({"train_labels": torch.zeros(40)}, r"train_labels as int64 \(N,\)"),
        ({"test_images": torch.zeros(10, 3, 5, 8, dtype=torch.uint8)}, "one shape"),
        ({"test_labels": torch.full((10,), -1)}, "at least 0, got -1"),
    ],
)
def test_what_read_returns_is_checked(monkeypatch, change, says):
    data = Stripes(batch_size=10, eval_batch_size=5, val=10)
    images = data.read()
    monkeypatch.setattr(data, "read", lambda: ImageSet(**{**vars(images), **change}))
    with pytest.raises(InputError, match=f"Stripes.read must return.*{says}"):
        data.setup()


def test_the_shape_is_known_after_the_images_are_read():
    data = Stripes(size=4, batch_size=10, eval_batch_size=5, val=10)
    data.setup()
    assert data.shape == [3, 4, 6]


def test_another_shape_than_the_images_is_refused_with_theirs():
    data = Stripes(size=4, batch_size=10, eval_batch_size=5, val=10, shape=[1, 28, 28])
    with pytest.raises(InputError, match=r"data.shape=\[1,28,28\] is not .* stripes: take data.shape=\[3,4,6\]$"):
        data.setup()


def test_read_must_return_an_image_set(monkeypatch):
    data = Stripes(batch_size=10, eval_batch_size=5, val=10)
    monkeypatch.setattr(data, "read", lambda: np.zeros(3))
    with pytest.raises(InputError, match="got ndarray"):
        data.setup()


def test_some_classes_are_kept_with_their_labels(mnist_root, idx_arrays):
    images = small_mnist(mnist_root, idx_arrays, classes=[8, 3], val=2, batch_size=4)
    wanted = np.isin(idx_arrays["train_labels"], [3, 8])
    parts = [images.sets[which].labels for which in ("train", "val")]
    np.testing.assert_array_equal(torch.cat(parts).numpy(), idx_arrays["train_labels"][wanted])
    assert set(images.sets["test"].labels.tolist()) == {3, 8}
    assert images.describe()["classes"] == [3, 8]
    assert len(images.image_set.train_labels) == 50  # all of them, for those who ask


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        ([3, 17], r"data.classes=\[3, 17\]: mnist has no training image of the class 17, its labels are"),
        ("38", "data.classes must be a list of labels such as .3,8., or null for all, got '38'"),
        ([], "data.classes must be a list"),
        ([-1], "each label in data.classes must be a whole number of at least 0, got -1"),
    ],
)
def test_classes_that_do_not_exist_are_refused(mnist_root, idx_arrays, classes, says):
    with pytest.raises(InputError, match=says):
        small_mnist(mnist_root, idx_arrays, classes=classes)
