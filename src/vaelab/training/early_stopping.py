"""The end of a training whose validation no longer gets better."""

import logging
import math
from collections.abc import Mapping

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping

from vaelab.checks import number
from vaelab.models.contracts import Schedule
from vaelab.training.module import as_vae_module

log = logging.getLogger(__name__)

POINTS = 1_000  # steps of a schedule that are checked for a change


class EarlyStopping(LightningEarlyStopping):
    """Ends the training after ``patience`` epochs without a better validation.

    It watches the metric that chooses the weights, at β = 1 whatever β trains the model. Before the schedule of β has
    ended, and the first part of a loss that has one, validations do not count. Its state is in the checkpoints, so a
    resumed run ends at the same step.

    **Arguments**
        criterion: the metric: ``elbo``, or ``distortion`` of a model without a bound.
        patience: in epochs, however often the validation takes place.
        min_delta: how much better, in nats, counts.
    """

    def __init__(self, criterion: str, patience: float = 10, min_delta: float = 0.0) -> None:
        self.epochs = number("callbacks.early_stopping.patience", patience, above=True)
        least = number("callbacks.early_stopping.min_delta", min_delta)
        mode = "min" if criterion == "distortion" else "max"
        super().__init__(f"{criterion}/val", least, mode=mode, check_on_train_epoch_end=False)
        self.first_step = 0
        self.per_epoch = 1.0

    @property
    def state_key(self) -> str:
        return "EarlyStopping"

    def state_dict(self) -> dict[str, object]:
        return {**super().state_dict(), "waited": self.wait_count / self.per_epoch}

    def load_state_dict(self, state_dict: dict) -> None:
        """The state but the patience: a run may resume with another."""
        super().load_state_dict({**state_dict, "patience": self.patience})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find out from when validations count, and how many an epoch has; stop a training that is over."""
        module = as_vae_module(pl_module)
        of_loss = math.ceil(module.objective.first_part * module.steps)
        self.first_step = max(of_loss, schedule_end(module.beta, module.steps))
        self.per_epoch = validations_per_epoch(trainer)
        self.patience = max(1, math.ceil(self.epochs * self.per_epoch))
        if self.first_step and not self.wait_count:
            what = "the first part of the loss" if self.first_step == of_loss else "the schedule of beta"
            log.info(f"early stopping waits until {what} ends, at step {self.first_step} of {module.steps}")
        if self.wait_count >= self.patience:  # it was cut off after its last epoch, and lacks its test
            trainer.should_stop = True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step >= self.first_step:
            super().on_validation_end(trainer, pl_module)


def validations_per_epoch(trainer: Trainer) -> float:
    """How many validations there are in an epoch, on average."""
    batches = float(trainer.num_training_batches)
    interval = min(float(trainer.val_check_batch or batches), batches)
    if trainer.check_val_every_n_epoch is None:
        return batches / float(trainer.val_check_batch or batches)
    return (batches // interval) / trainer.check_val_every_n_epoch


def schedule_end(beta: Schedule, steps: int) -> int:
    """The step from which ``beta`` has its last value, to a thousandth of the training; 0: it is constant."""
    last = beta(steps, steps)
    points = sorted({round(point * (steps - 1) / POINTS) for point in range(POINTS + 1)})
    changing = [index for index, step in enumerate(points) if not math.isclose(beta(step, steps), last, rel_tol=1e-6)]
    if not changing:
        return 0
    return steps if changing[-1] + 1 == len(points) else points[changing[-1] + 1]


def epochs_waited(checkpoint: Mapping[str, dict]) -> float:
    """The epochs without a better validation before ``checkpoint``, as `EarlyStopping` counted them; 0 without it."""
    return float(checkpoint.get("callbacks", {}).get("EarlyStopping", {}).get("waited", 0.0))
