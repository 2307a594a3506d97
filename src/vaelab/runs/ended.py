"""Why a training ended, in words, and with which option it goes on. Imports no torch, so that it is fast."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from vaelab.commands import typed
from vaelab.runs.directory import LAST

ALL_EPOCHS = "epochs"


class Ending(TypedDict):
    """The entry ``ended`` of results.json.

    **Attributes**
        reason: ``epochs`` after all epochs, else ``max_steps``, ``early_stopping``, ``max_time``, ``callback`` for a
            callback of a user's own, or ``solved`` for a model in closed form.
        epoch: how many epochs were trained, with a fraction within an epoch.
        step: how many optimizer steps.
    """

    reason: str
    epoch: float
    step: int


def ended_early(results: Mapping[str, dict]) -> str | None:
    """``early stopping ended it after 3 of 20 epochs``; None where a training had all of its epochs."""
    ended = results.get("ended", {})
    if ended.get("reason") in (None, ALL_EPOCHS, "solved"):
        return None
    asked = results["config"]["trainer"]["max_epochs"]
    return f"{_named(ended['reason'])} ended it after {ended['epoch']:g} of {asked} epochs"


def ending_line(results: Mapping[str, dict], directory: Path) -> str | None:
    """What a user is told where the training ended before all of its epochs; None where it did not."""
    if (said := ended_early(results)) is None:
        return None
    ended, config = results["ended"], results["config"]
    line = f"{said.replace('ended it', 'ended the training')}, {ended['step']} steps"
    if ended["reason"] != "max_steps":  # whose end the schedules know
        line += (
            f"; the schedules of the learning rate and of beta are those of {config['trainer']['max_epochs']} epochs"
        )
    return f"{line}; to train on: {going_on(results, directory)}"


def going_on(results: Mapping[str, dict], directory: Path) -> str:
    """The command that trains on."""
    ckpt = shlex.quote(f"ckpt={directory / LAST}")
    return f"{typed('train')} {ckpt} {remedy(results['ended'], results['config'])}"


def _named(reason: str) -> str:
    words = {"early_stopping": "early stopping", "callback": "a callback"}
    return words.get(reason, f"trainer.{reason}")


def remedy(ended: Mapping[str, object], config: Mapping[str, dict]) -> str:
    """The option with which a run goes on that has ended so."""
    reason = ended["reason"]
    if reason == "early_stopping":
        for name, options in (config.get("callbacks") or {}).items():
            if "patience" in options:
                return f"callbacks.{name}.patience={2 * options['patience']:g}"
    if reason == "max_steps":
        return f"trainer.max_steps={2 * int(str(ended['step']))}"
    if reason == "max_time":
        timed = [name for name, options in (config.get("callbacks") or {}).items() if "duration" in options]
        return f"callbacks.{timed[0]}.duration=null" if timed else "trainer.max_time=null"
    return "callbacks=[]"
