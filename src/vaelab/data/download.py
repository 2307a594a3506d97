"""Downloads of image sets by torchvision, which appear in their folder only when they are complete."""

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from vaelab.checks import folder_name
from vaelab.errors import InputError
from vaelab.locks import exclusive, existing

log = logging.getLogger(__name__)

TIMEOUT_S = 15
LAST_WORDS = 12  # words shown of torchvision's message, which ends with the answer of the last mirror


def named_root(root: object) -> str | None:
    """The folder that ``data.root``, or else the environment variable ``VAELAB_DATA``, names; None: neither does."""
    return folder_name("data.root", root) or os.environ.get("VAELAB_DATA")


def download_missing(
    root: Path,
    dataset: str,
    is_complete: Callable[[], bool],
    splits: Sequence[str] = (),
    within: str | None = None,
    check: Callable[[], None] = lambda: None,
) -> str | None:
    """Download an image set that is not complete; the reason why it may still not be, or None where nothing failed.

    One process at a time downloads into ``root``.

    **Arguments**
        is_complete: says whether the set is there.
        splits, within: see `download`.
        check: raises an InputError where a download would not help.

    **Raises**
        InputError: that of ``check``, or torchvision does not fit the installed torch.
    """
    if is_complete():
        return None
    with exclusive(root / ".download.lock"):
        if is_complete():  # another job of a sweep has downloaded it meanwhile
            return None
        check()
        folder = root / (f"{dataset}/raw" if within is None else within)
        log.info(f"no {dataset} in {folder}: trying torchvision's download")
        return download(root, dataset, splits, within) or "it lacks files of this set"


def download(root: Path, dataset: str, splits: Sequence[str] = (), within: str | None = None) -> str | None:
    """Let torchvision download an image set into ``root`` and verify its checksums; the reason where that failed.

    It writes into a temporary folder, so that neither a failure nor an old file in ``root`` leaves a part of the set.
    The files then go to ``<root>/<within>``; files that are there already stay as they are.

    **Arguments**
        dataset: the name of torchvision's class, such as ``MNIST``.
        splits: its parts, where torchvision downloads each part alone.
        within: the folder of the files in ``root``; None for ``<dataset>/raw``.

    **Raises**
        InputError: torchvision does not fit the installed torch.
    """
    make, within = torchvision_class(dataset), f"{dataset}/raw" if within is None else within
    try:
        with existing(root), TemporaryDirectory(prefix=".download-", dir=root) as folder, timeout():
            for options in [{"split": split} for split in splits] or [{}]:
                make(folder, download=True, **options)
            _move_files(Path(folder) / within, root / within)
    except (RuntimeError, OSError, HTTPException) as error:  # URLError is an OSError
        return " ".join(str(error).split()[-LAST_WORDS:]) or type(error).__name__
    return None


def torchvision_class(dataset: str) -> Callable[..., Any]:
    """torchvision's class of an image set.

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
    return getattr(datasets, dataset)


@contextmanager
def timeout() -> Iterator[None]:
    """A time limit for connections in the block; torchvision sets none, and would wait for ever behind a firewall."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _move_files(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if not (target / file.name).exists():
            file.replace(target / file.name)
