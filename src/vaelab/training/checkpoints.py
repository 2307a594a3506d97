"""checkpoints."""

from pathlib import Path

from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from vaelab.errors import InputError
from vaelab.tensor_files import read_tensors, save_tensors


class BestCheckpoint(ModelCheckpoint):
    """``best.ckpt``, whose record survives that the run directory is moved, and is not taken to another one."""

    @property
    def path(self) -> Path:
        return Path(self.dirpath) / "best.ckpt"

    def load_state_dict(self, state_dict: dict) -> None:
        """Lightning stores absolute paths, and forgets the record where they are not this directory's."""
        if self.path.is_file() and state_dict["best_model_score"] is not None:
            path, score = str(self.path), state_dict["best_model_score"]
            self.best_model_path = self.kth_best_model_path = path
            self.best_model_score = self.kth_value = score
            self.best_k_models = {path: score}


def checkpoint_callbacks(directory: Path, criterion: str | None, validates: bool) -> list[ModelCheckpoint]:
    """``last.ckpt`` after every epoch, and ``best.ckpt`` by the validation's ``criterion``, where there is one."""
    # After the epoch, not within it: a resumed run then starts with a whole epoch, the same as if never stopped.
    common = {"dirpath": directory / "checkpoints", "save_on_train_epoch_end": True, "enable_version_counter": False}
    last = ModelCheckpoint(filename="last", **common)
    if not validates or criterion is None:
        return [last]
    monitor, mode = f"{criterion}/val", "min" if criterion == "distortion" else "max"
    # The best first, so that the last one, from which a run goes on, knows of it.
    return [BestCheckpoint(filename="best", monitor=monitor, mode=mode, **common), last]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Saves to a temporary file beside the target, then renames: a kill leaves the old file or the new one.

    Lightning's own way goes through the system's temporary folder, and a move between file systems is a copy.
    """

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options: object = None) -> None:
        save_tensors(checkpoint, Path(path))

    def load_checkpoint(self, path: str | Path, map_location: object = "cpu", weights_only: bool | None = True) -> dict:
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict:
    """The checkpoint at ``path``, tensors on the CPU; an InputError of one line where it is none of ours.

    Only tensors and plain types are unpickled, so a stranger's file cannot run code.
    """
    if not path.is_file():
        raise InputError(f"ckpt={path}: no such file; a run keeps its checkpoints in <run>/checkpoints/")
    try:
        checkpoint = read_tensors(path)
    except ValueError as error:
        raise InputError(f"ckpt={error}") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "config", "data", "epoch"} <= checkpoint.keys():
        raise InputError(f"ckpt={path} is no checkpoint of a vaelab run: it lacks weights, configuration or epoch")
    return checkpoint
