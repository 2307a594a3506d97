"""Locks between processes: a file that one process at a time holds. The system frees it when the process ends."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ATTEMPTS = 3  # another process may hold the lock for a moment, only to see whether it is free


@contextmanager
def locked(lock: Path, wait: bool = False) -> Iterator[bool]:
    """Hold the file ``lock`` during the block; the value says whether this process got it.

    Where the system has no such locks (Windows, some network file systems), or where the file cannot be made, the
    value is true: nobody is excluded, and a later write reports what is wrong.

    **Arguments**
        wait: whether to wait until the lock is free.
    """
    handle = None
    if fcntl is not None:
        with suppress(OSError):
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)  # for writing: NFS locks no other file
    if handle is None:
        yield True
        return
    try:
        yield _acquire(handle, wait)
    finally:
        os.close(handle)


def _acquire(handle: int, wait: bool) -> bool:
    for attempt in range(ATTEMPTS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return True
        except BlockingIOError:
            if attempt < ATTEMPTS - 1:
                time.sleep(0.05)
        except OSError:  # this file system has no locks
            return True
    return False


def is_locked(lock: Path) -> bool:
    """Whether some process holds ``lock``. Writes nothing."""
    if fcntl is None:
        return False
    try:
        handle = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False
