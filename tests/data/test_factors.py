"""Image sets with known factors: drawn shapes against what is measured in the images, and a file like dSprites."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from vaelab.data import factors as module
from vaelab.data.contracts import ImageSet, check_image_set, keep_classes
from vaelab.data.factors import DSprites, Shapes, draw
from vaelab.errors import InputError

OPTIONS = {"batch_size": 50, "eval_batch_size": 100, "val": 50}


def shapes(**options: object) -> Shapes:
    data = Shapes(**{**OPTIONS, "number": 600, **options})
    data.setup()
    return data


@pytest.mark.parametrize(("size", "channels"), [(32, 3), (17, 1), (64, 3)])
def test_shapes_have_the_size_and_the_factors_that_were_asked_for(size, channels):
    data = shapes(size=size, channels=channels)
    assert data.shape == [channels, size, size] == Shapes.find_shape(size=size, channels=channels, **OPTIONS)
    assert [len(data.sets[which]) for which in ("train", "val", "test")] == [450, 50, 100]
    images = data.image_set
    assert images.factor_names == ("shape", "colour", "scale", "rotation", "x", "y")
    every = torch.cat([images.train_factors, images.test_factors])
    assert len(every.unique(dim=0)) == 600
    assert every.max(0).values.tolist() == [count - 1 for count in data.values.values()]
    for which in ("train", "val", "test"):
        assert torch.equal(data.factors(which)[:, 0], data.sets[which].labels)
    assert torch.equal(shapes(size=size, channels=channels).image_set.train_images, images.train_images)


def moments(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The area ``(N,)`` and the centre of mass ``(N, 2)``, x and y, of images ``(N, C, H, W)``, in pixels."""
    light = images.double().amax(1) / 255
    area, axis = light.sum((1, 2)), torch.arange(light.shape[-1]) + 0.5
    return area, torch.stack([(light.sum(1) * axis).sum(1), (light.sum(2) * axis).sum(1)], 1) / area[:, None]


def changed(start: tuple[int, ...], factor: int, values: int) -> torch.Tensor:
    """Images of 64 x 64 pixels whose factors are ``start``, except that one goes through its values."""
    table = torch.tensor(start).repeat(values, 1)
    table[:, factor] = torch.arange(values)
    return draw(table, 64, 3)


@pytest.mark.parametrize("shape", range(3))
def test_each_factor_changes_what_it_is_named_after(shape):
    start = (shape, 0, 3, 0, 3, 3)
    step = 64 * (module.OUTERMOST - module.INNERMOST) / (module.POSITIONS - 1)
    for factor, axis in ((4, 0), (5, 1)):
        area, centre = moments(changed(start, factor, module.POSITIONS))
        assert torch.allclose(centre.diff(dim=0)[:, axis], torch.tensor(step, dtype=torch.float64), atol=0.02)
        assert float(centre[:, 1 - axis].std()) < 0.02
        assert float(area.std() / area.mean()) < 0.01
    area, _ = moments(changed(start, 2, len(module.SCALES)))
    expected = torch.tensor(module.SCALES, dtype=torch.float64).square()
    assert torch.allclose(area / area[-1], expected / expected[-1], rtol=0.05, atol=0)
    pixels = changed(start, 1, module.HUES).flatten(2).amax(2)
    assert len(pixels.unique(dim=0)) == module.HUES


@pytest.mark.parametrize("shape", range(3))
def test_a_rotation_keeps_the_area_and_no_two_rotations_look_the_same(shape):
    images = changed((shape, 0, 3, 0, 3, 3), 3, module.ROTATIONS)
    area, centre = moments(images)
    assert float(area.std() / area.mean()) < 0.01
    middle = 64 * (module.INNERMOST + 3 / (module.POSITIONS - 1) * (module.OUTERMOST - module.INNERMOST))
    offset = centre - middle
    turned = torch.atan2(offset[:, 1], offset[:, 0]).diff() % (2 * math.pi)
    if float(offset.norm(dim=1).min()) > 0.5:  # the centre of mass turns with the shape
        assert torch.allclose(turned, torch.full_like(turned, 2 * math.pi / module.ROTATIONS), atol=0.1)
    light = images.double().amax(1).flatten(1) / 255
    distances = torch.cdist(light, light, p=1) + torch.eye(len(light)) * 1e9
    assert float(distances.min()) > 0.2 * float(area.mean())


def test_edges_are_smooth_and_areas_exact():
    """The half disc of radius 0.9 r covers pi (0.9 r)^2 / 2 pixels; edges take the values between."""
    (area,), _ = moments(draw(torch.tensor([[1, 0, 3, 1, 3, 3]]), 64, 1) * 2.5)
    assert float(area) == pytest.approx(math.pi * (0.9 * module.SCALES[3] * 64) ** 2 / 2, rel=0.02)
    assert len(draw(torch.tensor([[1, 0, 3, 1, 3, 3]]), 64, 3).unique()) > 20


def test_no_shape_is_cut_off():
    extremes = torch.cartesian_prod(*map(torch.tensor, ([0, 1, 2], [0], [3], [*range(12)], [0, 7], [0, 7])))
    images = draw(extremes, 32, 3)
    assert not images[..., [0, -1], :].any()
    assert not images[..., [0, -1]].any()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"number": 55_297}, "data.number must be at most 55296, the combinations"),
        ({"number": 40_000, "channels": 1}, "at most 36864"),
        ({"channels": 2}, "data.channels must be one of 1, 3, got '2'"),
        ({"size": 4}, "data.size must be a whole number of at least 8"),
    ],
)
def test_shapes_that_cannot_be_are_one_line(options, says):
    with pytest.raises(InputError, match=says):
        shapes(**options)


# ---- dSprites --------------------------------------------------------------------------------------------------


def write_dsprites(path: Path, **changes: np.ndarray) -> dict[str, np.ndarray]:
    """A small file in the format of dSprites: one sprite of 4 x 5 pixels for each combination of the factors."""
    classes = np.stack(np.meshgrid([0], *map(np.arange, (3, 2, 4, 3, 2)), indexing="ij"), -1).reshape(-1, 6)
    images = np.random.default_rng(0).integers(0, 2, (len(classes), 4, 5), np.uint8)
    arrays = {"metadata": np.array({"title": "pickled"}), "imgs": images, "latents_classes": classes, **changes}
    np.savez_compressed(path, **arrays)
    return arrays


@pytest.mark.parametrize("number", [None, 60])
def test_the_file_of_dsprites_is_read_in_chunks(tmp_path, monkeypatch, number):
    monkeypatch.setattr(module, "ROWS", 50)
    arrays = write_dsprites(tmp_path / "sprites.npz")
    data = DSprites(str(tmp_path / "sprites.npz"), number=number, batch_size=10, eval_batch_size=10, val=10)
    data.setup()
    images = data.image_set
    assert data.shape == [1, 4, 5]
    count = number or len(arrays["imgs"])
    assert (len(images.train_images), len(images.test_images)) == (count - count // 6, count // 6)
    known = {tuple(row): image for row, image in zip(arrays["latents_classes"], arrays["imgs"], strict=True)}
    for part in ("train", "test"):
        factors = getattr(images, f"{part}_factors")
        for row, image in zip(factors.tolist(), getattr(images, f"{part}_images"), strict=True):
            np.testing.assert_array_equal(image[0].numpy(), 255 * known[tuple(row)])
        assert torch.equal(getattr(images, f"{part}_labels"), factors[:, 1])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"latents_classes": np.zeros((144, 5), np.int64)}, r"expected imgs \(N, H, W\) and latents_classes \(N, 6\)"),
        ({"imgs": np.zeros((144, 4, 5), np.float32)}, "expected an array of uint8"),
        ({"imgs": np.zeros((100, 4, 5), np.uint8)}, "100 images and 144 rows of latents_classes"),
    ],
)
def test_another_file_is_one_line(tmp_path, changes, says):
    write_dsprites(tmp_path / "sprites.npz", **changes)
    with pytest.raises(InputError, match=says):
        DSprites(str(tmp_path / "sprites.npz"), **OPTIONS).setup()


def test_a_missing_or_damaged_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"data=dsprites has no download: give data\.root"):
        DSprites(**OPTIONS)
    with pytest.raises(InputError, match=r"there is no such file; give the \.npz file of https"):
        DSprites(str(tmp_path / "none.npz"), **OPTIONS).setup()
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(InputError, match="is not the file of dSprites, or damaged"):
        DSprites(str(tmp_path / "text.npz"), **OPTIONS).setup()


# ---- the contract ----------------------------------------------------------------------------------------------


def image_set(**changes: object) -> ImageSet:
    images, labels = torch.zeros(6, 1, 4, 4, dtype=torch.uint8), torch.arange(6) % 2
    factors = torch.arange(12).view(6, 2)
    return ImageSet(**{
        "name": "x", "train_images": images, "train_labels": labels, "test_images": images, "test_labels": labels,
        "train_factors": factors, "test_factors": factors + 1, "factor_names": ("a", "b"), **changes,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"test_factors": None}, r"test_factors as int64 \(6, 2\).*got None"),
        ({"train_factors": torch.zeros(5, 2, dtype=torch.int64)}, r"train_factors as int64 \(6, 2\).*\(5, 2\)"),
        ({"train_factors": torch.zeros(6, 2)}, "got float32"),
        ({"factor_names": ("a",)}, r"int64 \(6, 1\)"),
        ({"factor_names": (), "train_factors": torch.zeros(6, dtype=torch.int64)}, r"int64 \(6, F\)"),
        ({"test_factors": torch.full((6, 2), -1)}, "at least 0, got -1"),
    ],
)
def test_factors_are_checked(changes, says):
    check_image_set("read", image_set())
    check_image_set("read", image_set(factor_names=()))
    with pytest.raises(InputError, match=says):
        check_image_set("read", image_set(**changes))


def test_factors_follow_the_classes_and_the_limits_of_a_run():
    data = shapes(classes=[1], train=60, test=20)
    for which in ("train", "val", "test"):
        assert len(data.factors(which)) == len(data.sets[which])
        assert torch.equal(data.factors(which)[:, 0], data.sets[which].labels)


def test_some_classes_keep_their_factors():
    kept = keep_classes(image_set(), [1])
    assert kept.train_factors.tolist() == [[2, 3], [6, 7], [10, 11]]
    assert kept.factor_names == ("a", "b")
    assert kept.test_factors.tolist() == [[3, 4], [7, 8], [11, 12]]
