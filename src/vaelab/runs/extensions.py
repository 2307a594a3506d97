"""The loggers and callbacks of a run, from the sections ``logger`` and ``callbacks`` of its configuration.

A class gets the values of `Offer` for those parameters of its constructor that the configuration does not set.
"""

import inspect
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lightning import Callback
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from vaelab.checks import shown
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError, VaelabError, one_line
from vaelab.files import write_json
from vaelab.runs.pieces import is_of_library, locate, make_piece
from vaelab.runs.run import ResumePoint, Run
from vaelab.training.early_stopping import EarlyStopping
from vaelab.training.lightning_internals import MetricsCSV
from vaelab.training.module import VAEModule

METRICS_CSV = {"_target_": f"{MetricsCSV.__module__}.{MetricsCSV.__qualname__}"}
IDS = ".loggers.json"  # in a run's directory: what its loggers call the run
# What must be installed for a class, and how.
PACKAGES = {
    "WandbLogger": ("wandb", "wandb"),
    "MLFlowLogger": ("mlflow", "mlflow-skinny sqlalchemy alembic"),
    "MLflowRun": ("mlflow", "mlflow-skinny sqlalchemy alembic"),
    "CometLogger": ("comet_ml", "comet-ml"),
    "NeptuneLogger": ("neptune", "neptune"),
}
Made = TypeVar("Made")


@dataclass
class Offer:
    """What a run gives to the classes of its loggers and callbacks, where they have a parameter of that name.

    **Attributes**
        directory, save_dir: the run's directory.
        dirpath: the folder of its checkpoints.
        step: where it resumes; 0: it starts anew.
        has_bound: whether the model has an ELBO and a rate.
        criterion: the metric that chooses the weights; None: there is none.
        id, run_id, experiment_key: what a logger calls the run, where it goes on.
    """

    directory: Path
    step: int
    has_bound: bool
    criterion: str | None

    def values(self, known_as: str | None = None) -> dict[str, object]:
        """The values by the names of the parameters."""
        values = {
            **vars(self), "save_dir": str(self.directory.absolute()), "dirpath": self.directory / "checkpoints",
            **dict.fromkeys(("id", "run_id", "experiment_key"), known_as),
        }  # fmt: skip
        return {name: value for name, value in values.items() if value is not None}


def make_loggers(run: Run, module: VAEModule, resumed: ResumePoint) -> list[Logger]:
    """The loggers of a run; metrics.csv is always among them.

    **Raises**
        InputError: a class does not exist, its package is not installed, or it rejects its options.
    """
    entries = _entries(run, "logger")
    if not any(entry.get("_target_") == METRICS_CSV["_target_"] for entry in entries.values()):
        entries["csv"] = METRICS_CSV
    offer = _offer(run, module, resumed)
    ids = read_ids(run.directory) if run.resumes_in_place else {}
    return [_make(f"logger.{name}", entry, Logger, offer.values(ids.get(name))) for name, entry in entries.items()]


def read_ids(directory: Path) -> dict[str, str]:
    """What each logger calls the run in ``directory``, by the logger's name in the configuration."""
    try:
        found = json.loads((directory / IDS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def store_ids(run: Run, loggers: list[Logger]) -> None:
    """Store what the loggers call the run, so that it can go on there; ``loggers`` are those of `make_loggers`."""
    names = list(_entries(run, "logger"))
    ids = {name: str(logger.version) for name, logger in zip(names, loggers, strict=False) if logger.version}
    if ids:
        write_json(run.directory / IDS, ids)


def make_callbacks(run: Run, module: VAEModule, data: ImageDataModule, resumed: ResumePoint) -> list[Callback]:
    """The callbacks that the configuration adds to those of every run.

    **Raises**
        InputError: as for `make_loggers`; or the run has no validation for one that stops it early.
    """
    offer = _offer(run, module, resumed)
    made = []
    for name, entry in _entries(run, "callbacks").items():
        _check_validation(f"callbacks.{name}", entry, module, data)
        made.append(_make(f"callbacks.{name}", entry, Callback, offer.values()))
    _check_timers(run, made)
    return made


def _offer(run: Run, module: VAEModule, resumed: ResumePoint) -> Offer:
    return Offer(run.directory, resumed.step, module.model.has_bound, module.criterion)


def _entries(run: Run, section: str) -> dict[str, dict]:
    """The members of a section by name."""
    content = run.config.get(section) or {}
    for name, entry in content.items():
        if not isinstance(entry, Mapping) or "_target_" not in entry:
            raise InputError(
                f"{section}.{name} must be a section with the option _target_, the path of a class, such as "
                f"lightning.pytorch.loggers.CSVLogger, got {shown(entry)}: leave {section}.{name} out"
            )
    return dict(content)


def _make(where: str, entry: dict, contract: type[Made], offered: Mapping[str, object]) -> Made:
    _check_package(where, str(entry["_target_"]))
    function = locate(where, str(entry["_target_"]))
    taken = inspect.signature(function).parameters
    _check_login(where, entry)
    entry = {**{name: value for name, value in offered.items() if name in taken}, **entry}
    try:
        return make_piece(where, entry, contract)
    except (TypeError, ValueError, ImportError, MisconfigurationException) as error:
        if isinstance(error, VaelabError) or not is_of_library(function):
            raise
        raise InputError(f"{where} does not take these options: {one_line(error)}") from error


def _check_package(where: str, target: str) -> None:
    package, install = PACKAGES.get(target.rpartition(".")[2], ("", ""))
    if package and not is_installed(package):
        group, _, name = where.partition(".")
        raise InputError(
            f"{group}={name} needs the package {package}, which is not installed: pip install {install}, "
            f"or leave {name} out"
        )


def _check_login(where: str, entry: Mapping[str, object]) -> None:
    """Raise an InputError where Weights & Biases would ask for a key in the middle of the run's output."""
    if not str(entry["_target_"]).endswith(".WandbLogger") or entry.get("offline"):
        return
    if os.environ.get("WANDB_MODE", "online") not in ("online", "run"):
        return
    import wandb

    if not wandb.login(prompt=False, verify=False):
        raise InputError(
            f"{where.replace('.', '=')}: nobody is logged in to Weights & Biases: type wandb login, or set "
            "WANDB_MODE=offline"
        )


def is_installed(package: str) -> bool:
    """Whether ``package`` can be imported; it is not imported."""
    import importlib.util

    return importlib.util.find_spec(package) is not None


def _check_validation(where: str, entry: Mapping[str, object], module: VAEModule, data: ImageDataModule) -> None:
    if not str(entry["_target_"]).startswith(EarlyStopping.__module__):
        return
    name = where.partition(".")[2]
    if not data.val:
        raise InputError(
            f"callbacks={name} watches the validation, and data.val=0 leaves no validation images: take data.val=5000, "
            f"or leave callbacks={name} out"
        )
    if module.criterion is None:
        raise InputError(
            f"callbacks={name} needs a validation metric that chooses the weights, and this loss has none "
            f"(the last weights are tested): leave callbacks={name} out"
        )


def _check_timers(run: Run, callbacks: list[Callback]) -> None:
    """Lightning silently ignores trainer.max_time beside a Timer, and cannot store the state of two."""
    timers = sum(isinstance(callback, Timer) for callback in callbacks)
    if timers + (run.config["trainer"].get("max_time") is not None) > 1:
        raise InputError("callbacks=timer and trainer.max_time are two limits of time: leave one of them out")
