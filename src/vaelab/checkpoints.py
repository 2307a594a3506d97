"""Checkpoints: written whole or not at all, and read without running anything that they contain."""

import io
import os
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

# What the weights and the optimizer's state depend on: a checkpoint goes on only under the same.
STRUCTURE = ("latent", "network", "posterior", "likelihood", "prior", "model", "optimizer")
LEARNING_RATES = ("lr", "adam_lr")  # but these a run may go on with, say a lower one after it diverged


class AtomicCheckpointIO(TorchCheckpointIO):
    """Saves to a temporary file beside the target, then renames: a kill leaves the old file or the new one.

    Lightning's own way goes through the system's temporary folder, and a move between file systems is a copy.
    """

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options: object = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        content = io.BytesIO()
        torch.save(checkpoint, content)  # to memory first: a full disk is then a plain OSError
        try:
            part.write_bytes(content.getbuffer())
            os.replace(part, path)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        finally:
            part.unlink(missing_ok=True)

    def load_checkpoint(self, path: str | Path, map_location: object = "cpu", weights_only: bool | None = True) -> dict:
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict:
    """The checkpoint at ``path``, tensors on the CPU; a ValueError of one line where it is none of ours.

    Only tensors and plain types are unpickled, so a stranger's file cannot run code.
    """
    if not path.is_file():
        raise ValueError(f"ckpt={path}: no such file; a run keeps its checkpoints in <run>/checkpoints/")
    try:
        checkpoint = read_tensors(path)
    except ValueError as error:
        raise ValueError(f"ckpt={error}") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "config", "data", "epoch"} <= checkpoint.keys():
        raise ValueError(f"ckpt={path} is no checkpoint of a vaelab run: it lacks weights, configuration or epoch")
    return checkpoint


def read_tensors(path: Path) -> object:
    """What ``torch.save`` wrote to ``path``, tensors and plain types alone; a ValueError of one line otherwise."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of another pickle protocol: what cannot be read raises below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is no checkpoint of tensors and plain values, or a damaged one; nothing in it was run "
            f"({str(error).splitlines()[0][:120]})"
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError, KeyError, BadZipFile) as error:
        raise ValueError(f"{path} is no checkpoint, or a damaged one ({_first_line(error)})") from error


def check_fits(path: Path, checkpoint: dict, config: Mapping[str, object]) -> None:
    """A ValueError where ``checkpoint`` holds the weights of another model than ``config`` describes."""
    for key in STRUCTURE:
        there, here = (_without_rates(side.get(key)) for side in (checkpoint["config"], config))
        if there != here:
            there, here = _difference(key, there, here)
            raise ValueError(
                f"ckpt={path} was trained with {there}, this command says {here}: "
                f"say {there} to begin with its weights, or leave ckpt out to train anew"
            )


def _without_rates(section: object) -> object:
    if not isinstance(section, Mapping):
        return section
    return {key: value for key, value in section.items() if key not in LEARNING_RATES}


def _difference(key: str, there: object, here: object) -> tuple[str, str]:
    """The innermost option in which two configurations differ, as it is typed."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for inner in [*there, *(name for name in here if name not in there)]:
            if there.get(inner) != here.get(inner):
                return _difference(f"{key}.{inner}", there.get(inner), here.get(inner))
    return f"{key}={there}", f"{key}={here}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
