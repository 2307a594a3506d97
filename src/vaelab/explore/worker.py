"""Computations of the page in one thread, one after the other; of several requests of a view the newest counts."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
# One thread: torch's noise is that of the process, and two computations at a time would draw from each other's.
_thread = ThreadPoolExecutor(1, "explorer")


async def compute(work: Callable[[], T]) -> T:
    """The result of ``work``, which runs in the thread while the page goes on."""
    return await asyncio.get_running_loop().run_in_executor(_thread, work)


class Newest(Generic[T]):
    """Requests of one view: while one is computed, of those that arrive only the last is kept.

    **Arguments**
        show: called with each result.
        fail: called with an exception.
    """

    def __init__(self, show: Callable[[T], None], fail: Callable[[Exception], None]) -> None:
        self._show, self._fail = show, fail
        self._next: Callable[[], T] | None = None
        self._is_busy = False

    async def ask(self, work: Callable[[], T]) -> None:
        """Compute ``work`` and show its result, unless a newer request replaces it before it began."""
        self._next = work
        if self._is_busy:
            return
        self._is_busy = True
        try:
            while self._next is not None:
                work, self._next = self._next, None
                await self._one(work)
        finally:
            self._is_busy = False

    async def _one(self, work: Callable[[], T]) -> None:
        try:
            result = await compute(work)
        except Exception as error:  # shown by the page
            self._fail(error)
        else:
            self._show(result)
