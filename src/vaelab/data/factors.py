"""Image sets whose factors of variation are known: shapes, drawn here, and dSprites, read from its file."""

import colorsys
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from vaelab import rng
from vaelab.checks import one_of, whole
from vaelab.data.array_files import read_header
from vaelab.data.contracts import ImageSet
from vaelab.data.datamodule import ImageDataModule, Option
from vaelab.errors import InputError

SEED = 2018  # for the choice of images, which is the same in every run
TEST_SHARE = 6  # one in so many images is a test image

SHAPES = ("triangle", "half disc", "L")  # none of them looks the same after a rotation of less than a full turn
HUES = 6
GREYS = (0.4, 0.6, 0.8, 1.0)  # brightness of shapes in images with one channel
SCALES = (0.12, 0.16, 0.2, 0.24)  # the radius of the circle around a shape, as a share of the image's side
ROTATIONS = 12  # angles, evenly spaced over a full turn
POSITIONS = 8  # positions of the centre on each axis
INNERMOST, OUTERMOST = 0.28, 0.72  # of the positions, as shares of the side: no shape is cut off
CHUNK = 1_000  # images drawn at a time

DSPRITES_FACTORS = ("colour", "shape", "scale", "rotation", "x", "y")
ORIGIN = "the .npz file of https://github.com/google-deepmind/dsprites-dataset"
ROWS = 10_000  # images of a file read at a time


class Shapes(ImageDataModule):
    """One shape on a black background, drawn with smooth edges; every factor of variation is known.

    The factors are independent: the images are distinct combinations of them, drawn at random, the same ones in every
    run. Of grey images the factor ``colour`` is the brightness. The label is the shape.

    **Arguments**
        size: H and W.
        channels: 1 or 3.
        number: of images; one in ``TEST_SHARE`` is a test image.
        options: those of ``ImageDataModule``.
    """

    def __init__(self, size: int = 32, channels: int = 3, number: int = 12_000, **options: Option) -> None:
        super().__init__("shapes", **options)
        self.size = whole("data.size", size, 8)
        self.channels = int(one_of("data.channels", str(channels), ("1", "3")))
        self.number = whole("data.number", number, 2 * TEST_SHARE)
        if self.number > math.prod(self.values.values()):
            raise InputError(
                f"data.number must be at most {math.prod(self.values.values())}, the combinations of the factors, "
                f"got {self.number}"
            )

    @classmethod
    def find_shape(cls, **options: Option) -> list[int]:
        shapes = cls(**options)
        return [shapes.channels, shapes.size, shapes.size]

    @property
    def values(self) -> dict[str, int]:
        """How many values each factor has."""
        colours = HUES if self.channels == 3 else len(GREYS)
        return {
            "shape": len(SHAPES), "colour": colours, "scale": len(SCALES), "rotation": ROTATIONS,
            "x": POSITIONS, "y": POSITIONS,
        }  # fmt: skip

    def read(self) -> ImageSet:
        sizes = tuple(self.values.values())
        chosen = torch.randperm(math.prod(sizes), generator=rng.generator(SEED))[: self.number]
        factors = torch.stack(torch.unravel_index(chosen, sizes), 1)
        images = torch.cat([draw(chunk, self.size, self.channels) for chunk in factors.split(CHUNK)])
        return split(self.name, images, factors, tuple(self.values), "shape")


def split(name: str, images: Tensor, factors: Tensor, names: Sequence[str], label: str) -> ImageSet:
    """An image set from images in a random order; the first ones are test images, the factor ``label`` is the label."""
    test = len(images) // TEST_SHARE
    labels = factors[:, list(names).index(label)]
    return ImageSet(
        name, images[test:], labels[test:], images[:test], labels[:test], factors[test:], factors[:test],
        factor_names=tuple(names),
    )  # fmt: skip


def draw(factors: Tensor, size: int, channels: int) -> Tensor:
    """The images uint8 ``(N, channels, size, size)`` of ``factors`` int64 ``(N, 6)``, in the order of ``Shapes``.

    A pixel's brightness is the share of it that the shape covers, estimated by the distance of its centre to the edge.
    """
    shape, colour, scale, rotation, x, y = factors.unbind(1)
    radius = size * torch.tensor(SCALES)[scale]
    angle = 2 * math.pi / ROTATIONS * rotation
    positions = size * torch.linspace(INNERMOST, OUTERMOST, POSITIONS)
    centres = torch.arange(size) + 0.5
    right = (centres - positions[x, None])[:, None, :].expand(-1, size, -1)
    down = (centres - positions[y, None])[:, :, None].expand(-1, -1, size)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    u, v = cos * right + sin * down, cos * down - sin * right  # in the axes of the shape
    coverage = (0.5 - _distance(u, v, radius[:, None, None], shape)).clamp(0, 1)
    return (255 * _colours(channels)[colour][:, :, None, None] * coverage[:, None]).round().to(torch.uint8)


def _distance(u: Tensor, v: Tensor, radius: Tensor, shape: Tensor) -> Tensor:
    """How far a point is outside of its shape, in pixels: ``(N, H, W)``."""
    r = radius
    half, height = 0.55 * r, 1.75 * r  # of the triangle's base, and of the triangle
    side = (height * u.abs() - half * (v + 0.95 * r)) / torch.hypot(half, height)
    triangle = torch.maximum(v - 0.8 * r, side)
    half_disc = torch.maximum(torch.hypot(u, v + 0.4 * r) - 0.9 * r, -v - 0.4 * r)
    bar = _box(u + 0.4 * r, v, 0.25 * r, 0.75 * r)
    foot = _box(u, v - 0.5 * r, 0.65 * r, 0.25 * r)
    every = torch.stack([triangle, half_disc, torch.minimum(bar, foot)], 1)
    return every[torch.arange(len(shape)), shape]


def _box(u: Tensor, v: Tensor, width: Tensor, height: Tensor) -> Tensor:
    return torch.maximum(u.abs() - width, v.abs() - height)


def _colours(channels: int) -> Tensor:
    """The colours ``(values, channels)`` in [0, 1]."""
    if channels == 1:
        return torch.tensor(GREYS)[:, None]
    return torch.tensor([colorsys.hsv_to_rgb(hue / HUES, 1, 1) for hue in range(HUES)])


class DSprites(ImageDataModule):
    """dSprites: 737,280 binary images of 64 x 64 pixels, one for each combination of five factors.

    The label is the shape. Of the file only the chosen images are kept in memory.

    **References**
        dSprites: Disentanglement testing Sprites dataset (Matthey et al., 2017).

    **Arguments**
        root: the file ``dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz``.
        number: how many of the images, drawn at random, the same ones in every run; None for all.
        options: those of ``ImageDataModule``.
    """

    def __init__(self, root: str | None = None, number: int | None = 60_000, **options: Option) -> None:
        super().__init__("dsprites", **options)
        if root is None:
            raise InputError(f"data=dsprites has no download: give data.root, {ORIGIN}")
        self.root = Path(str(root)).expanduser()
        self.number = None if number is None else whole("data.number", number, 2 * TEST_SHARE)

    def read(self) -> ImageSet:
        if not self.root.is_file():
            raise InputError(f"data.root={self.root}: there is no such file; give {ORIGIN}")
        try:
            with zipfile.ZipFile(self.root) as archive:
                factors = _read_all(archive, "latents_classes").long()
                chosen = torch.randperm(len(factors), generator=rng.generator(SEED))[: self.number]
                images = _read_rows(archive, "imgs", chosen, len(factors))
        except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
            raise InputError(f"{self.root} is not the file of dSprites, or damaged: {error}") from error
        if images.dim() != 3 or factors.dim() != 2 or factors.shape[1] != len(DSPRITES_FACTORS):
            raise InputError(
                f"{self.root} is not the file of dSprites: expected imgs (N, H, W) and latents_classes (N, 6), got "
                f"{(len(factors), *images.shape[1:])} and {tuple(factors.shape)}"
            )
        return split(self.name, images[:, None] * 255, factors[chosen], DSPRITES_FACTORS, "shape")


def _read_all(archive: zipfile.ZipFile, name: str) -> Tensor:
    with archive.open(f"{name}.npy") as file:
        return torch.from_numpy(np.lib.format.read_array(file, allow_pickle=False))


def _read_rows(archive: zipfile.ZipFile, name: str, rows: Tensor, total: int) -> Tensor:
    """The ``rows`` of an array uint8 in ``archive``, in their order, without the whole array in memory.

    **Raises**
        ValueError: it is no such array, or has not ``total`` rows.
    """
    with archive.open(f"{name}.npy") as file:
        shape = _header(file)
        if shape[:1] != (total,):
            raise ValueError(f"it has {shape[0] if shape else 0} images and {total} rows of latents_classes")
        kept, row_bytes = torch.empty(len(rows), *shape[1:], dtype=torch.uint8), math.prod(shape[1:])
        for first in range(0, shape[0], ROWS):
            count = min(ROWS, shape[0] - first)
            data = file.read(count * row_bytes)
            if len(data) < count * row_bytes:
                raise EOFError(f"{name} ends after {first * row_bytes + len(data)} bytes")
            chunk = torch.from_numpy(np.frombuffer(bytearray(data), np.uint8)).view(count, *shape[1:])
            here = ((rows >= first) & (rows < first + count)).nonzero().squeeze(1)
            kept[here] = chunk[rows[here] - first]
    return kept


def _header(file: IO[bytes]) -> tuple[int, ...]:
    """The shape of the array uint8 whose rows follow in ``file``."""
    shape, is_fortran, dtype = read_header(file)
    if is_fortran or dtype != np.uint8:
        raise ValueError(f"expected an array of uint8 row by row, got {dtype}")
    return shape
