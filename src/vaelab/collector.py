"""Python's garbage collector where it costs seconds and finds nothing: while packages are imported, and at the exit."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """No collection in the block, such as an import of torch, whose half a million objects all stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def leave_out_of_exit() -> None:
    """No collection at the end of this process, when all of its memory is given back anyway.

    To be called before other exit handlers are registered: they run first then.
    """
    atexit.unregister(gc.freeze)  # of an earlier command in this process
    atexit.register(gc.freeze)
