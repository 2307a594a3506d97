"""A folder of image files as an image set: what is found, how it is split, and what is wrong with it."""

import os
import shutil

import numpy as np
import pytest
import torch
from own_images import many, open_folder, pixels, write_images
from PIL import Image

from vaelab.data import image_sources
from vaelab.data.decode import ImageFormat
from vaelab.data.folder import FolderImages
from vaelab.data.folder_scan import scan
from vaelab.errors import InputError

FORM = ImageFormat(3, 12, 12)


def images_by_origin(data: FolderImages) -> dict[str, torch.Tensor]:
    """Each image of the set by the path that it is from."""
    images = torch.cat([data.image_set.train_images, data.image_set.test_images])
    return dict(zip(data.contents.origins, images, strict=True))


def test_every_image_is_that_of_its_file(tmp_path):
    names = [*many(20), "deep/er/still/a.png", "deep/b.PNG", "other.txt.png"]
    data = open_folder(write_images(tmp_path, *names))
    found = images_by_origin(data)
    assert sorted(found) == sorted(names)
    for number, name in enumerate(names):
        assert torch.equal(found[name], torch.from_numpy(pixels(number).transpose(2, 0, 1).copy())), name


def test_files_that_are_no_images_or_hidden_are_left_out(tmp_path):
    write_images(tmp_path, *many(8), ".hidden.png", ".cache/a.png", "__MACOSX/b.png")
    (tmp_path / "notes.txt").write_text("text")
    assert sorted(open_folder(tmp_path).contents.origins) == many(8)


def test_links_to_folders_are_followed_once(tmp_path):
    write_images(tmp_path / "elsewhere", *many(3))
    root = write_images(tmp_path / "root", "a/1.png", "a/2.png")
    (root / "b").symlink_to(tmp_path / "elsewhere")
    (root / "a" / "loop").symlink_to(root)
    assert len(open_folder(root).contents.origins) == 5


def test_a_folder_that_cannot_be_read_is_not_left_out(tmp_path, monkeypatch):
    """Permissions do not bind root, so the system's answer is written here."""
    root, real = write_images(tmp_path, *many(8), "closed/a.png"), os.scandir

    def refuse(folder: str) -> object:
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied", folder)
        return real(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"the folder .*closed cannot be read: Permission denied"):
        scan(root, 0.1, 0)


def test_subfolders_are_classes(tmp_path):
    write_images(tmp_path, *many(6, "dog/{}.png"), *many(6, "cat/deep/{}.png"))
    data = open_folder(tmp_path)
    assert data.contents.classes == ["cat", "dog"]
    for name, label in zip(data.contents.origins, data.contents.labels, strict=True):
        assert label == ["cat", "dog"].index(name.split("/")[0])


def test_images_beside_subfolders_have_no_classes(tmp_path, caplog):
    caplog.set_level("INFO", "vaelab")
    data = open_folder(write_images(tmp_path, *many(6, "dog/{}.png"), *many(6)))
    assert set(data.contents.labels) == {0}
    assert "the subfolders are not taken as classes" in caplog.text


def test_folders_of_the_parts_are_taken_as_they_are(tmp_path, caplog):
    write_images(tmp_path, *many(8, "Train/a/{}.png"), *many(3, "valid/a/{}.png"), *many(5, "test/a/{}.png"), "x.png")
    data = open_folder(tmp_path, train=6)
    assert [len(data.sets[part]) for part in ("train", "val", "test")] == [6, 3, 5]
    origins = data.contents.origins
    assert all(name.startswith("Train") for name in origins[:8])
    assert all(name.startswith("valid") for name in origins[8:11])
    assert all(name.startswith("test") for name in origins[11:])
    assert "1 images outside the folders train, val and test are not used" in caplog.text
    with pytest.raises(InputError, match=r"data\.val=2: .* has 3 validation images of its own; take data\.val=null"):
        open_folder(tmp_path, val=2)


@pytest.mark.parametrize(("has", "lacks"), [("val", "test"), ("test", "val")])
def test_a_part_without_a_folder_is_split_off_the_training_images(tmp_path, has, lacks):
    write_images(tmp_path, *many(20, "train/{}.png"), *many(3, has + "/{}.png"), first=0)
    data = open_folder(tmp_path, test_share=0.2)
    sizes = {part: len(images) for part, images in data.sets.items()}
    assert sizes[has] == 3
    assert sizes[lacks] == (4 if lacks == "test" else 2)
    assert sum(sizes.values()) == 23


def test_the_split_depends_on_paths_and_seed_alone(tmp_path):
    """Not on the order of the files in the folder, on the place of the folder, or on the other files."""
    first = write_images(tmp_path / "first", *many(200))
    second = write_images(tmp_path / "second", *reversed(many(200)))

    def tests(root, seed: int = 0) -> set[str]:
        listing = scan(root, 0.2, seed)
        return {file.path for file, part in zip(listing.files, listing.parts, strict=True) if part == "test"}

    assert len(tests(first)) == 40
    assert tests(first) == tests(second)
    assert len(tests(first) & tests(first, 1)) < 30
    for name in many(10):
        (second / name).unlink()
    assert len(tests(first) & tests(second)) >= 30  # the others keep their parts, but for a few


def test_the_split_is_no_pattern_of_the_names(tmp_path):
    """Within a part the order is random too, so that the validation images at its end are of all classes."""
    data = open_folder(write_images(tmp_path, *many(100, "a/{:03d}.png"), *many(100, "b/{:03d}.png")), val=40)
    for part in ("train", "val", "test"):
        share = data.sets[part].labels.float().mean()
        assert 0.2 < share < 0.8, part


def test_an_option_in_words_says_how_many_validate(tmp_path):
    root = write_images(tmp_path, *many(40))
    assert len(open_folder(root).sets["val"]) == 4  # a tenth of 36
    assert len(open_folder(root, val=7).sets["val"]) == 7
    assert len(open_folder(root, val=0).sets["val"]) == 0


@pytest.mark.parametrize(("size", "channels", "shape"), [(8, 3, [3, 8, 8]), ([6, 9], 1, [1, 6, 9])])
def test_the_shape_follows_from_the_options(tmp_path, size, channels, shape):
    assert FolderImages.find_shape(root="nowhere", size=size, channels=channels) == shape
    data = open_folder(write_images(tmp_path, *many(6)), size=size, channels=channels)
    assert list(data.image_set.train_images.shape[1:]) == data.shape == shape


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"root": None}, r"data\.root is missing.*data\.root=photos"),
        ({"root": "nowhere"}, r"data\.root=nowhere is no folder"),
        ({"size": None}, r"data\.size is missing.*data\.size=64"),
        ({"size": 0}, r"data\.size must be a whole number of at least 1, got 0"),
        ({"size": "64"}, r"data\.size must be a whole number of at least 1, got '64'"),
        ({"size": [8, 8, 3]}, r"data\.size must be a whole number, or \[height,width\]"),
        ({"channels": 2}, r"data\.channels must be 1 \(grey\) or 3 \(colour\), got 2"),
        ({"crop": "middle"}, r"data\.crop must be one of center, none"),
        ({"background": "red"}, r"data\.background must be one of black, white"),
        ({"test_share": 1.5}, r"data\.test_share is a share of the images, below 1"),
        ({"shape": [1, 12, 12]}, r"data\.shape=\[1,12,12\] is not the shape .* take data\.shape=\[3,12,12\]"),
    ],
)
def test_a_wrong_option_is_named(tmp_path, options, says):
    with pytest.raises(InputError, match=says):
        open_folder(write_images(tmp_path, *many(8)), **options)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([], r"holds no image \(\.png.*\)$"),
        (["notes.txt", "a.heic", "b.heic"], r"holds no image .*, but other files: 2 \.heic, 1 \.txt"),
        (["one.png"], "holds one training image: at least two are needed"),
        (["val/a.png", "a.png"], "has a folder of val images but none of training images: name it .*/train"),
        (["train/a/1.png", "train/a/2.png", "test/b/1.png"], "the class folder 'b' has .* but no training images"),
    ],
)
def test_a_folder_without_a_set_is_explained(tmp_path, names, says):
    for name in names:
        if name.endswith("png"):
            write_images(tmp_path, name)
        else:
            (tmp_path / name).touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=says):
        open_folder(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def damage(root) -> None:
    (root / "text.png").write_text("hello")
    whole = (root / "000.png").read_bytes()
    (root / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "gone.png").symlink_to(root / "nowhere.png")
    Image.fromarray(pixels(0, 60, 60)).save(root / "cut.jpg")
    (root / "cut.jpg").write_bytes((root / "cut.jpg").read_bytes()[:900])


def test_unreadable_files_are_listed_and_skipped_only_if_asked(tmp_path, caplog, monkeypatch):
    root = write_images(tmp_path / "photos", *many(10))
    damage(root)
    for _ in range(2):  # also from the cache, without decoding all again
        with pytest.raises(InputError, match=r"4 of 14 files in .*photos are no images") as raised:
            open_folder(root)
        message = str(raised.value)
        for name in ("cut.jpg (", "cut.png (", "gone.png (", "text.png ("):
            assert name in message
        assert "data.skip_unreadable=true" in message
        monkeypatch.setattr(ImageFormat, "read", lambda *_: pytest.fail("decoded again"))
    data = open_folder(root, skip_unreadable=True)
    assert [len(images) for images in data.sets.values()] == [8, 1, 1]  # the split is one of the readable images
    assert "4 of 14 files" in caplog.text
    assert sorted(images_by_origin(data)) == many(10)


def test_several_processes_decode_what_one_does_and_leave_torchs_noise(tmp_path, monkeypatch):
    root = write_images(tmp_path / "photos", *many(20))
    damage(root)
    alone = open_folder(root, skip_unreadable=True, cache=str(tmp_path / "alone"))
    monkeypatch.setattr(image_sources, "PARALLEL", 1)
    monkeypatch.setattr(image_sources, "PART", 3)
    monkeypatch.setattr(image_sources, "_processors", lambda: 2)
    before = torch.get_rng_state()
    several = open_folder(root, skip_unreadable=True, cache=str(tmp_path / "several"))
    assert torch.equal(torch.get_rng_state(), before)
    assert several.contents == alone.contents
    assert len(several.contents.unreadable) == 4
    assert torch.equal(several.image_set.train_images, alone.image_set.train_images)


def test_a_folder_of_nothing_readable_is_an_error_that_leaves_nothing(tmp_path):
    for name in many(3):
        (tmp_path / name).write_text("hello")
    with pytest.raises(InputError, match=r"no image in .* can be read: 000\.png \(cannot identify image file\), 001"):
        open_folder(tmp_path, skip_unreadable=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == many(3)


def test_duplicates_between_training_and_test_are_counted(tmp_path, caplog):
    write_images(tmp_path, *many(8, "train/{}.png"), *many(2, "val/{}.png"))
    write_images(tmp_path, *many(5, "test/{}.png"), first=100)
    shutil.copy(tmp_path / "train/3.png", tmp_path / "test/copy.png")
    Image.open(tmp_path / "val/1.png").save(tmp_path / "test/the-same.bmp")
    data = open_folder(tmp_path)
    assert data.contents.duplicates == 2
    assert "2 of the 7 test images" in caplog.text


def test_what_identifies_the_images_is_not_when_they_were_written(tmp_path):
    root = write_images(tmp_path, *many(12))
    before = open_folder(root).describe()
    assert len(before["content"]) == 12
    for file in root.glob("*.png"):
        os.utime(file, (0, 0))
    assert open_folder(root).describe() == before
    write_images(root, "000.png", first=77)
    assert open_folder(root).describe() != before


def test_grey_images_in_colour_are_reported(tmp_path, caplog):
    caplog.set_level("INFO", "vaelab")
    tmp_path.joinpath("x").mkdir()
    for name in many(6):
        Image.fromarray(pixels(3)[..., 0]).save(tmp_path / "x" / name)
    data = open_folder(tmp_path / "x")
    assert "data.channels=1" in caplog.text
    images = data.image_set.train_images
    np.testing.assert_array_equal(images[:, 0].numpy(), images[:, 2].numpy())


def test_masks_of_zero_and_one_become_black_and_white(tmp_path, caplog):
    for number, name in enumerate(many(8)):
        Image.fromarray(pixels(number)[..., 0] % 2).save(tmp_path / name)
    data = open_folder(tmp_path, channels=1)
    assert data.sets["train"].images.unique().tolist() == data.sets["test"].images.unique().tolist() == [0, 255]
    assert "were multiplied by 255" in caplog.text
