"""Files of tensors and plain values: written whole or not at all, read without running code that they contain."""

import io
import pickle
import warnings
from pathlib import Path
from zipfile import BadZipFile, is_zipfile

import torch

from vaelab.errors import InputError
from vaelab.files import replacing


def save_tensors(content: object, path: Path) -> None:
    """Write ``content`` with ``torch.save``, whole or not at all; an OSError names ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(content, buffer)  # to memory first: a full disk then is an OSError, not an error of torch
    try:
        with replacing(path) as part:
            part.write_bytes(buffer.getbuffer())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def read_tensors(path: Path, what: str = "checkpoint", mmap: bool = False) -> object:
    """Read what ``save_tensors`` wrote, tensors on the CPU.

    Only tensors and plain types are unpickled (``weights_only=True``), so a file from elsewhere cannot run code.

    **Arguments**
        what: the file should be, for messages.
        mmap: whether the tensors stay in the file and are mapped into memory.

    **Raises**
        InputError: the file has other contents, or it is damaged.
    """
    if not is_zipfile(path):  # what torch.save writes; torch would report its own attempts to read it
        raise InputError(f"{path} is no checkpoint, or a damaged one: torch.save did not write it to its end")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about its pickle protocol; an unreadable file raises
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap and is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} is no {what} of tensors and plain values, or a damaged one; no code in it was run "
            f"({_first_line(error)})"
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError, KeyError, BadZipFile) as error:
        raise InputError(f"{path} is no {what}, or a damaged one ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
