"""Resuming: whether a checkpoint fits a run, and whether a job of a sweep is resumed or started again."""

import logging
import math
import shlex
from collections.abc import Mapping
from pathlib import Path

from lightning.pytorch.callbacks import Timer
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from vaelab.commands import typed
from vaelab.errors import InputError, one_line
from vaelab.runs.directory import COMPOSED, LAST, check_free, clear_for_restart, keep_aside
from vaelab.runs.ended import remedy
from vaelab.runs.migrate import keep_schedule, migrate
from vaelab.runs.options import NOT_TRAINING, RATES, STRUCTURE, differences, read_config
from vaelab.runs.results import RESULTS, read_state
from vaelab.runs.run import ResumePoint, Run
from vaelab.training.checkpoints import epochs_of, read_checkpoint
from vaelab.training.early_stopping import EarlyStopping, epochs_waited

log = logging.getLogger(__name__)


def find_resume_point(run: Run) -> ResumePoint:
    """Where ``run`` goes on.

    **Raises**
        InputError: its checkpoint is damaged, belongs to another model, or has reached the asked number of epochs.
    """
    if run.ckpt is None:
        return ResumePoint()
    checkpoint = read_checkpoint(run.ckpt)
    check_fits(run.ckpt, checkpoint, run.config)
    if "current_model_state" in checkpoint and run.config["evaluation"]["ema"] is None:
        raise InputError(f"ckpt={run.ckpt} holds averaged weights: go on with evaluation.ema=..., as that run had")
    _check_is_last(run, run.ckpt, checkpoint)
    done, epochs = epochs_of(checkpoint), run.config["trainer"]["max_epochs"]
    lacks_only_its_test = run.resumes_in_place and not (run.directory / RESULTS).exists()
    if done > epochs or (done == epochs and not lacks_only_its_test):
        raise InputError(
            f"ckpt={run.ckpt} was trained for {done:g} epochs, and this command asks for {epochs}: "
            f"say epochs={math.ceil(2 * done)}, or another number above {done:g}, to train it for longer"
        )
    if not lacks_only_its_test:
        check_not_ended(run, checkpoint)
    if keep_schedule(checkpoint["config"].get("lr", {}), run.config["lr"]):
        log.info("the learning rate goes on as version 0.1.0 began it: its cosine falls during the warm-up too")
    asked = migrate(checkpoint["config"]).get("epochs", done)
    limit = checkpoint["config"].get("trainer", {}).get("max_steps")
    return ResumePoint(checkpoint["global_step"], done, asked, limit, checkpoint["data"])


def check_not_ended(run: Run, checkpoint: Mapping[str, dict]) -> None:
    """Raise an InputError where what ended the training of ``checkpoint`` would end it again at once."""
    step, config = int(str(checkpoint["global_step"])), run.config
    limit = config["trainer"].get("max_steps")
    reason, why = "", ""
    if limit not in (None, -1) and step >= limit:
        reason, why = "max_steps", f"was trained for {step} steps, and trainer.max_steps={limit} ends it there"
    if (patience := _patience(config)) is not None and epochs_waited(checkpoint) >= patience:
        reason, why = "early_stopping", f"was stopped early: {patience:g} epochs brought no better validation"
    if (seconds := _time_limit(config)) is not None and _seconds_trained(checkpoint) >= seconds:
        reason, why = "max_time", "was trained for as long as its limit of time allows"
    if reason:
        option = remedy({"reason": reason, "step": step}, config)
        raise InputError(f"ckpt={run.ckpt} {why}: to train on, add {option}, or another value that allows more")


def _patience(config: Mapping[str, dict]) -> float | None:
    """The patience of the project's early stopping, where a run has it."""
    entries = (config.get("callbacks") or {}).values()
    target = f"{EarlyStopping.__module__}.{EarlyStopping.__qualname__}"
    return next((entry.get("patience", 10) for entry in entries if entry.get("_target_") == target), None)


def _time_limit(config: Mapping[str, dict]) -> float | None:
    """The seconds after which a run ends, by ``trainer.max_time`` or a Timer; None: no limit."""
    durations = [entry.get("duration") for entry in (config.get("callbacks") or {}).values()]
    given = next((limit for limit in (config["trainer"].get("max_time"), *durations) if limit is not None), None)
    return None if given is None else Timer(given).time_remaining()


def _seconds_trained(checkpoint: Mapping[str, dict]) -> float:
    """The seconds that Lightning's Timer counted over all parts of the training; 0 where there was none."""
    timer = checkpoint.get("callbacks", {}).get("Timer", {})
    return float(timer.get("time_elapsed", {}).get("train", 0.0))


def _check_is_last(run: Run, ckpt: Path, checkpoint: dict) -> None:
    last = run.directory / LAST
    if not (run.resumes_in_place and last.exists()):
        return
    if read_checkpoint(last)["global_step"] > checkpoint["global_step"]:
        raise InputError(
            f"ckpt={ckpt} has fewer steps than {last}, which going on here would overwrite: "
            "take that one, or branch off into a directory of its own with name=..."
        )


def check_fits(path: Path, checkpoint: dict, config: Mapping[str, object]) -> None:
    """Raise an InputError where ``checkpoint`` holds the weights of another model than ``config`` describes."""
    for key in STRUCTURE:
        there, here = (_without_rates(migrate(side).get(key)) for side in (checkpoint["config"], config))
        if there != here:
            there, here = _innermost_difference(key, there, here)
            raise InputError(
                f"ckpt={path} was trained with {there}, this command says {here}: "
                f"add {there} to start from its weights, or leave ckpt out to train from the beginning"
            )


def _without_rates(section: object) -> object:
    if not isinstance(section, Mapping):
        return section
    return {key: value for key, value in section.items() if key not in RATES}


def _innermost_difference(key: str, there: object, here: object) -> tuple[str, str]:
    """The innermost option in which two configurations differ, as it is typed."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for inner in [*there, *(name for name in here if name not in there)]:
            if there.get(inner) != here.get(inner):
                return _innermost_difference(f"{key}.{inner}", there.get(inner), here.get(inner))
    return f"{key}={there}", f"{key}={here}"


def resume_or_restart(run: Run) -> None:
    """Resume a job of a sweep that was cut off or failed, or else start it again; no file is lost.

    **Raises**
        InputError: its directory holds something else.
    """
    last, composed = run.directory / LAST, run.directory / COMPOSED
    results = read_state(run.directory).results
    if results is not None and results.get("status") == "failed":
        (run.directory / RESULTS).unlink()  # the job is tried again
    if not composed.is_file():
        check_free(run.directory, resumes=False)
        clear_for_restart(run.directory)
        return
    try:
        changed = differences(migrate(read_config(composed)), migrate(run.config), NOT_TRAINING)
        if last.is_file() and not changed:
            read_checkpoint(last)
    except (InputError, YAMLError, OmegaConfBaseException) as error:  # its files are damaged
        log.warning(f"{run.directory.name} starts again: {one_line(error)}")
        clear_for_restart(run.directory)
        return
    if changed:
        raise InputError(
            f"was cut off, but with {'; '.join(changed[:3])}; nothing was touched: delete it to train it again, "
            "or take another place with name=..."
        )
    if last.is_file():
        keep_aside(run.directory / RESULTS)
        run.config["ckpt"] = str(last)
    else:
        clear_for_restart(run.directory)


def how_to_go_on(run: Run) -> str:
    """The command that goes on with ``run``, or why there is none."""
    last = run.directory / LAST
    if last.exists():
        return f"go on with: {typed('train')} {shlex.quote(f'ckpt={last}')}"
    return f"it had saved no epoch, so there is nothing to go on from in {run.directory}"
