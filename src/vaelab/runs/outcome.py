"""How a training ended: how far it came, why it stopped, and whether it blew up."""

import math

from lightning import Trainer

from vaelab.runs.results import validation_metrics
from vaelab.runs.run import Components, Run
from vaelab.training.module import VAEModule

FINISHED = "finished"


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


def reason(run: Run, module: VAEModule, trainer: Trainer) -> str:
    """Why the training ended: ``finished`` after all epochs, else the option ``max_steps`` or ``max_time``."""
    if module.model.is_solved or epochs_trained(module, trainer) >= (trainer.max_epochs or 0):
        return FINISHED
    if 0 < trainer.max_steps <= trainer.global_step:
        return "max_steps"
    # Without a limit, a run that goes on from within an epoch has fewer steps: Lightning begins with the next epoch.
    return FINISHED if run.config["trainer"].get("max_time") is None else "max_time"


def stop_line(results: dict) -> str | None:
    """What a user is told where the training ended before all of its epochs; None where it did not."""
    if results["stopped"] == FINISHED:
        return None
    asked = results["config"]["trainer"]["max_epochs"]
    done = f"{results['epochs']:g} of {asked} epochs, {results['steps']} steps"
    line = f"trainer.{results['stopped']} ended the training after {done}"
    if results["stopped"] == "max_time":  # for max_steps the schedules know the end
        line += f"; the schedules of the learning rate and of beta are those of {asked} epochs"
    return line


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
