"""Downloads of image sets by torchvision."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from vaelab.errors import InputError
from vaelab.locks import locked

TIMEOUT_S = 15
LAST_WORDS = 12  # of torchvision's message, which lists all mirrors before it says what the last one answered


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Let one process at a time download into ``root``; leave no lock and no empty folder behind."""
    lock, existed = root / ".download.lock", root.exists()
    try:
        with locked(lock, wait=True):
            yield
    finally:
        lock.unlink(missing_ok=True)
        if not existed:
            with suppress(OSError):  # the folder has files in it now
                root.rmdir()


def download(root: Path, dataset: str, split: str | None = None) -> str | None:
    """Let torchvision download an image set into ``root`` and verify its checksums; the reason where that failed.

    **Arguments**
        dataset: the name of torchvision's class, such as ``MNIST``.
        split: which part of EMNIST.

    **Raises**
        InputError: torchvision does not fit the installed torch.
    """
    try:
        from torchvision import datasets  # type: ignore[import-untyped] # torchvision carries no types
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"torchvision does not import ({str(error).splitlines()[0]}): it was built against another torch than "
            f"{torch.__version__}; install both from the same index: pip install --force-reinstall torch torchvision"
        ) from error
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_S)  # torchvision sets none: where a firewall drops packets, it would wait for ever
    try:
        getattr(datasets, dataset)(str(root), download=True, **({"split": split} if split else {}))
    except (RuntimeError, OSError) as error:  # URLError is an OSError
        return " ".join(str(error).split()[-LAST_WORDS:])
    finally:
        socket.setdefaulttimeout(before)
    return None
