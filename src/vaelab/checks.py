"""Checks of single values, raised where the value is used: what it is called, what was expected, what came."""

import math
from collections.abc import Collection

from vaelab.errors import InputError


def whole(name: str, value: object, minimum: int = 1) -> int:
    """``value`` as an int of at least ``minimum``, or a ValueError that names it.

    >>> whole("latent", 20)
    20
    >>> whole("latent", 0)
    Traceback (most recent call last):
    ...
    vaelab.errors.InputError: latent must be a whole number of at least 1, got 0
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise InputError(f"{name} must be a whole number of at least {minimum}, got {value!r}")
    return value


def number(name: str, value: object, minimum: float = 0.0, *, above: bool = False) -> float:
    """``value`` as a finite float of at least ``minimum`` (strictly ``above`` it, if asked).

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
        raise InputError(f"{name} must be a finite number {bound} {minimum:g}, got {value!r}")
    return float(value)


def flag(name: str, value: object) -> bool:
    """``value`` as true or false: a word such as "ja" is true to Python and would pass unnoticed."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, got {value!r}")
    return value


def one_of(name: str, value: object, words: Collection[str]) -> str:
    """``value`` as one of ``words``.

    >>> one_of("data.binarize", "yes", ("none", "dynamic"))
    Traceback (most recent call last):
    ...
    vaelab.errors.InputError: data.binarize must be one of none, dynamic, got 'yes'
    """
    if not isinstance(value, str) or value not in words:
        raise InputError(f"{name} must be one of {', '.join(words)}, got {value!r}")
    return value
