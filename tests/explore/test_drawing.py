"""Drawings and files as images of a model: against MNIST's own digits, which are made in this way."""

from io import BytesIO

import numpy as np
import pytest
import torch
from explored import digits
from PIL import Image

from vaelab.errors import InputError
from vaelab.explore import drawing

MNIST = (1, 28, 28)
SEVEN = [[[0.3, 0.2], [0.7, 0.2], [0.45, 0.8]]]


def centre_of_mass(image: torch.Tensor) -> tuple[float, float]:
    mass = image[0].double()
    places = torch.arange(mass.shape[1], dtype=torch.float64) + 0.5
    return float(mass.sum(1) @ places[: len(mass)] / mass.sum()), float(mass.sum(0) @ places / mass.sum())


def png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_a_digit_of_mnist_stays_where_it_is():
    x = digits().image_set.test_images[:100]
    for image in x:
        large = image[0].repeat_interleave(10, 0).repeat_interleave(10, 1).numpy()
        again = drawing.centred(large, MNIST).float()
        # MNIST's own centring rounds too: one pixel at most, in each direction.
        shifts = [torch.roll(again, (down, right), (1, 2)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        assert min(float((shift - image).abs().mean()) for shift in shifts) < 12


def test_a_drawing_is_centred_and_fits_the_box_wherever_and_however_large_it_is():
    for scale, right, down in ((1.0, 0.0, 0.0), (0.3, 0.65, 0.02), (0.5, 0.1, 0.45)):
        strokes = [[[scale * x + right, scale * y + down] for x, y in stroke] for stroke in SEVEN]
        image = drawing.from_strokes(strokes, MNIST)
        assert image.dtype == torch.uint8
        assert image.shape == MNIST
        assert centre_of_mass(image) == pytest.approx((14, 14), abs=0.6)
        lit = image[0] > 20
        assert int(lit.any(1).sum()) == 20  # a seven is higher than wide
        assert 8 <= int(lit.any(0).sum()) <= 20


def test_a_dot_is_a_drawing_and_another_size_gets_another_box():
    image = drawing.from_strokes([[[0.9, 0.9]]], (3, 14, 20))
    assert image.shape == (3, 14, 20)
    assert torch.equal(image[0], image[2])
    assert int((image[0] > 20).any(1).sum()) == 10  # 20 of 28 pixels, of 14
    assert centre_of_mass(image)[0] == pytest.approx(7, abs=0.6)


def test_points_beyond_the_canvas_are_at_its_border():
    assert drawing.check_strokes([[[-3, 0.5], [0.5, 8.0]], []]) == [[(0.0, 0.5), (0.5, 1.0)]]


@pytest.mark.parametrize(
    ("strokes", "says"),
    [
        ([], "canvas is empty"),
        ([[]], "canvas is empty"),
        ("drawing", "list of strokes"),
        ([[[0.1]]], "list of strokes"),
        ([[[0.1, float("nan")]]], "list of strokes"),
        ([[["a", "b"]]], "list of strokes"),
        ([[[0.1, 0.2]] * 30_000], "at most 20,000 points"),
    ],
)
def test_a_wrong_drawing_gets_one_line(strokes, says):
    with pytest.raises(InputError, match=says):
        drawing.from_strokes(strokes, MNIST)


def test_a_photograph_is_scaled_and_cropped_at_its_centre():
    page = np.zeros((40, 100, 3), np.uint8)
    page[:, 30:70] = (255, 0, 0)
    image = drawing.from_file(png(Image.fromarray(page)), "red.png", (3, 20, 20))
    assert image.shape == (3, 20, 20)
    assert image[0].min() > 235
    assert image[1:].max() < 5


def test_a_dark_digit_on_light_paper_is_inverted():
    page = Image.new("L", (56, 56), 255)
    page.paste(0, (20, 20, 36, 36))
    image = drawing.from_file(png(page), "digit.png", MNIST, invert=True)
    assert image[0, 14, 14] == 255
    assert image[0, 0, 0] == 0


def test_files_that_are_no_images_or_too_large_get_one_line(monkeypatch):
    for content in (b"", b"no image", png(Image.new("L", (9, 9)))[:40]):
        with pytest.raises(InputError, match=r"mine\.png is no image, or a damaged one"):
            drawing.from_file(content, "mine.png", MNIST)
    with pytest.raises(InputError, match="1 or 3 channels"):
        drawing.from_file(png(Image.new("L", (9, 9))), "mine.png", (2, 9, 9))
    monkeypatch.setattr(drawing, "MAX_PIXELS", 80)
    with pytest.raises(InputError, match="9 x 9 pixels, and at most 80"):
        drawing.from_file(png(Image.new("L", (9, 9))), "mine.png", MNIST)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)  # Pillow refuses what has more than twice as many
    with pytest.raises(InputError, match="has more than 80 pixels: make it smaller"):
        drawing.from_file(png(Image.new("L", (9, 9))), "mine.png", MNIST)
    monkeypatch.setattr(drawing, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="make it smaller"):
        drawing.from_file(bytes(11), "mine.png", MNIST)
