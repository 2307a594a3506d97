"""Image sets that come with a package."""

import torch

from vaelab.data.packaged import MNIST5k, UCIDigits


def test_uci_digits_have_mnists_layout():
    images = UCIDigits(batch_size=64, eval_batch_size=100, val=137)
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
    images = MNIST5k(batch_size=64, eval_batch_size=100, val=500)
    images.setup()
    assert [len(images.sets[which]) for which in ("train", "val", "test")] == [3_500, 500, 1_000]
    for part in images.sets.values():
        assert set(part.labels.tolist()) == set(range(10))
    assert images.sets["train"].images.max() == 255
