"""Checks of the section ``trainer`` before a run begins; Lightning would find many faults only in the training."""

import difflib
import inspect
from collections.abc import Callable, Mapping

from lightning import Trainer
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.strategies import StrategyRegistry
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from vaelab import hardware
from vaelab.checks import flag, number, one_of, shown, whole
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError

KNOWN = {*inspect.signature(Trainer).parameters, "compile"}
# What train.py gives the Trainer itself, or what a run cannot do, and what to type instead.
OURS = {
    "logger": "the group logger chooses them, such as logger=[tensorboard,wandb]",
    "callbacks": "the group callbacks chooses them, such as callbacks=early_stopping",
    "plugins": "they follow from trainer.precision and accelerator",
    "default_root_dir": "the directory is hydra.run.dir=...",
    "num_sanity_val_steps": "every piece is tried before the training",
    "use_distributed_sampler": "data.batch_size is split over the processes",
    "enable_progress_bar": "a run has its own bar on a terminal",
    "enable_model_summary": "results.json has the number of parameters",
    "enable_checkpointing": "the test needs the weights",
    "fast_dev_run": "it saves nothing that could be tested; take trainer=debug",
    "barebones": "it saves nothing that could be tested; take trainer=debug",
    "num_nodes": "a run trains on one machine; accelerator=ddp takes all of its GPUs",
    "limit_predict_batches": "a run predicts nothing",
}
PROFILERS = ("simple", "advanced", "pytorch")
Check = Callable[[str, object], object]


def _number_from_0(name: str, value: object) -> object:
    return number(name, value)


def _whole_from_0(name: str, value: object) -> object:
    return whole(name, value, 0)


def _steps(name: str, value: object) -> object:
    return value if value == -1 else whole(name, value)  # -1 is Lightning's "no limit"


def _duration(name: str, value: object) -> None:
    try:
        Timer(duration=value)  # type: ignore[arg-type]  # what is no duration raises
    except (MisconfigurationException, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{name} must be days:hours:minutes:seconds, such as 00:01:30:00, got {value!r}") from error


def _strategy(name: str, value: object) -> None:
    if value != "auto" and value not in StrategyRegistry.available_strategies():
        raise InputError(
            f"{name} must be auto, or ddp (accelerator=ddp), or another of Lightning's, got {shown(value)}"
        )


def _profiler(name: str, value: object) -> None:
    one_of(name, value, PROFILERS)


def _algorithm(name: str, value: object) -> None:
    one_of(name, value, ("norm", "value"))


def _deterministic(name: str, value: object) -> None:
    if value != "warn":
        flag(name, value)


# The options that are checked where they are not null.
CHECKS: Mapping[str, Check] = {
    "accumulate_grad_batches": whole,
    "benchmark": flag,
    "check_val_every_n_epoch": whole,
    "detect_anomaly": flag,
    "deterministic": _deterministic,
    "gradient_clip_algorithm": _algorithm,
    "gradient_clip_val": _number_from_0,
    "inference_mode": flag,
    "max_steps": _steps,
    "max_time": _duration,
    "min_epochs": _whole_from_0,
    "min_steps": _whole_from_0,
    "profiler": _profiler,
    "reload_dataloaders_every_n_epochs": _whole_from_0,
    "strategy": _strategy,
    "sync_batchnorm": flag,
}
NEEDED = ("max_epochs", "log_every_n_steps")


def check_trainer(options: dict, epochs: int) -> None:
    """Raise an InputError where an option of the section ``trainer`` does not exist, or has a wrong value."""
    for name in options:
        if name in OURS:
            raise InputError(f"trainer.{name} is not for a run: {OURS[name]}; leave +trainer.{name} out")
        if name not in KNOWN:
            close = difflib.get_close_matches(name, KNOWN - OURS.keys(), n=1)
            hint = f"; did you mean trainer.{close[0]}?" if close else ""
            raise InputError(f"trainer has no option {name!r}{hint or f': leave trainer.{name} out'}")
    for name in NEEDED:
        whole(f"trainer.{name}", options[name])
    for name, check in CHECKS.items():
        if options.get(name) is not None:
            check(f"trainer.{name}", options[name])
    hardware.check_compile(options["compile"])
    if options["max_epochs"] != epochs:
        raise InputError(
            f"trainer.max_epochs={options['max_epochs']} contradicts epochs={epochs}: "
            f"leave trainer.max_epochs out, and say epochs={options['max_epochs']}"
        )
    least = options.get("min_epochs") or 0
    if least > epochs:
        raise InputError(
            f"trainer.min_epochs={least} is more than epochs={epochs}: say epochs={least}, or leave it out"
        )


def check_limits(options: Mapping[str, object], data: ImageDataModule) -> None:
    """Raise an InputError where a limit on batches leaves none, or validation would come after the last."""
    counts = {
        "train": len(data.train_dataloader()),
        "val": len(data.val_dataloader()),
        "test": len(data.test_dataloader()),
    }
    for part, count in counts.items():
        _check_limit(f"trainer.limit_{part}_batches", options.get(f"limit_{part}_batches"), count, part == "val")
        if part != "test":
            _check_limit("trainer.overfit_batches", options.get("overfit_batches"), count, True)
    _check_validation(options, counts["train"])


def validates_within_epoch(options: Mapping[str, object]) -> bool:
    """Whether validations take place elsewhere than at the ends of epochs."""
    return options.get("val_check_interval") is not None


def steps_per_epoch(options: Mapping[str, object], data: ImageDataModule) -> int:
    """Optimizer steps in an epoch."""
    batches, limit = len(data.train_dataloader()), options.get("limit_train_batches")
    if isinstance(limit, (int, float)):
        batches = min(batches, limit) if isinstance(limit, int) else int(limit * batches)
    accumulated = options.get("accumulate_grad_batches") or 1
    assert isinstance(accumulated, int)
    return -(-batches // accumulated)


def _check_validation(options: Mapping[str, object], batches: int) -> None:
    name, interval = "trainer.val_check_interval", options.get("val_check_interval")
    if options["check_val_every_n_epoch"] is None:
        if interval is None:
            raise InputError(f"trainer.check_val_every_n_epoch=null needs a number of batches: say {name}=100")
        whole(f"{name}, without trainer.check_val_every_n_epoch,", interval)
        return
    if interval is None:
        return
    if number(name, interval, above=True) > (1 if isinstance(interval, float) else batches):
        raise InputError(
            f"{name}={interval} is longer than an epoch of {batches} batches: take a smaller one, "
            "or add trainer.check_val_every_n_epoch=null to count the batches of all epochs together"
        )
    _check_limit(name, interval, batches, False)


def _check_limit(name: str, limit: object, count: int, may_be_none: bool) -> None:
    if limit is None or (may_be_none and limit == 0 and not isinstance(limit, bool)) or not count:
        return
    share = number(name, limit)
    if isinstance(limit, float) and share > 1:
        raise InputError(f"{name} is a whole number of batches, or a share up to 1.0, got {limit}")
    if int(share if isinstance(limit, int) else share * count) < 1:
        raise InputError(f"{name}={limit} leaves no batch of {count}: take 1 for one batch, or leave it out")
