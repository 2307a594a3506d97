"""Image files of every kind as arrays: their pixels are those of the file, whatever its format and mode."""

import io
from pathlib import Path

import numpy as np
import pytest
from own_images import pixels
from PIL import Image

from vaelab.data.decode import ImageFormat, without_warnings
from vaelab.errors import InputError

COLOUR, GREY = ImageFormat(3, 12, 12), ImageFormat(1, 12, 12)
LOSSLESS = {"png": {}, "bmp": {}, "tiff": {}, "webp": {"lossless": True}}


def saved(folder: Path, image: Image.Image, ending: str = "png", **options: object) -> Path:
    path = folder / f"image.{ending}"
    image.save(path, **options)
    return path


@pytest.mark.parametrize("ending", LOSSLESS)
def test_colours_are_those_of_the_file(tmp_path, ending):
    path = saved(tmp_path, Image.fromarray(pixels(0)), ending, **LOSSLESS[ending])
    np.testing.assert_array_equal(COLOUR.read(path), pixels(0).transpose(2, 0, 1))
    grey = np.asarray(Image.fromarray(pixels(0)).convert("L"))
    np.testing.assert_array_equal(GREY.read(path), grey[None])


def test_a_jpeg_and_a_gif_are_read(tmp_path):
    smooth = np.full((12, 12, 3), (200, 100, 50), np.uint8)
    for ending in ("jpg", "gif"):
        found = COLOUR.read(saved(tmp_path, Image.fromarray(smooth), ending))
        assert np.abs(found.astype(int) - smooth.transpose(2, 0, 1)).max() <= 3


@pytest.mark.parametrize(
    ("mode", "ending"),
    [("1", "png"), ("L", "png"), ("LA", "png"), ("P", "png"), ("RGBA", "png"), ("CMYK", "tiff"), ("CMYK", "jpg")],
)
def test_every_mode_becomes_grey_and_colour(tmp_path, mode, ending):
    image = Image.new("RGB", (12, 12), "white").convert(mode)
    path = saved(tmp_path, image, ending)
    assert COLOUR.read(path).shape == (3, 12, 12)
    assert GREY.read(path).min() == COLOUR.read(path).min() == 255


def test_sixteen_bits_are_scaled_and_not_cut(tmp_path):
    values = np.arange(144, dtype=np.uint16).reshape(12, 12) * 455
    for ending in ("png", "tiff"):
        np.testing.assert_array_equal(GREY.read(saved(tmp_path, Image.fromarray(values), ending))[0], values // 257)


@pytest.mark.parametrize(("background", "value"), [("black", 0), ("white", 255)])
def test_what_is_transparent_becomes_background(tmp_path, background, value):
    image = np.full((12, 12, 4), 100, np.uint8)
    image[..., 3] = 255
    image[:4, :, 3] = 0
    form = ImageFormat(3, 12, 12, background=background)
    found = form.read(saved(tmp_path, Image.fromarray(image)))
    assert np.all(found[:, :4] == value)
    assert np.all(found[:, 4:] == 100)
    palette = Image.new("P", (12, 12), 7)
    palette.putpalette([100] * 768)
    assert np.all(form.read(saved(tmp_path, palette)) == 100)
    assert np.all(form.read(saved(tmp_path, palette, transparency=7)) == value)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_its_camera_was(tmp_path, orientation):
    """EXIF orientations 5 to 8 swap height and width."""
    upright = pixels(1, 12, 12)
    turns = {1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
             5: upright.transpose(1, 0, 2), 6: np.rot90(upright, 1), 7: upright[::-1, ::-1].transpose(1, 0, 2),
             8: np.rot90(upright, -1)}  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(np.ascontiguousarray(turns[orientation])), exif=exif)
    np.testing.assert_array_equal(COLOUR.read(path), upright.transpose(2, 0, 1))


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize(("crop", "found"), [("center", [24, 24]), ("none", [12, 12])])
def test_no_crop_changes_the_aspect_ratio(tmp_path, crop, found, ending):
    """A square in the middle of a wide image, large enough for the fast path of JPEG."""
    image = np.zeros((240, 480, 3), np.uint8)
    image[60:180, 180:300] = 255
    path = saved(tmp_path, Image.fromarray(image), ending)
    read = ImageFormat(1, 48, 48, crop).read(path)[0] > 127
    rows, columns = np.flatnonzero(read.any(1)), np.flatnonzero(read.any(0))
    assert [np.ptp(rows) + 1, np.ptp(columns) + 1] == found
    assert rows.min() + rows.max() == columns.min() + columns.max() == 47  # centred


def test_height_and_width_may_differ(tmp_path):
    path = saved(tmp_path, Image.fromarray(pixels(2, 20, 30)))
    np.testing.assert_array_equal(ImageFormat(3, 20, 30).read(path), pixels(2, 20, 30).transpose(2, 0, 1))


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tiff", "webp", "gif"])
def test_a_damaged_file_is_named_and_never_a_bug(tmp_path, ending):
    """Cut off, and with bytes changed at random: either it can be read, or the error is one line about the file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels(3, 40, 40)).save(buffer, {"jpg": "jpeg"}.get(ending, ending))
    whole, random, said = buffer.getvalue(), np.random.default_rng(0), []
    path = tmp_path / f"image.{ending}"
    for trial in range(120):
        content = np.frombuffer(whole, np.uint8).copy()
        if trial % 2:
            at = random.integers(0, min(len(content), 400), 4)
            content[at] = random.integers(0, 256, 4)
        else:
            content = content[: random.integers(0, len(content))]
        path.write_bytes(content.tobytes())
        try:
            with without_warnings():
                assert COLOUR.read(path).shape == (3, 12, 12)
        except InputError as error:
            said.append(str(error))
    assert len(said) > 30
    for line in said:
        assert f"{path} is no image, or a damaged one" in line
        assert "\n" not in line
