"""Python's garbage collector where it costs seconds and finds nothing: in the imports of a command, and at its exit.

A process that uses vaelab as a library keeps the collector as it is.
"""

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Process:
    is_command = False


def begin_command() -> None:
    """Say that this process is a command's, and leave the collector out of its exit.

    To be called before other exit handlers are registered: they run first then.
    """
    if not _Process.is_command:
        _Process.is_command = True
        atexit.register(gc.freeze)


@contextmanager
def importing() -> Iterator[None]:
    """In a command, no collection in the block, and none of what it has imported later on.

    Importing torch and Lightning makes half a million objects, which all stay.
    """
    if not _Process.is_command:
        yield
        return
    before = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before:  # else, as for a later job of a sweep, what there is may be garbage
            gc.freeze()
        gc.enable()
