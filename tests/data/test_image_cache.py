"""The cache of decoded images: written once and whole, where there is room, and mapped into memory."""

import os
import shutil
import threading
import time
from collections import namedtuple
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from own_images import many, open_folder, write_images

from vaelab.data import mapped
from vaelab.data.batches import Batches, IndexedImages
from vaelab.data.binarize import drawer
from vaelab.data.decode import ImageFormat
from vaelab.data.image_cache import CachedSource, Contents, obtain
from vaelab.data.mapped import CHUNK_BYTES, convert
from vaelab.errors import InputError, RunFailed


class Numbers(CachedSource):
    """Images whose pixels are their number, in a few chunks; counts how often they were made."""

    def __init__(self, folder: Path, count: int = 40, side: int = 8, pause: float = 0.0, chunks: int = 4) -> None:
        self.pieces = chunks
        self.name, self.beside, self.key = "numbers", folder, "numbers-1"
        self.shape, self.count, self.pause, self.made = (1, side, side), count, pause, 0

    def chunks(self, folder: Path) -> Iterable[tuple[Sequence[int], np.ndarray]]:
        self.made += 1
        for rows in np.array_split(np.arange(self.count), self.pieces):
            time.sleep(self.pause)
            yield rows.tolist(), np.broadcast_to(rows[:, None, None, None].astype(np.uint8), (len(rows), *self.shape))

    def contents(self, kept: Sequence[int]) -> Contents:
        return Contents({"train": len(kept) - 10, "val": 0, "test": 10}, [0] * len(kept))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_cache_is_made_once_and_numpy_opens_it(tmp_path):
    source = Numbers(tmp_path)
    first, second = obtain(source), obtain(source)
    assert source.made == 1
    assert first.path == tmp_path / ".vaelab" / "numbers-1.npy"
    assert files(tmp_path) == ["numbers-1.json", "numbers-1.npy"]
    for images in (first.images.array, second.images.array, np.load(first.path)):
        np.testing.assert_array_equal(images[:, 0, 0, 0], np.arange(40))


def test_jobs_that_start_together_make_it_once(tmp_path):
    source, found = Numbers(tmp_path, pause=0.05), []
    jobs = [threading.Thread(target=lambda: found.append(obtain(source))) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert len(found) == 4
    assert source.made == 1
    assert files(tmp_path) == ["numbers-1.json", "numbers-1.npy"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("wrong")])
def test_a_cache_that_is_not_complete_does_not_exist(tmp_path, monkeypatch, error):
    source = Numbers(tmp_path)
    chunks = list(source.chunks(tmp_path))

    def interrupted(folder: Path):
        yield chunks[0]
        raise error

    monkeypatch.setattr(source, "chunks", interrupted)
    with pytest.raises(type(error)):
        obtain(source)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damaged", ["numbers-1.npy", "numbers-1.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"cut"])
def test_a_damaged_cache_is_replaced(tmp_path, caplog, damaged, content):
    source = Numbers(tmp_path)
    path = obtain(source).path.with_name(damaged)
    path.write_bytes(path.read_bytes()[:500] if content == b"cut" and damaged.endswith("npy") else content)
    np.testing.assert_array_equal(obtain(source).images.array[:, 0, 0, 0], np.arange(40))
    assert "is damaged and replaced" in caplog.text
    assert source.made == 2


def test_a_cache_goes_elsewhere_where_the_folder_of_the_images_is_closed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    photos, other = tmp_path / "a" / "photos", tmp_path / "b" / "photos"
    for folder in (photos, other):
        folder.mkdir(parents=True)
        (folder / ".vaelab").touch()  # no folder can be made here, not even by root
    places = [obtain(Numbers(folder)).path for folder in (photos, other)]
    assert places[0] != places[1]  # two folders of one name
    for place in places:
        assert place.is_relative_to(tmp_path / "home" / "vaelab")


def test_a_cache_goes_where_it_is_told(tmp_path):
    (tmp_path / "photos").mkdir()
    source = Numbers(tmp_path / "photos")
    assert obtain(source, str(tmp_path / "scratch")).path.is_relative_to(tmp_path / "scratch")
    obtain(source, str(tmp_path / "scratch"))
    assert source.made == 1
    assert list((tmp_path / "photos").iterdir()) == []


def test_a_disk_without_room_is_said_before_anything_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("Usage", "free")(1_000))
    source = Numbers(tmp_path)
    with pytest.raises(RunFailed, match=r"no place for the 0\.0 GB .* has 0\.0 GB free; .*data\.cache="):
        obtain(source)
    assert source.made == 0
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_is_said_and_nothing_stays(tmp_path, monkeypatch):
    source = Numbers(tmp_path)
    chunks = list(source.chunks(tmp_path))

    def filling(folder: Path):
        yield chunks[0]
        raise OSError(28, "No space left on device")  # what the file's write raises

    monkeypatch.setattr(source, "chunks", filling)
    with pytest.raises(RunFailed, match=r"no place for .* No space left on device; make room, or .*data\.cache="):
        obtain(source)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_full_disk_is_an_error_of_the_write(tmp_path, monkeypatch):
    """The cache is written, not mapped: on a full disk a mapping would kill the process."""
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *mode: real(Path("/dev/full") if ".part" in path.name else path, *mode)
    )
    with pytest.raises(RunFailed, match="No space left on device"):
        obtain(Numbers(tmp_path))


def test_other_options_and_other_content_have_caches_of_their_own(tmp_path, monkeypatch):
    root = write_images(tmp_path / "photos", *many(12))
    open_folder(root)
    open_folder(root, size=6)
    assert len(files(root / ".vaelab")) == 4
    with monkeypatch.context() as patch:
        patch.setattr(ImageFormat, "read", lambda *_: pytest.fail("decoded again"))
        open_folder(root)
        open_folder(root, size=6)
    before = files(root / ".vaelab")
    write_images(root, "new.png", first=50)
    assert len(open_folder(root).contents.labels) == 13
    after = files(root / ".vaelab")
    assert len(after) == 4  # the former content of this size is gone, and the other size is there
    assert len(set(before) & set(after)) == 2


# ---- mapped into memory --------------------------------------------------------------------------------------


def test_the_parts_of_a_set_are_views_of_the_file(tmp_path):
    data = open_folder(write_images(tmp_path, *many(40)))
    begin = data.image_set.train_images.data_ptr()
    end = begin + 40 * 3 * 12 * 12
    for images in data.sets.values():
        assert begin <= images.images.data_ptr() < end


@pytest.mark.parametrize("binarize", ["static", "dynamic"])
def test_images_in_a_file_are_drawn_into_a_file_and_as_in_memory(tmp_path, binarize):
    data = open_folder(write_images(tmp_path, *many(40)), binarize=binarize, val=6)
    for part, (which, images) in enumerate(data.sets.items()):
        assert images.file is not None
        if which == "train" and binarize == "dynamic":
            continue
        grey = {"train": data.image_set.train_images[:30], "val": data.image_set.train_images[30:],
                "test": data.image_set.test_images}[which]  # fmt: skip
        assert torch.equal(images.images, drawer(part)(grey.clone()))
    assert files(tmp_path / ".vaelab") == sorted(f"{data.source().key}.{ending}" for ending in ("json", "npy"))


def test_what_is_drawn_does_not_depend_on_the_chunks(monkeypatch):
    images = torch.randint(0, 256, (50, 1, 5, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = drawer(1)(images)
    monkeypatch.setattr("vaelab.data.mapped.CHUNK_BYTES", 75)
    assert torch.equal(whole, convert(images, drawer(1), None)[0])
    assert CHUNK_BYTES != 75
    assert convert(images[:0], torch.neg, None)[0].shape == (0, 1, 5, 5)


@pytest.mark.parametrize("kept", [0, mapped.KEPT_BYTES])
@pytest.mark.parametrize("rows", [slice(None), slice(10, 33), slice(7, 7)])
def test_a_batch_is_the_images_with_these_numbers(tmp_path, monkeypatch, kept, rows):
    """Of all images and of a part, from memory and, for a large set, from the file."""
    monkeypatch.setattr(mapped, "KEPT_BYTES", kept)
    images = obtain(Numbers(tmp_path)).images
    labels = torch.arange(40)[rows]
    seen = list(Batches(IndexedImages(images.tensor[rows], labels, images), 7, 0))
    assert sum(len(y) for _, y in seen) == len(labels)
    for x, y in seen:
        assert torch.equal(x.long(), y[:, None, None, None].expand_as(x))


def test_a_file_that_becomes_shorter_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "KEPT_BYTES", 0)
    cache = obtain(Numbers(tmp_path))
    os.truncate(cache.path, 1_000)
    with pytest.raises(OSError, match="became shorter"):
        cache.images.gather(cache.images.tensor, torch.tensor([39]))


@pytest.mark.parametrize("kept", [0, mapped.KEPT_BYTES])
def test_some_classes_of_a_folder_stay_in_a_file(tmp_path, monkeypatch, kept):
    monkeypatch.setattr(mapped, "KEPT_BYTES", kept)
    root = write_images(tmp_path, *many(30, "a/{}.png"), *many(30, "b/{}.png"), *many(30, "c/{}.png"))
    data, some = open_folder(root), open_folder(root, classes=[0, 2], val=6)
    for part in ("train", "test"):
        labels = getattr(data.image_set, f"{part}_labels")
        expected = getattr(data.image_set, f"{part}_images")[labels != 1]
        sets = [some.sets["train"], some.sets["val"]] if part == "train" else [some.sets["test"]]
        found = torch.cat([images[torch.arange(len(images))][0] for images in sets])
        assert torch.equal(found, expected)
        assert all(images.file is not None for images in sets)
    assert len(files(root / ".vaelab")) == 2


def resident() -> int:
    """The resident set of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_the_resident_set_does_not_grow_with_the_images(tmp_path, monkeypatch):
    """Neither while they are written, nor over an epoch, nor while they are drawn; 128 MB of images."""
    monkeypatch.setattr(mapped, "KEPT_BYTES", 0)
    source = Numbers(tmp_path, count=2_048, side=256, chunks=64)
    before, highest = resident(), 0
    cache = obtain(source)
    images = IndexedImages(cache.images.tensor, torch.arange(2_048), cache.images)
    for x, _ in Batches(images, 32, 0):
        highest = max(highest, resident() - before)
        assert len(x) == 32
    drawn, file = convert(cache.images.tensor, drawer(0), cache.images)
    highest = max(highest, resident() - before)
    for _ in Batches(IndexedImages(drawn, torch.arange(2_048), file), 32):
        highest = max(highest, resident() - before)
    assert highest < 112 * 2**20
