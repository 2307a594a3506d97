"""How the long loops of an evaluation show their progress."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Passes on the items of a loop and shows how far it is."""

    def __call__(self, items: Iterable[T], what: str, /) -> Iterable[T]:
        """``items``; ``what`` names the loop."""


def untracked(items: Iterable[T], what: str) -> Iterable[T]:
    """``items``; nothing is shown."""
    return items
