"""Progress bars of loops outside the training."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """``items``, with a progress bar where standard error is a terminal.

    **Arguments**
        what: the name of the loop.
        total: how many items there are, where ``items`` does not know it.
    """
    is_hidden = not sys.stderr.isatty()
    return track(items, what, total, console=Console(stderr=True), transient=True, disable=is_hidden)
