"""Checkpoints: written whole or not at all, and read without running code that they contain."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from vaelab.errors import InputError
from vaelab.tensor_files import read_tensors, save_tensors
from vaelab.training.lightning_internals import BestCheckpoint

CONTENTS = {"state_dict", "config", "data", "epoch"}


def checkpoint_callbacks(
    directory: Path, criterion: str | None, validates: bool, within_epoch: bool = False
) -> list[ModelCheckpoint]:
    """``last.ckpt`` after every epoch, and ``best.ckpt`` by the validation's ``criterion``, where there is one.

    **Arguments**
        within_epoch: whether there are validations within an epoch, after which ``best.ckpt`` is saved too.
    """
    folder = directory / "checkpoints"
    last = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    if not validates or criterion is None:
        return [last]
    mode = "min" if criterion == "distortion" else "max"
    # The best one is saved first, so that last.ckpt, from which a run resumes, knows its score.
    return [BestCheckpoint(folder, f"{criterion}/val", mode, within_epoch), last]


def epochs_of(checkpoint: Mapping[str, Any]) -> float:
    """How many epochs the weights in ``checkpoint`` were trained for, with a fraction within an epoch."""
    if not checkpoint["global_step"]:
        return 0
    return checkpoint.get("epochs", checkpoint["epoch"] + 1)  # older versions saved at the ends of epochs alone


class AtomicCheckpointIO(TorchCheckpointIO):
    """Saves to a temporary file beside the target and renames it: a kill leaves the old file or the new one.

    Lightning's own way goes through the system's temporary folder, and a move between file systems is a copy.
    """

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options: object = None) -> None:
        save_tensors(checkpoint, Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: object = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The checkpoint of a run at ``path``, with its tensors on the CPU.

    Only tensors and plain types are unpickled, so a file from elsewhere cannot run code.

    **Raises**
        InputError: there is no such file, it is damaged, or it is no checkpoint of a run.
    """
    if path.is_dir():
        found = next(
            (file for file in (path / "checkpoints" / "last.ckpt", path / "last.ckpt") if file.is_file()), None
        )
        instead = f"take ckpt={found}" if found else "name a file; a run keeps its checkpoints in <run>/checkpoints/"
        raise InputError(f"ckpt={path} is a folder: {instead}")
    if not path.is_file():
        raise InputError(f"ckpt={path}: no such file; a run keeps its checkpoints in <run>/checkpoints/")
    try:
        checkpoint = read_tensors(path)
    except InputError as error:
        raise InputError(f"ckpt={error}") from error
    if not isinstance(checkpoint, dict) or not checkpoint.keys() >= CONTENTS:
        raise InputError(f"ckpt={path} is no checkpoint of a vaelab run: it lacks weights, configuration or epoch")
    return checkpoint
