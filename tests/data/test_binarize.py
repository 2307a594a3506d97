"""Binarised images."""

import pytest
import torch
from idx_files import small_mnist

from vaelab.data.binarize import drawer


@pytest.mark.parametrize("how", ["none", "threshold", "static", "dynamic"])
@pytest.mark.parametrize("which", ["train", "val", "test"])
def test_binarised_images_are_binary(mnist_root, idx_arrays, how, which):
    images = small_mnist(mnist_root, idx_arrays, binarize=how)
    x = images.scale(images.sets[which].images, drawn=which == "train")
    assert x.shape[1:] == (1, 28, 28)
    assert float(x.min()) == 0
    assert float(x.max()) == 1
    assert (how == "none") == (len(x.unique()) > 2)


def test_static_is_the_same_in_every_run_and_dynamic_in_none(mnist_root, idx_arrays):
    first, second = (small_mnist(mnist_root, idx_arrays, binarize="static", seed=seed) for seed in (0, 1))
    assert torch.equal(first.sets["train"].images, second.sets["train"].images)
    images = small_mnist(mnist_root, idx_arrays, binarize="dynamic")
    grey = images.sets["train"].images
    assert not torch.equal(images.scale(grey, drawn=True), images.scale(grey, drawn=True))
    # what is measured is drawn once
    assert torch.equal(images.sets["test"].images, first.sets["test"].images)


def test_drawing_keeps_the_mean_and_the_certain_pixels():
    grey = torch.full((20_000, 1), 64, dtype=torch.uint8)
    drawn = drawer(0)(grey).float() / 255
    assert abs(float(drawn.mean()) - 64 / 255) < 4 * (64 / 255 * 191 / 255 / 20_000) ** 0.5
    assert not drawer(0)(torch.zeros(100, 1, dtype=torch.uint8)).any()
    assert drawer(0)(torch.full((100, 1), 255, dtype=torch.uint8)).eq(255).all()
