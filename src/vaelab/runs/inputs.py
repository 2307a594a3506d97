"""What a user passes to a finished run in Python: images, latents and labels, checked and converted to tensors."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vaelab.data.decode import MODES, upright
from vaelab.data.pixel_range import brightest
from vaelab.errors import InputError

Array: TypeAlias = Tensor | np.ndarray
Images: TypeAlias = Array | Image.Image | Sequence[Array] | Sequence[Image.Image]
Labels: TypeAlias = int | Sequence[int] | Array


def image_tensor(images: Images, shape: Sequence[int]) -> Tensor:
    """Images ``(N, C, H, W)`` on the CPU: uint8, or float32 in [0, 1].

    **Arguments**
        images: ``(N, C, H, W)``, ``(N, H, W, C)`` or, where C is 1, ``(N, H, W)``; uint8 from 0 to 255 or floats from 0
            to 1. One image needs no N. Or a PIL image, or a list of them.
        shape: ``[C, H, W]``, which they must have.

    **Raises**
        InputError: they have another size or another range.
    """
    if isinstance(images, (Tensor, np.ndarray)):
        return _checked_pixels(_channels_first(_tensor(images), shape))
    listed = images if isinstance(images, Sequence) else [images]
    if not len(listed):
        raise InputError("there is no image in an empty list")
    made = [_one_of_list(image, shape) for image in listed]
    if len({image.dtype for image in made}) > 1:
        raise InputError("the images of a list must all be uint8, or all floats from 0 to 1")
    return _checked_pixels(torch.cat(made))


def _one_of_list(image: object, shape: Sequence[int]) -> Tensor:
    if isinstance(image, Image.Image):
        return _from_pillow(image, shape)[None]
    if isinstance(image, (Tensor, np.ndarray)):
        return _channels_first(_tensor(image), shape)
    raise InputError(f"images must be tensors, numpy arrays or PIL images, got {type(image).__name__}")


def _tensor(array: Array) -> Tensor:
    made = torch.from_numpy(np.ascontiguousarray(array)) if isinstance(array, np.ndarray) else array
    return made.detach().cpu()


def _channels_first(x: Tensor, shape: Sequence[int]) -> Tensor:
    channels, height, width = shape
    found = tuple(x.shape)
    if x.dim() in (3, 4) and found[-3:] == (channels, height, width):
        made = x.reshape(-1, channels, height, width)
    elif x.dim() in (2, 3) and channels == 1 and found[-2:] == (height, width):
        made = x.reshape(-1, 1, height, width)
    elif x.dim() in (3, 4) and found[-3:] == (height, width, channels):
        made = x.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
    else:
        raise InputError(
            f"images of this run have the shape (N, {channels}, {height}, {width}), got {found}: resize or reshape them"
        )
    if not len(made):
        raise InputError(f"there is no image in an array of the shape {found}")
    return made


def _checked_pixels(x: Tensor) -> Tensor:
    """``x`` with its pixels checked: uint8, or float32."""
    if x.dtype == torch.bool:
        return x.float()
    if x.dtype == torch.uint8:
        if brightest(x) == 1:
            raise InputError("no pixel is brighter than 1 of 255: pass pixels of 0 and 1 as floats, or as bool")
        return x
    if not x.is_floating_point():
        raise InputError(f"pixels must be uint8 from 0 to 255 or floats from 0 to 1, got {str(x.dtype)[6:]}")
    low, high = float(x.min()), float(x.max())
    if not (low >= 0 and high <= 1):  # nan is neither
        raise InputError(
            f"pixels of floats must be from 0 to 1, got {low:g} to {high:g}: divide by 255, or pass them as uint8"
        )
    return x.float()


def _from_pillow(image: Image.Image, shape: Sequence[int]) -> Tensor:
    channels, height, width = shape
    if channels not in MODES:
        raise InputError(f"PIL images have 1 or 3 channels, and this run's images {channels}: pass arrays")
    if image.size != (width, height):
        raise InputError(
            f"images of this run have {width} x {height} pixels, got {image.size[0]} x {image.size[1]}: "
            f"image.resize(({width}, {height}))"
        )
    pixels = np.array(upright(image, MODES[channels])).reshape(height, width, channels)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def latent_tensor(z: Array, latent: int) -> Tensor:
    """Latents float32 ``(N, D)`` on the CPU, of ``(N, D)`` or ``(D,)``.

    **Raises**
        InputError: D is not ``latent``, or they are not finite.
    """
    if not isinstance(z, (Tensor, np.ndarray)):
        raise InputError(f"latents must be a tensor or a numpy array (N, {latent}), got {type(z).__name__}")
    made = _tensor(z)
    if made.dim() not in (1, 2) or made.shape[-1] != latent or not len(made):
        raise InputError(f"latents of this run have the shape (N, {latent}), got {tuple(made.shape)}")
    made = made.float().reshape(-1, latent)
    if not made.isfinite().all():
        raise InputError("latents must be finite, got nan or infinity")
    return made


def label_tensor(labels: Labels, count: int, classes: int | None, option: str = "labels=") -> Tensor:
    """Labels int64 ``(count,)``, of one for all or one for each.

    **Arguments**
        classes: how many there are; None: the model is not conditioned on labels.
        option: how the user types them.

    **Raises**
        InputError: the model takes no labels, or not these, or they are not ``count``.
    """
    name = option.rstrip("= ")
    if classes is None:
        given = labels if isinstance(labels, int) else "..."
        raise InputError(f"{option}{given}: this model is not conditioned on labels; leave it out, or use model=cvae")
    try:
        made = torch.as_tensor(labels).cpu()
    except (TypeError, ValueError, RuntimeError):
        made = torch.empty(0)  # of floats
    if made.is_floating_point() or made.dtype == torch.bool or made.dim() > 1:
        raise InputError(f"{name} must be whole numbers from 0 to {classes - 1}, one for all or one for each image")
    made = made.long()
    if made.dim() == 1 and len(made) != count:
        raise InputError(f"{name} must be one for all or {count}, one for each image, got {len(made)}")
    wrong = made[(made < 0) | (made >= classes)]
    if len(wrong):
        raise InputError(f"{name} must be from 0 to {classes - 1}, got {int(wrong[0])}")
    return made.expand(count)
