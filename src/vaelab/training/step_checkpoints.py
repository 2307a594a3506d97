"""Checkpoints within an epoch, from which a run goes on as if it had never stopped."""

from pathlib import Path

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from vaelab.checks import whole
from vaelab.training.callbacks import write_metrics
from vaelab.training.lightning_internals import is_validation_due


class StepCheckpoints(Checkpoint):
    """Saves ``last.ckpt`` every n optimizer steps; the end of an epoch saves it in any case.

    Where a validation follows on the step, the checkpoint is saved after it: Lightning leaves out a validation that
    was due when the checkpoint was saved.

    **Arguments**
        dirpath: the folder of the run's checkpoints.
        every_n_steps: n.
    """

    def __init__(self, dirpath: Path, every_n_steps: int = 1000) -> None:
        self.path = dirpath / "last.ckpt"
        self.every = whole("callbacks.step_checkpoints.every_n_steps", every_n_steps)
        self.saved_at = 0
        self.is_pending = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.saved_at = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        is_step = trainer.global_step % self.every == 0 and trainer.global_step != self.saved_at
        if not is_step or trainer.is_last_batch:
            return
        self.is_pending = is_validation_due(trainer)
        if not self.is_pending:
            self._save(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.is_pending:
            self.is_pending = False
            self._save(trainer, pl_module)

    def _save(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.saved_at = trainer.global_step
        write_metrics(trainer, pl_module)
        trainer.save_checkpoint(self.path)
