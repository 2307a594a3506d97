"""Locks between processes: a file that one process at a time locks. The system unlocks it when the process ends."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl

    HAS_LOCKS = True
except ImportError:  # Windows
    HAS_LOCKS = False

ATTEMPTS = 3  # `is_locked` in another process takes the lock for a moment
PAUSE = 0.05  # seconds between attempts


@contextmanager
def locked(lock: Path, wait: bool = False) -> Iterator[bool]:
    """Lock the file ``lock`` during the block; the value says whether this process has the lock.

    The value is also true, without a lock, where the system has none (Windows, some network file systems) or the file
    cannot be created.

    **Arguments**
        lock: a file, created if there is none and left in place.
        wait: whether to wait until the lock is free.

    **Example**
        with locked(directory / ".lock") as ours:
            if not ours:
                raise InputError("another process writes there")
    """
    handle = None
    if HAS_LOCKS:
        with suppress(OSError):
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)  # NFS locks only files that are open for writing
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
                time.sleep(PAUSE)
        except OSError:  # this file system has no locks
            return True
    return False


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Lock the file ``lock`` during the block, as soon as it is free; leave no lock and no empty folder behind."""
    with existing(lock.parent):
        try:
            with locked(lock, wait=True):
                yield
        finally:
            lock.unlink(missing_ok=True)


@contextmanager
def existing(folder: Path) -> Iterator[None]:
    """In the block, ``folder`` exists if it can be made; folders made for it are removed after it where still empty."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with suppress(OSError):  # the code that needs the folder reports the reason
            folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for path in missing:  # the innermost first
            try:
                path.rmdir()
            except OSError:  # it is not empty, or another process has removed it
                break


def is_locked(lock: Path) -> bool:
    """Whether a process has locked ``lock``; creates no file."""
    if not HAS_LOCKS:
        return False
    try:
        handle = os.open(lock, os.O_RDONLY)
    except OSError:  # the file does not exist
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # this file system has no locks
        return False
    finally:
        os.close(handle)
    return False
