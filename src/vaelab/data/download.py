"""Downloads of image sets by torchvision: complete, or without a trace."""

import socket
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from vaelab.errors import InputError
from vaelab.locks import existing

TIMEOUT_S = 15
LAST_WORDS = 12  # of torchvision's message, which lists all mirrors before it says what the last one answered


def download(root: Path, dataset: str, split: str | None = None) -> str | None:
    """Let torchvision download an image set into ``root`` and verify its checksums; the reason where that failed.

    It writes into a temporary folder, so that neither a failure nor an old file in ``root`` leaves a part of the set.
    The files then go to ``<root>/<dataset>/raw``; files that are there already stay as they are.

    **Arguments**
        dataset: the name of torchvision's class, such as ``MNIST``.
        split: which part of EMNIST.

    **Raises**
        InputError: torchvision does not fit the installed torch.
    """
    try:
        with existing(root), TemporaryDirectory(prefix=".download-", dir=root) as folder:
            _download_here(Path(folder), dataset, split)
            _move_files(Path(folder) / dataset / "raw", root / dataset / "raw")
    except (RuntimeError, OSError, HTTPException) as error:  # URLError is an OSError
        return " ".join(str(error).split()[-LAST_WORDS:]) or type(error).__name__
    return None


def _download_here(folder: Path, dataset: str, split: str | None) -> None:
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
        getattr(datasets, dataset)(str(folder), download=True, **({"split": split} if split else {}))
    finally:
        socket.setdefaulttimeout(before)


def _move_files(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if not (target / file.name).exists():
            file.replace(target / file.name)
