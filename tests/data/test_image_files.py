import numpy as np
import pytest
import torch
from PIL import Image

from vaelab.data import image_files

SHAPE = (1, 28, 28)


@pytest.fixture
def folder(tmp_path):
    grey = np.zeros((28, 28), np.uint8)
    grey[5:20, 10:14] = 200
    Image.fromarray(grey).save(tmp_path / "b.png")
    Image.fromarray(255 - grey).convert("RGB").resize((56, 56), Image.Resampling.NEAREST).save(tmp_path / "a.PNG")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_a_folder_s_images_come_by_name_and_its_other_files_do_not(folder):
    assert [path.name for path in image_files.find([folder])] == ["a.PNG", "b.png"]
    assert image_files.find([folder / "b.png"]) == [folder / "b.png"]


def test_pixels_are_those_of_the_file(folder):
    images = image_files.read([folder / "b.png"], SHAPE)
    assert images.dtype == torch.uint8
    assert images.shape == (1, *SHAPE)
    assert images[0, 0, 6, 11] == 200
    assert int((images > 0).sum()) == 15 * 4


def test_dark_on_light_is_inverted_and_made_smaller(folder, caplog):
    large, plain = (
        image_files.read([folder / name], SHAPE, invert) for name, invert in (("a.PNG", True), ("b.png", 0))
    )
    assert float((large.float() - plain.float()).abs().mean()) < 2
    assert not caplog.records


@pytest.mark.parametrize(("name", "invert"), [("a.PNG", False), ("b.png", True)])
@pytest.mark.parametrize("shape", [SHAPE, (1, 28, 56)])
def test_images_that_seem_inverted_are_reported(folder, caplog, name, invert, shape):
    """Also where they get a margin of background."""
    image_files.read([folder / name], shape, invert)
    assert "is --invert missing, or wrong?" in caplog.text


def test_what_is_transparent_is_background(tmp_path):
    pixels = np.zeros((28, 28, 4), np.uint8)
    pixels[3:9, 3:9] = 255
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    assert int((image_files.read([tmp_path / "clear.png"], SHAPE) > 0).sum()) == 36
    dark = pixels.copy()
    dark[..., :3] = 0
    Image.fromarray(dark).save(tmp_path / "ink.png")
    assert int((image_files.read([tmp_path / "ink.png"], SHAPE, invert=True) > 0).sum()) == 36


def test_sixteen_bits_are_scaled_and_not_cut(tmp_path):
    pixels = np.full((28, 28), 60_000, np.uint16)
    pixels[5:9, 5:9] = 5_000
    Image.fromarray(pixels).save(tmp_path / "scan.png")
    read = image_files.read([tmp_path / "scan.png"], SHAPE)
    assert (int(read.max()), int(read.min())) == (60_000 // 257, 5_000 // 257)
    Image.fromarray(pixels.astype(np.float32) / 65_535).save(tmp_path / "scan.tiff")
    with pytest.raises(ValueError, match="floating-point numbers; save it with 8 or 16 bits"):
        image_files.read([tmp_path / "scan.tiff"], SHAPE)


def test_a_photo_is_turned_as_its_camera_was(tmp_path):
    pixels = np.zeros((28, 28), np.uint8)
    pixels[:, :5] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(pixels).save(tmp_path / "photo.png", exif=exif)
    read = image_files.read([tmp_path / "photo.png"], SHAPE)[0, 0]
    assert int(read[:5].min()) == 255
    assert int(read[5:].max()) == 0


@pytest.mark.parametrize("invert", [False, True])
def test_an_image_keeps_its_aspect_ratio(tmp_path, invert):
    """A wide image gets a margin of background above and below; a square in it stays a square."""
    pixels = np.zeros((56, 112), np.uint8)
    pixels[16:40, 40:64] = 255
    Image.fromarray(255 - pixels if invert else pixels).save(tmp_path / "wide.png")
    read = image_files.read([tmp_path / "wide.png"], SHAPE, invert)[0, 0]
    lit = (read > 127).nonzero()
    high, wide = (lit.amax(0) - lit.amin(0) + 1).tolist()
    assert high == wide == 6
    assert int(read[:7].max()) == int(read[-7:].max()) == 0


def test_pixels_of_zero_and_one_are_refused(tmp_path):
    Image.fromarray(np.eye(28, dtype=np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(ValueError, match=r"mask\.png is brighter than 1 of 255"):
        image_files.read([tmp_path / "mask.png"], SHAPE)


@pytest.mark.parametrize("damage", ["text", "half"])
def test_a_damaged_image_is_named(folder, damage):
    content = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(b"hello" if damage == "text" else content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"b\.png is no image, or a damaged one"):
        image_files.read([folder / "b.png"], SHAPE)


def test_missing_files_and_empty_folders_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"gone\.png: no such file or folder"):
        image_files.find([tmp_path / "gone.png"])
    with pytest.raises(ValueError, match="holds no image"):
        image_files.find([tmp_path])
