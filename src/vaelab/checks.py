"""Checks of single values. The message names the option, what was expected and what was given."""

import math
from collections.abc import Collection, Sequence

from vaelab.errors import InputError

LARGEST = 2**32 - 1  # the largest whole number of any option: numpy's largest seed


def shown(value: object) -> str:
    """``value`` as the command line has it: ``null`` and ``true``, and text in quotes.

    >>> shown(None), shown(True), shown("two"), shown(2.5)
    ('null', 'true', "'two'", '2.5')
    """
    return (
        {None: "null", True: "true", False: "false"}[value]
        if value is None or value is True or value is False
        else repr(value)
    )


def whole(name: str, value: object, minimum: int = 1) -> int:
    """``value`` as an int of at least ``minimum`` and at most `LARGEST`, else an InputError.

    >>> whole("latent", 20)
    20
    >>> whole("latent", 0)
    Traceback (most recent call last):
    ...
    vaelab.errors.InputError: latent must be a whole number of at least 1, got 0
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise InputError(f"{name} must be a whole number of at least {minimum}, got {shown(value)}")
    if value > LARGEST:
        raise InputError(f"{name} must be a whole number of at most {LARGEST}, got {value}")
    return value


def number(name: str, value: object, minimum: float = 0.0, *, above: bool = False) -> float:
    """``value`` as a finite float of at least ``minimum``, or ``above`` it, else an InputError.

    >>> number("beta.weight", 4)
    4.0
    >>> number("beta.weight", float("nan"))
    Traceback (most recent call last):
    ...
    vaelab.errors.InputError: beta.weight must be a finite number of at least 0, got nan
    """
    bound = "above" if above else "of at least"
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or value < minimum
        or (above and value == minimum)
    ):
        raise InputError(f"{name} must be a finite number {bound} {minimum:g}, got {shown(value)}")
    return float(value)


def share(name: str, value: object) -> float:
    """``value`` as a share of the training.

    **Raises**
        InputError: it is no number from 0 to 1.
    """
    found = number(name, value)
    if found > 1:
        raise InputError(f"{name} is a share of the training, from 0 to 1, got {found:g}")
    return found


def flag(name: str, value: object) -> bool:
    """``value`` where it is a bool, else an InputError: a word such as "no" would count as true."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, got {shown(value)}")
    return value


def image_shape(name: str, value: object) -> list[int]:
    """``value`` as the shape ``[C, H, W]`` of an image, else an InputError.

    >>> image_shape("data.shape", (3, 64, 64))
    [3, 64, 64]
    >>> image_shape("data.shape", 64)
    Traceback (most recent call last):
    ...
    vaelab.errors.InputError: data.shape must be three whole numbers [C,H,W] of at least 1, such as [3,64,64], got 64
    """
    sides = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if len(sides) != 3 or any(isinstance(side, bool) or not isinstance(side, int) or side < 1 for side in sides):
        raise InputError(f"{name} must be three whole numbers [C,H,W] of at least 1, such as [3,64,64], got {value!r}")
    return sides


def folder_name(name: str, value: object) -> str | None:
    """``value`` where it is a text that can name a folder, or None, else an InputError."""
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise InputError(f"{name} must be the path of a folder, or null, got {value!r}")
    return value


def interval(name: str, value: object) -> tuple[float, float]:
    """``value`` as two finite numbers [low, high], the first below the second, else an InputError.

    >>> interval("posterior.clamp", [-6, 2])
    (-6.0, 2.0)
    >>> interval("posterior.clamp", [2, -6])
    Traceback (most recent call last):
    ...
    vaelab.errors.InputError: posterior.clamp must be two numbers [low,high], the first smaller, got [2, -6]
    """
    ends = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    is_number = [isinstance(end, (int, float)) and not isinstance(end, bool) and math.isfinite(end) for end in ends]
    if len(ends) != 2 or not all(is_number) or ends[0] >= ends[1]:
        raise InputError(f"{name} must be two numbers [low,high], the first smaller, got {value!r}")
    return float(ends[0]), float(ends[1])


def one_of(name: str, value: object, words: Collection[str]) -> str:
    """``value`` where it is one of ``words``, else an InputError.

    >>> one_of("data.binarize", "yes", ("none", "dynamic"))
    Traceback (most recent call last):
    ...
    vaelab.errors.InputError: data.binarize must be one of none, dynamic, got 'yes'
    """
    if not isinstance(value, str) or value not in words:
        raise InputError(f"{name} must be one of {', '.join(words)}, got {shown(value)}")
    return value


def is_folder_name(name: str) -> bool:
    """Whether ``name`` names a folder in the current one."""
    return bool(name.strip()) and name not in (".", "..") and "/" not in name and "\\" not in name and "\0" not in name
