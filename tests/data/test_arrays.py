"""Arrays of images in .npz, .npy and .pt files: what is found in them, what is asked about, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from bombs import Bomb

from vaelab.data.arrays import ArrayImages
from vaelab.errors import InputError

COUNT = 40
COLOUR = np.random.default_rng(0).integers(0, 256, (COUNT, 3, 6, 8), np.uint8)  # (N, C, H, W)
GREY = COLOUR[:, :1]
LABELS = np.arange(COUNT) % 4


def save(path: Path, **arrays: np.ndarray) -> Path:
    """Write ``arrays`` in the format that the name of ``path`` says; one that holds one array takes ``images``."""
    if path.suffix == ".npy":
        np.save(path, arrays["images"])
    elif path.suffix == ".pt":
        torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    else:
        (np.savez_compressed if path.stem == "compressed" else np.savez)(path, **arrays)
    return path


def open_arrays(path: Path, **options: object) -> ArrayImages:
    data = ArrayImages(**{"root": str(path), "batch_size": 4, "eval_batch_size": 4, **options})
    data.prepare_data()
    data.setup()
    return data


def by_row(data: ArrayImages) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of the set in the order of the file."""
    images = torch.cat([data.image_set.train_images, data.image_set.test_images])
    order = np.argsort(data.contents.origins)
    return images.numpy()[order], np.array(data.contents.labels)[order]


LAYOUTS = {
    "NCHW": (COLOUR, COLOUR),
    "NHWC": (COLOUR.transpose(0, 2, 3, 1), COLOUR),
    "NHW": (GREY[:, 0], GREY),
    "one channel": (GREY, GREY),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64, np.float16])
@pytest.mark.parametrize("file", ["a.npz", "compressed.npz", "a.npy", "a.pt"])
def test_every_image_is_that_of_its_row(tmp_path, layout, kind, file):
    stored, expected = LAYOUTS[layout]
    stored = np.ascontiguousarray(stored if kind is np.uint8 else (stored / 255).astype(kind))
    data = open_arrays(save(tmp_path / file, images=stored))
    images, labels = by_row(data)
    difference = np.abs(images.astype(int) - expected)
    assert difference.max() <= (1 if kind is np.float16 else 0)
    assert set(labels) == {0}
    assert data.shape == ArrayImages.find_shape(**vars_of(data)) == list(expected.shape[1:])
    assert [len(part) for part in data.sets.values()] == [32, 4, 4]


def vars_of(data: ArrayImages) -> dict[str, object]:
    return {"root": str(data.root), "batch_size": 4, "eval_batch_size": 4, "val": None}


def test_the_shape_needs_no_look_at_the_images(tmp_path):
    path = save(tmp_path / "a.npy", images=COLOUR)
    path.write_bytes(path.read_bytes()[:200])  # the header, and little else
    assert ArrayImages.find_shape(**{"root": str(path), "batch_size": 4, "eval_batch_size": 4}) == [3, 6, 8]
    with pytest.raises(InputError, match=r"a\.npy is .*damaged"):
        open_arrays(path)


def test_labels_and_factors_belong_to_their_images(tmp_path):
    factors = np.stack([np.linspace(-1, 1, 5)[np.arange(COUNT) % 5], LABELS * 10], 1)
    data = open_arrays(save(tmp_path / "a.npz", images=COLOUR, labels=LABELS, factors=factors))
    np.testing.assert_array_equal(by_row(data)[1], LABELS)
    found = torch.cat([data.image_set.train_factors, data.image_set.test_factors])
    found = found.numpy()[np.argsort(data.contents.origins)]
    np.testing.assert_array_equal(found, np.stack([np.arange(COUNT) % 5, LABELS], 1))  # in the order of the values


def test_labels_in_words_are_classes(tmp_path):
    names = np.array(["dog", "cat"])[LABELS % 2]
    data = open_arrays(save(tmp_path / "a.npz", x=COLOUR, y=names))
    assert data.contents.classes == ["cat", "dog"]
    np.testing.assert_array_equal(by_row(data)[1], 1 - LABELS % 2)


@pytest.mark.parametrize("names", ["{part}_{kind}", "{kind}_{part}"])
def test_a_file_may_have_parts(tmp_path, names):
    def name(part: str, kind: str) -> str:
        return names.format(part=part, kind=kind)

    arrays = {name("train", "x"): COLOUR[:30], name("train", "y"): LABELS[:30],
              name("test", "x"): COLOUR[30:], name("test", "y"): LABELS[30:]}  # fmt: skip
    data = open_arrays(save(tmp_path / "a.npz", **arrays))
    np.testing.assert_array_equal(data.image_set.test_images.numpy(), COLOUR[30:])  # in the order of the file
    np.testing.assert_array_equal(data.image_set.test_labels.numpy(), LABELS[30:])
    assert [len(part) for part in data.sets.values()] == [27, 3, 10]
    arrays[name("val", "x")], arrays[name("val", "y")] = COLOUR[:5], LABELS[:5]
    data = open_arrays(save(tmp_path / "a.npz", **arrays))
    assert [len(part) for part in data.sets.values()] == [30, 5, 10]


def test_arrays_that_are_sorted_are_split_at_random(tmp_path):
    data = open_arrays(save(tmp_path / "a.npz", images=COLOUR, labels=np.sort(LABELS % 2)), val=12, test_share=0.3)
    for part, images in data.sets.items():
        assert len(images.labels.unique()) == 2, part
    again = open_arrays(tmp_path / "a.npz", val=12, test_share=0.3)
    assert torch.equal(again.sets["test"].images, data.sets["test"].images)
    other = open_arrays(tmp_path / "a.npz", val=12, test_share=0.3, split_seed=1)
    assert not torch.equal(other.sets["test"].images, data.sets["test"].images)


def test_tensors_and_pairs_of_them_are_read(tmp_path):
    images, labels = torch.from_numpy(COLOUR), torch.from_numpy(LABELS)
    for content in (images, (images, labels), [images, labels]):
        torch.save(content, tmp_path / "a.pt")
        found, numbers = by_row(open_arrays(tmp_path / "a.pt"))
        np.testing.assert_array_equal(found, COLOUR)
        assert (len(set(numbers)) > 1) == (content is not images)


def test_arrays_under_other_names_can_be_named(tmp_path):
    path = save(tmp_path / "a.npz", pictures=COLOUR, more=COLOUR[:, :, ::2], kinds=LABELS)
    with pytest.raises(InputError, match=r"has pictures \(40, 3, 6, 8\), more .*: say which .* data\.images="):
        open_arrays(path)
    data = open_arrays(path, images="pictures", labels="kinds")
    np.testing.assert_array_equal(by_row(data)[1], LABELS)
    with pytest.raises(InputError, match=r"data\.labels=kind: .* has no such array, but pictures"):
        open_arrays(path, images="pictures", labels="kind")


def test_duplicates_between_training_and_test_are_counted(tmp_path, caplog):
    arrays = {"x_train": COLOUR[:30], "x_test": np.concatenate([COLOUR[30:], COLOUR[4:7]])}
    assert open_arrays(save(tmp_path / "a.npz", **arrays)).contents.duplicates == 3
    assert "3 of the 13 test images" in caplog.text


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((9, 3, 5, 3), "NCHW"),
        ((9, 3, 5, 3), "NHWC"),
        ((9, 4, 5, 6), "NCHW"),
        ((9, 5, 6, 2), "NHWC"),
        ((9, 8, 3), "NHW"),
    ],
)
def test_an_ambiguous_shape_is_asked_about(tmp_path, shape, layout):
    images = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    path = save(tmp_path / "a.npy", images=images)
    with pytest.raises(InputError, match=rf"a\.npy: images has the shape .*data\.layout={layout}"):
        open_arrays(path)
    found, _ = by_row(open_arrays(path, layout=layout))
    expected = {"NCHW": images, "NHWC": np.moveaxis(images, -1, 1), "NHW": images[:, None]}[layout]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("arrays", "options", "says"),
    [
        ({"images": COLOUR.astype(np.float32)}, {}, r"floats from \S+ to 255: store floats in \[0, 1\], or uint8"),
        ({"images": COLOUR / 127.5 - 1}, {}, r"floats from -1 to 1"),
        ({"images": np.full((6, 5, 5), np.nan)}, {}, "floats from nan to nan"),
        ({"images": COLOUR.astype(np.int64)}, {}, "is of type int64: store uint8"),
        ({"images": GREY[:, 0, 0]}, {}, r"has the shape \(40, 8\): images are arrays \(N, H, W\)"),
        ({"images": COLOUR}, {"layout": "NHW"}, r"data\.layout=NHW does not fit .*\(40, 3, 6, 8\)"),
        ({"images": COLOUR}, {"layout": "HWC"}, r"data\.layout must be one of NHW, NHWC, NCHW"),
        ({"images": COLOUR[:1]}, {}, "holds 1 image"),
        ({"images": COLOUR, "labels": LABELS[:9]}, {}, r"labels has the shape \(9,\), and there are 40 images"),
        ({"images": COLOUR, "labels": np.eye(40)}, {}, r"labels has the shape \(40, 40\)"),
        ({"images": COLOUR, "labels": LABELS - 1}, {}, "labels are whole numbers from 0, or texts"),
        ({"images": COLOUR, "labels": LABELS / 3}, {}, "labels are whole numbers from 0, or texts"),
        ({"images": COLOUR, "x": COLOUR}, {}, r"several arrays that may be images: say which with data\.images=images"),
        (
            {"train_x": COLOUR, "test_x": COLOUR[..., :4]},
            {},
            r"several shapes \(C, H, W\): \(3, 6, 8\) and \(3, 6, 4\)",
        ),
        ({"train_x": COLOUR, "train_y": LABELS, "test_x": COLOUR}, {}, "labels for some of its parts only"),
        ({"labels": LABELS}, {}, r"has labels \(40,\): say which array holds the images"),
    ],
)
def test_what_does_not_fit_is_explained(tmp_path, arrays, options, says):
    path = save(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=says):
        open_arrays(path, **options)
    assert list(tmp_path.iterdir()) == [path]  # nothing is left behind


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.pt"])
@pytest.mark.parametrize("content", [b"", b"hello", b"cut"])
def test_a_damaged_file_is_named(tmp_path, name, content):
    path = save(tmp_path / name, images=COLOUR)
    path.write_bytes(path.read_bytes()[:700] if content == b"cut" else content)
    with pytest.raises(InputError, match=rf"{name} is no .*damaged"):
        open_arrays(path)


@pytest.mark.parametrize("name", ["nowhere.npz", "", "a.txt"])
def test_what_is_no_file_of_arrays_is_refused(tmp_path, name):
    (tmp_path / "a.txt").touch()
    with pytest.raises(InputError, match=r"data\.root=.* (is no file|must end in \.npz, \.npy, \.pt)"):
        open_arrays(tmp_path / name)


def test_code_in_a_file_is_not_run(tmp_path):
    trace = tmp_path / "it-ran"
    torch.save({"images": torch.from_numpy(COLOUR), "more": Bomb(trace)}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="no code in it was run"):
        open_arrays(tmp_path / "a.pt")
    np.savez(tmp_path / "a.npz", images=COLOUR, more=np.array([Bomb(trace)], dtype=object))
    np.testing.assert_array_equal(by_row(open_arrays(tmp_path / "a.npz"))[0], COLOUR)  # objects are left out
    assert not trace.exists()
