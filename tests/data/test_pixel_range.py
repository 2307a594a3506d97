"""Pixels of 0 and 1 instead of 0 to 255, which would train a model of black images."""

import pytest
import torch
from idx_files import FILES, lay_out, small_mnist

from vaelab.data.contracts import ImageSet
from vaelab.data.pixel_range import full_range

LABELS = torch.zeros(4, dtype=torch.int64)


def image_set(train_white: int, test_white: int) -> ImageSet:
    pattern = (torch.arange(4 * 9) % 2).to(torch.uint8).view(4, 1, 3, 3)
    return ImageSet("mine", pattern * train_white, LABELS, pattern * test_white, LABELS)


def test_binary_files_of_zero_and_one_train_as_black_and_white(mnist_root, idx_arrays, caplog):
    binary = {part: array % 2 if "images" in part else array for part, array in idx_arrays.items()}
    folder = mnist_root / "binary" / "MNIST" / "raw"
    lay_out(folder, binary, FILES)
    data = small_mnist(mnist_root / "binary", binary)
    x = data.scale(data.sets["train"].images)
    assert x.unique().tolist() == [0, 1]
    assert "pixels of mnist are 0 and 1 instead of 0 to 255: they were multiplied by 255" in caplog.text
    assert data.image_set.test_images.unique().tolist() == [0, 255]  # what the evaluation's classifier sees


def test_pixels_from_0_to_255_stay_as_they_are(caplog):
    images = image_set(255, 200)
    assert full_range(images) is images
    assert not caplog.records


def test_a_dark_set_is_reported_and_stays_as_it_is(caplog):
    images = image_set(16, 16)
    assert full_range(images) is images
    assert "no pixel of mine is brighter than 16 of 255" in caplog.text


@pytest.mark.parametrize(("train", "test", "says"), [(0, 0, "are black"), (255, 1, "up to 255.* up to 1")])
def test_black_images_and_two_ranges_are_refused(train, test, says):
    with pytest.raises(ValueError, match=says):
        full_range(image_set(train, test))
