"""Every use of what Lightning's documentation does not promise, each with its reason.

tests/training/test_lightning_internals.py fails where a new version of Lightning changes one of them. One more is in
`vaelab.data.batches`: Lightning calls ``set_epoch`` of the attribute ``sampler`` of a loader before every epoch.
"""

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path

from lightning import Callback, LightningModule, Trainer
from lightning import __version__ as lightning_version
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.trainer.states import TrainerFn

from vaelab.checks import number
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError


def data_of(trainer: Trainer) -> ImageDataModule:
    """The data module of the fit or test that runs; Lightning sets this attribute without declaring it."""
    data: ImageDataModule = trainer.datamodule  # type: ignore[attr-defined]
    return data


def steps_between_logs(trainer: Trainer) -> int:
    """The Trainer's own option, which it sets without declaring it."""
    return int(trainer.log_every_n_steps)  # type: ignore[attr-defined]


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """The Trainer's callbacks, an attribute that it sets without declaring it."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return callbacks


def profile_of(trainer: Trainer) -> str:
    """The report of the Trainer's profiler, an attribute that it sets without declaring it."""
    report: str = trainer.profiler.summary()  # type: ignore[attr-defined]
    return report.strip()


def epochs_done(trainer: Trainer) -> float:
    """Epochs with their fraction: at the end of the second of four batches of the first epoch, 0.5."""
    batches, done = max(1, int(trainer.num_training_batches)), trainer.fit_loop.batch_idx + 1
    return trainer.current_epoch + (1 if done == batches else done / batches)


def batches_into_epoch(trainer: Trainer) -> int:
    """How many batches of an epoch that is not over have been trained; 0 at the end of an epoch."""
    done = int(trainer.fit_loop.batch_idx) + 1
    return done if 0 < done < trainer.num_training_batches else 0


def is_validation_due(trainer: Trainer) -> bool:
    """Whether a validation follows on the batch that was just trained."""
    loop, counts = trainer.fit_loop, trainer.num_val_batches
    return any(count > 0 for count in counts) and loop.epoch_loop._should_check_val_fx(loop._data_fetcher)  # type: ignore[arg-type]


def count_epoch_as_begun(checkpoint: dict) -> None:
    """Let a run go on within the epoch in which ``checkpoint`` was saved.

    Where a training ends within an epoch, Lightning counts that epoch as done, and would go on with the next.
    """
    progress = checkpoint["loops"]["fit_loop"]["epoch_progress"]
    for counts in (progress["current"], progress["total"]):
        counts["processed"] = min(counts["processed"], counts["started"] - 1)


class Bfloat16Products(MixedPrecision):
    """bf16-mixed that clips gradients under fused optimizers too.

    Lightning refuses that because of loss scaling, which float16 needs and bfloat16 does not.
    """

    def __init__(self, device: str) -> None:
        super().__init__("bf16-mixed", device)

    clip_gradients = Precision.clip_gradients


class AveragedWeights(EMAWeightAveraging):
    """Validation, checkpoints and test with an exponential moving average of the weights."""

    def __init__(self, decay: float) -> None:
        if number("evaluation.ema", decay) >= 1:
            raise InputError(f"evaluation.ema must be below 1, such as 0.999, or null for none, got {decay:g}")
        super().__init__(decay=decay)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        # Lightning calls this before the module moves to its device, and would keep the average on the CPU.
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict) -> None:
        # Lightning calls this for a test after a fit, too. There it would replace the average, which the checkpoint's
        # state_dict is, by the weights that were trained.
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


class BestCheckpoint(ModelCheckpoint):
    """``best.ckpt``; a resumed run knows its score, also where the directory was moved.

    Lightning stores the path of the best checkpoint, and forgets the score where it is not in this directory.
    """

    def __init__(self, folder: Path, monitor: str, mode: str, within_epoch: bool = False) -> None:
        options = {"save_on_train_epoch_end": not within_epoch, "enable_version_counter": False}
        super().__init__(folder, "best", monitor, mode=mode, **options)  # type: ignore[arg-type]
        self.path = folder.resolve() / "best.ckpt"  # as Lightning names it, else it would delete it as an older one

    def load_state_dict(self, state_dict: dict) -> None:
        score = state_dict["best_model_score"]
        if self.path.is_file() and score is not None:
            self.best_model_path = self.kth_best_model_path = str(self.path)
            self.best_model_score = self.kth_value = score
            self.best_k_models = {str(self.path): score}


class MetricsCSV(CSVLogger):
    """metrics.csv, written when ``begin`` is called; until then nothing is."""

    def __init__(self, directory: Path, step: int = 0) -> None:
        super().__init__(directory, name="", version="")
        self.path = directory / "metrics.csv"
        self.step = step

    def begin(self) -> None:
        """Start the file, with the rows up to ``step`` of a run that is resumed there."""
        kept: list[dict[str, float]] = []
        if self.step and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= self.step]  # type: ignore[misc]
        with warnings.catch_warnings():
            # Lightning warns that it deletes the old file, and does; the rows to keep are written again.
            warnings.filterwarnings("ignore", message="Experiment logs directory")
            self.experiment.metrics = kept
        self.save()

    def log_result(self, hyperparameters: object, metrics: object, step: int) -> None:
        """Nothing: results.json holds both."""


def checkpoint_at_end(
    state_dict: dict, optimizer_state: dict, epochs: int, steps_per_epoch: int, contents: dict
) -> dict:
    """The checkpoint that Lightning would have saved after the last epoch, for runs that were trained without it.

    **Arguments**
        state_dict: of the LightningModule.
        optimizer_state: of its only optimizer.
        epochs: how many were trained.
        steps_per_epoch: optimizer steps, one for each batch.
        contents: what the module adds in ``on_save_checkpoint``.
    """
    steps = epochs * steps_per_epoch
    batch = _progress(steps_per_epoch, steps, ("completed", "processed", "ready", "started"))
    optimizer = {
        "step": _progress(steps_per_epoch, steps, ("completed", "ready")),
        "zero_grad": _progress(steps_per_epoch, steps, ("completed", "ready", "started")),
    }
    epoch = {"completed": epochs - 1, "processed": epochs, "ready": epochs, "started": epochs}
    loop = {
        "state_dict": {},
        "epoch_progress": {"current": dict(epoch), "total": dict(epoch)},
        "epoch_loop.state_dict": {"_batches_that_stepped": steps},
        "epoch_loop.batch_progress": {**batch, "is_last_batch": True},
        "epoch_loop.automatic_optimization.state_dict": {},
        "epoch_loop.automatic_optimization.optim_progress": {"optimizer": optimizer},
    }
    return {
        "epoch": epochs - 1,
        "global_step": steps,
        "pytorch-lightning_version": lightning_version,
        "state_dict": state_dict,
        "loops": {"fit_loop": loop},
        "callbacks": {},
        "optimizer_states": [optimizer_state],
        "lr_schedulers": [],
        **contents,
    }


def _progress(current: int, total: int, names: Sequence[str]) -> dict[str, dict[str, int]]:
    return {"current": dict.fromkeys(names, current), "total": dict.fromkeys(names, total)}
