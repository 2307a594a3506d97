"""How a training ended: how far it came, why it stopped, and whether it blew up."""

import math

from lightning import Trainer
from lightning.pytorch.callbacks import EarlyStopping, Timer
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

from vaelab.runs.ended import ALL_EPOCHS, Ending
from vaelab.runs.results import validation_metrics
from vaelab.runs.run import Components, Run
from vaelab.training.lightning_internals import callbacks_of
from vaelab.training.module import VAEModule


def epochs_trained(module: VAEModule, trainer: Trainer) -> float:
    """How many epochs the model has been trained for, with a fraction where the training stopped within one."""
    if module.model.is_solved:
        return 0
    batches = trainer.num_training_batches
    if not batches or not math.isfinite(batches):  # nothing was trained now: the run lacked its test alone
        return trainer.current_epoch
    per_epoch = math.ceil(batches / trainer.accumulate_grad_batches)
    whole, rest = divmod(trainer.global_step, per_epoch)
    return round(whole + rest / per_epoch, 2) if rest else whole


def ending(module: VAEModule, trainer: Trainer) -> Ending:
    """The entry ``ended`` of results.json: why the training ended, after how many epochs, and at which step.

    The reason is ``epochs`` after all epochs, else ``max_steps``, ``early_stopping``, ``max_time``, ``callback`` for a
    callback of a user's own, or ``solved`` for a model in closed form.
    """
    epoch = epochs_trained(module, trainer)
    return {"reason": _reason(module, trainer, epoch), "epoch": epoch, "step": trainer.global_step}


def _reason(module: VAEModule, trainer: Trainer, epoch: float) -> str:
    if module.model.is_solved:
        return "solved"
    if epoch >= (trainer.max_epochs or 0):
        return ALL_EPOCHS
    if 0 < trainer.max_steps <= trainer.global_step:
        return "max_steps"
    for callback in callbacks_of(trainer):
        if isinstance(callback, EarlyStopping) and callback.stopping_reason != EarlyStoppingReason.NOT_STOPPED:
            return "early_stopping"
        remaining = callback.time_remaining() if isinstance(callback, Timer) else None
        if remaining is not None and remaining <= 0:
            return "max_time"
    # A checkpoint of an older version within an epoch goes on with the next epoch, and then has fewer steps.
    return "callback" if trainer.should_stop else ALL_EPOCHS


def blow_up(run: Run, components: Components, test: dict[str, float]) -> str | None:
    """A warning where the trained model is far worse than the untrained one was; None where it is not.

    Compared is the metric that chooses the weights, after the last epoch (on validation images) and in the test. Far
    worse means by more than a nat per pixel, and by more than the untrained model's own value.
    """
    name = components.module.criterion or "distortion"
    before = components.untrained.get(name)
    if before is None or components.module.model.is_solved:
        return None
    margin = max(abs(before), float(components.data.sets["train"].images[0].numel()))
    sign = -1.0 if name == "distortion" else 1.0
    found = {"validation": validation_metrics(run.directory).get(name), "test": test.get(name)}
    for where, value in found.items():
        if value is not None and sign * (value - before) < -margin:
            return (
                f"WARNING: the training became unstable: at its end the {where} {name} is {value:.4g} nats, and before "
                f"the training it was about {before:.4g}: lower optimizer.lr, or clip with trainer.gradient_clip_val=1"
            )
    return None
