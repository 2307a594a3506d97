"""Fit, test and evaluate: from the objects of a run to results.json."""

import logging
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch
from lightning import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from vaelab import hardware
from vaelab.commands import typed
from vaelab.errors import Interrupted, RunFailed, describe_os_error
from vaelab.evaluation.curve_table import curve_table
from vaelab.evaluation.evaluated_model import EvaluatedModel
from vaelab.evaluation.own import Asked, evaluate_own
from vaelab.evaluation.suite import Evaluation, Settings, evaluate
from vaelab.runs import outcome, ranks, summary
from vaelab.runs.console import log_to_console, log_to_file
from vaelab.runs.directory import LAST
from vaelab.runs.extras import make_measures
from vaelab.runs.load import load_run
from vaelab.runs.options import OWN
from vaelab.runs.preemption import return_to_queue
from vaelab.runs.prepare import check_options
from vaelab.runs.reports import report_evaluation, reported
from vaelab.runs.results import (
    add_evaluation,
    describe_parts,
    is_known,
    missing_parts,
    read_results,
    validation_metrics,
    versions,
)
from vaelab.runs.resume import how_to_go_on
from vaelab.runs.run import Components, Run
from vaelab.training.checkpoints import epochs_of
from vaelab.training.lightning_internals import BestCheckpoint
from vaelab.training.module import TrainingDiverged

log = logging.getLogger(__name__)


class Tested(TypedDict):
    """The entry ``tested`` of results.json."""

    checkpoint: str
    epoch: float
    step: int


@dataclass
class Timing:
    """What was tested, and the seconds that it took; ``best`` is None where the last weights were tested."""

    best: Path | None
    fit_s: float
    test_s: float


def execute(run: Run, components: Components, trainer: Trainer) -> None:
    """Fit and test; then write results.json, of a failed run too, and complete it by the evaluation."""
    log_to_file(run.directory)
    summary.introduce(run, components)
    with reported(run, trainer):
        _execute(run, components, trainer)


def _execute(run: Run, components: Components, trainer: Trainer) -> None:
    try:
        timing = fit_and_test(run, components, trainer)
    except TrainingDiverged as error:
        _store_failure(run, error)
        raise RunFailed(f"{error}; {run.directory} keeps what there was") from error
    except SystemExit as error:  # Lightning's answer to Ctrl-C and SIGTERM
        if error.code not in (None, 1):
            raise  # submitit's: its exit code has the job queued again
        if isinstance(error, SIGTERMException):
            return_to_queue()
        raise Interrupted(f"interrupted; {how_to_go_on(run)}") from error
    except OSError as error:
        with suppress(OSError):  # a disk without room for a checkpoint may have none for this either
            _store_failure(run, error)
        raise RunFailed(f"{describe_os_error(error)}; {how_to_go_on(run)}") from error
    except Exception as error:
        log.debug("the run failed", exc_info=True)  # for train.log; the console gets it from the command line
        _store_failure(run, error)
        raise
    results = completed(run, components, trainer, timing)
    if components.measures and trainer.is_global_zero:
        results["evaluation"] = {OWN: _measure_own(run, components, trainer)}
    summary.finish(run, components, results)
    if trainer.is_global_zero:
        evaluate_tested(run, components, trainer)
        report_evaluation(run, trainer)


def _store_failure(run: Run, error: BaseException) -> None:
    if not ranks.is_worker():  # one of several processes: `processes.execute_in_worker` does it
        summary.write_failure(run, error)


def fit_and_test(run: Run, components: Components, trainer: Trainer) -> Timing:
    """Train the model, then test the best weights, or the last."""
    module, data = components.module, components.data
    with warnings.catch_warnings():
        # Lightning warns of what is intended here: batches are gathered from memory and need no workers, there may be
        # no validation, few steps between two logs, and a resumed run's checkpoint folder is not empty.
        warnings.filterwarnings("ignore", category=UserWarning, module="lightning.*")
        warnings.filterwarnings("ignore", category=FutureWarning, module="lightning.*")  # of torch, about Lightning
        began = time.monotonic()
        if not module.model.is_solved:
            trainer.fit(module, datamodule=data, ckpt_path=run.ckpt, weights_only=True)
        fitted = time.monotonic()
        best = best_checkpoint(run, trainer)
        trainer.test(module, datamodule=data, ckpt_path=best, weights_only=True, verbose=False)
        tested = time.monotonic()
        if module.model.is_solved:
            trainer.save_checkpoint(run.directory / LAST)
    return Timing(best, fitted - began, tested - fitted)


def best_checkpoint(run: Run, trainer: Trainer) -> Path | None:
    """The checkpoint whose weights are tested; None for the last weights, which are in memory."""
    if run.config["evaluation"]["checkpoint"] == "last":
        return None
    best = [callback.path for callback in trainer.checkpoint_callbacks if isinstance(callback, BestCheckpoint)]
    return next((path for path in best if path.is_file()), None)  # there is none where nothing was validated


def tested_weights(run: Run, best: Path | None) -> Tested:
    """The entry ``tested`` of results.json: the checkpoint with the tested weights, and when they were saved.

    The epoch is from 1, with a fraction within an epoch; 0 where there was none.
    """
    checkpoint = torch.load(best or run.directory / LAST, map_location="cpu", weights_only=True, mmap=True)
    epoch = round(epochs_of(checkpoint), 2)
    return {"checkpoint": "best" if best else "last", "epoch": epoch, "step": checkpoint["global_step"]}


def completed(run: Run, components: Components, trainer: Trainer, timing: Timing) -> dict[str, object]:
    """results.json of a run that completed."""
    module, data = components.module, components.data
    tested, ended = tested_weights(run, timing.best), outcome.ending(module, trainer)
    epochs = ended["epoch"] - components.resumed.epochs
    return {
        "status": "completed",
        **summary.identity(run),
        **({} if module.objective.weighs_kl else {"beta": None}),
        **({} if module.model.betas is None else {"betas": list(module.model.betas)}),
        "epochs": ended["epoch"],
        "steps": ended["step"],
        "ended": ended,
        "parameters": sum(weight.numel() for weight in module.model.parameters()),
        "data": {**data.describe(), "test": module.tested_images},
        "tested": tested,
        "validation": validation_metrics(run.directory, tested["step"]),
        "test": module.results,
        "blew_up": outcome.blow_up(run, components, module.results) is not None,
        "time": {
            "begin_s": components.begin_s,
            "fit_s": timing.fit_s,
            "epoch_s": timing.fit_s / epochs if epochs > 0 else timing.fit_s,
            "test_s": timing.test_s,
        },
        "device": hardware.describe_device(run.config["trainer"]["accelerator"], trainer.world_size),
        "precision": trainer.precision,
        "versions": versions(),
    }


def _measure_own(run: Run, components: Components, trainer: Trainer) -> dict[str, dict]:
    try:
        return evaluate_own(components.measures, _tested(components, trainer))
    except KeyboardInterrupt as error:
        raise Interrupted(f"interrupted; {how_to_go_on(run)}") from error


def _tested(components: Components, trainer: Trainer) -> EvaluatedModel:
    """The tested model on the device of the training; Lightning moved it to the CPU at its end."""
    return components.module.to(trainer.strategy.root_device).eval().evaluated(components.data)


def evaluate_tested(run: Run, components: Components, trainer: Trainer) -> None:
    """Evaluate the tested weights; an interruption leaves the run itself complete."""
    try:
        evaluate_run(run, _tested(components, trainer), components.measures)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"interrupted; the run is complete, and {typed('evaluate')} {run.directory} does what is missing"
        ) from error
    except OSError as error:
        raise RunFailed(f"{describe_os_error(error)}; the run itself is complete in {run.directory}") from error


def evaluate_run(run: Run, evaluated: EvaluatedModel, measures: Asked) -> None:
    """Add to results.json the parts of the evaluation that every run ends with, as far as they are missing."""
    options = run.config["evaluation"]
    evaluation, there = Evaluation.of(evaluated, Settings.of_run(options)), read_results(run.directory)
    for part in missing_parts(there, run.config):
        if part == OWN:
            known = there.get("evaluation", {})
            asked = [(measure, options) for measure, options in measures if not is_known(options, known)]
            add_evaluation(run.directory, OWN, evaluate_own(asked, evaluated, known.get(OWN)))
        else:
            add_evaluation(run.directory, part, evaluate(part, evaluation))
    if options["parts"]:
        found = read_results(run.directory)["evaluation"]
        if points := found.get("curve", {}).get("points"):
            log.info(summary.rendered(curve_table(points)))
        log.info(f"{describe_parts(found, options['parts'])}; more by {typed('evaluate')} {run.directory}")


def evaluate_finished(run: Run) -> None:
    """Evaluate a job of a sweep that was cut off after its test, or whose evaluation failed."""
    log_to_console(quiet=run.multirun)
    check_options(run.config)
    module, data = load_run(run.directory, folders=run.folders)
    device = torch.device(hardware.resolve(run.config["trainer"]["accelerator"]))
    evaluate_run(run, module.to(device).evaluated(data), make_measures(run.config))
