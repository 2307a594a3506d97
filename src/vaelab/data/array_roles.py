"""Which arrays of a file are images, labels and factors, and which axes of the images are channels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vaelab.data.array_files import StoredArray
from vaelab.errors import InputError

IMAGES = ("images", "image", "imgs", "x", "X", "data")
LABELS = ("labels", "label", "y", "Y", "targets", "target")
FACTORS = ("factors", "latents_classes", "latents_values")
PARTS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
LAYOUTS = ("NHW", "NHWC", "NCHW")
CHANNELS = (1, 3)  # what the size of an axis must be for it to be taken as channels without being named


@dataclass(frozen=True)
class Roles:
    """The names of the arrays of one part: ``labels`` and ``factors`` are None where there are none."""

    images: str
    labels: str | None
    factors: str | None


def find_roles(path: Path, arrays: Mapping[str, StoredArray], named: Mapping[str, str | None]) -> dict[str, Roles]:
    """The roles of ``arrays`` by part: one part ``all``, or ``train``, perhaps ``val``, and perhaps ``test``.

    **Arguments**
        named: the names that the options ``images``, ``labels`` and ``factors`` give; None for the usual names.

    **Raises**
        InputError: several arrays may be meant, or none.
    """
    for option, name in named.items():
        if name is not None and name not in arrays:
            raise InputError(f"data.{option}={name}: {path} has no such array, but {_listed(arrays)}")
    if named["images"] is None:
        parts = {part: roles for part in PARTS if (roles := _roles_of_part(path, arrays, part)) is not None}
        if "train" in parts:
            return parts
    images = named["images"] or _one(path, arrays, "images", IMAGES) or _only_images(path, arrays)
    labels = named["labels"] or _one(path, arrays, "labels", LABELS)
    factors = named["factors"] or next((name for name in FACTORS if name in arrays), None)
    return {"all": Roles(images, labels, factors)}


def _roles_of_part(path: Path, arrays: Mapping[str, StoredArray], part: str) -> Roles | None:
    def find(role: str, names: tuple[str, ...]) -> str | None:
        pairs = [(word, name) for word in PARTS[part] for name in names]
        return _one(path, arrays, role, tuple(f"{word}_{name}" for word, name in pairs)) or _one(
            path, arrays, role, tuple(f"{name}_{word}" for word, name in pairs)
        )

    images = find("images", IMAGES)
    return None if images is None else Roles(images, find("labels", LABELS), find("factors", FACTORS))


def _one(path: Path, arrays: Mapping[str, StoredArray], role: str, names: tuple[str, ...]) -> str | None:
    found = [name for name in names if name in arrays]
    if len(found) > 1:
        raise InputError(f"{path} has several arrays that may be {role}: say which with data.{role}={found[0]}")
    return found[0] if found else None


def _only_images(path: Path, arrays: Mapping[str, StoredArray]) -> str:
    found = [name for name, array in arrays.items() if len(array.shape) in (3, 4)]
    if len(found) != 1:
        raise InputError(
            f"{path} has {_listed(arrays)}: say which array holds the images with data.images=..., or call it images"
        )
    return found[0]


def _listed(arrays: Mapping[str, StoredArray]) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "no array"


def find_layout(where: str, shape: tuple[int, ...], layout: str | None) -> str:
    """``layout``, or the only one that ``shape`` can have.

    **Raises**
        InputError: ``shape`` can have several, or it does not fit ``layout``.
    """
    if layout is not None:
        if len(shape) != len(layout):
            raise InputError(f"data.layout={layout} does not fit {where}, whose shape is {shape}")
        return layout
    said = f"{where} has the shape {shape}"
    if len(shape) == 3:
        if shape[2] in (*CHANNELS, 4):
            raise InputError(
                f"{said}, which may be one colour image: reshape it to (1, H, W, C), or say data.layout=NHW if it is "
                "many grey images"
            )
        return "NHW"
    if len(shape) != 4:
        raise InputError(f"{said}: images are arrays (N, H, W), (N, H, W, C) or (N, C, H, W)")
    is_first, is_last = shape[1] in CHANNELS, shape[3] in CHANNELS
    if is_first == is_last:
        raise InputError(f"{said}: say where the channels are, with data.layout=NCHW or data.layout=NHWC")
    return "NCHW" if is_first else "NHWC"


def image_shape(shape: tuple[int, ...], layout: str) -> tuple[int, int, int]:
    """``(C, H, W)`` of an array of images with this shape."""
    sizes = dict(zip(layout, shape, strict=True))
    return sizes.get("C", 1), sizes["H"], sizes["W"]


def channels_first(images: np.ndarray, layout: str) -> np.ndarray:
    """Images ``(N, C, H, W)``."""
    if layout == "NHW":
        return images[:, None]
    return images.transpose(0, 3, 1, 2) if layout == "NHWC" else images
