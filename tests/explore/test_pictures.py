"""Pictures of the page: what a browser decodes is what the tensors say."""

import base64
import re
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from vaelab.explore import pictures


def decoded(url: str) -> np.ndarray:
    kind, _, content = url.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(BytesIO(base64.b64decode(content))))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_has_the_pixels_of_the_image(channels):
    image = torch.rand(channels, 5, 7)
    shown = decoded(pictures.data_url(image))
    expected = (255 * image).round().byte().movedim(0, -1).squeeze(-1)
    assert np.array_equal(shown, expected.numpy())
    assert decoded(pictures.data_url(torch.full((2, 4, 4), 9.0))).tolist() == [[255] * 4] * 4


def test_a_sheet_has_all_images():
    images = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])
    shown = decoded(pictures.sheet_url(images, 2))
    assert shown.shape == (8, 14)
    assert (shown[2:6, 2:6].max(), shown[2:6, 8:12].min()) == (0, 255)


def test_bars_go_from_mean_minus_std_to_mean_plus_std():
    mean, std, kl = torch.tensor([0.0, 2.0, -1.0]), torch.tensor([1.0, 0.5, 0.25]), torch.tensor([0.5, 2.0, 0.01])
    svg = pictures.bars(mean, std, kl, [1, 0, 2], [False, False, True])
    bars = [(float(x), float(width)) for x, width in re.findall(r'<rect [^>]*x="([\d.]+)"[^>]*?width="([\d.]+)"', svg)]
    scale = bars[1][1] / 2  # of the latent with mean 0 and standard deviation 1
    middle = bars[1][0] + scale
    for (x, width), latent in zip(bars, [1, 0, 2], strict=True):
        assert x + width / 2 == pytest.approx(middle + scale * float(mean[latent]), abs=0.2)
        assert width == pytest.approx(2 * scale * float(std[latent]), abs=0.2)
    assert re.findall(r">(z\d)<", svg) == ["z1", "z0", "z2"]
    assert re.findall(r'class="nats"[^>]*>([\d.]+)<', svg) == ["2.00", "0.50", "0.01"]
    assert svg.count("collapsed") == 1
    assert "nats" not in pictures.bars(mean, None, None, [0], [False] * 3)


def test_probabilities_are_sorted_and_cut():
    svg = pictures.probabilities(torch.tensor([0.1, 0.7, 0.15, 0.05]), 3)
    assert re.findall(r'class="name"[^>]*>(\d)<', svg) == ["1", "2", "0"]
    assert re.findall(r"([\d.]+) %", svg) == ["70.0", "15.0", "10.0"]
