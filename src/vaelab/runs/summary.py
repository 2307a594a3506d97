"""What describes a run: its entries in results.json, and its lines in the terminal."""

import logging
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from rich.table import Table

from vaelab import hardware
from vaelab.errors import RunFailed, VaelabError, describe_os_error, summarize
from vaelab.evaluation.metrics import CATALOGUE
from vaelab.files import write_json
from vaelab.locks import locked
from vaelab.models.contracts import Schedule
from vaelab.runs import ranks
from vaelab.runs.console import SUMMARY
from vaelab.runs.directory import FIGURES
from vaelab.runs.ended import ending_line
from vaelab.runs.options import GROUPS
from vaelab.runs.outcome import blow_up
from vaelab.runs.reports import measured, report_result
from vaelab.runs.results import EVALUATION_LOCK, RESULTS, commit
from vaelab.runs.run import Components, Run
from vaelab.runs.tracebacks import report_of
from vaelab.runs.trainer_options import steps_per_epoch
from vaelab.training.mlflow_run import MLflowRun

log = logging.getLogger(__name__)

FALLBACK_WARNING = (
    "WARNING: this is not MNIST but mnist5k, 5,000 of its images; the metrics are not comparable with MNIST's"
)
GREY_PIXELS = (
    "Grey pixels: nats of a cross-entropy, not of a likelihood; not comparable with nats of binarised images "
    "(data.binarize)."
)


def identity(run: Run) -> dict[str, object]:
    """The entries of results.json that follow from the configuration alone."""
    config = run.config
    return {
        "name": config["name"],
        "overrides": run.overrides,
        **{group: run.choices.get(group) for group in GROUPS},
        "latent": config["latent"],
        "beta": config["beta"].get("weight"),
        "seed": config["seed"],
        "epochs": config["trainer"]["max_epochs"],
        "choices": run.choices,
        "config": config,
        "commit": commit(),
    }


def failure(run: Run, error: BaseException) -> dict[str, object]:
    """results.json of a run that failed; that of a bug holds the traceback too."""
    is_bug = not isinstance(error, (VaelabError, OSError))
    bug = {"traceback": report_of(error)} if is_bug else {}
    return {"status": "failed", "error": summarize(error), **bug, **identity(run)}


def write_failure(run: Run, error: BaseException) -> None:
    """Write results.json of a run that failed.

    Of several processes the first to fail knows the reason; the others fail because they lose it.
    """
    if not ranks.is_worker():
        write_json(run.directory / RESULTS, failure(run, error))
        return
    with locked(run.directory / EVALUATION_LOCK, wait=True):
        if not (run.directory / RESULTS).exists():
            write_json(run.directory / RESULTS, failure(run, error))


def introduce(run: Run, components: Components) -> None:
    """Log the run's pieces, its data and its device before it trains."""
    data, config = components.data.describe(), run.config
    choices = ", ".join(f"{group} {run.choices.get(group)}" for group in GROUPS)
    _log_for_sweep(run, "resumes" if run.ckpt else "starts")
    log.info(f"{run.directory}: {choices}, latent {config['latent']}")
    precision = components.trainer.precision if components.trainer else config["trainer"]["precision"]
    log.info(
        f"{data['name']} with {data['train']:,} images to train, {data['val']:,} to validate, {data['test']:,} to "
        f"test, batches of {data['batch_size']}; {hardware.describe_device(config['trainer']['accelerator'], 1)}, "
        f"{precision}, {components.processes} process(es)"
    )
    if components.data.is_fallback:
        log.warning(FALLBACK_WARNING)
    if run.ckpt:
        log.info(f"going on from {run.ckpt}, step {components.resumed.step}{stretched(run, components)}")


def stretched(run: Run, components: Components) -> str:
    """How the schedules change where a run goes on for longer than it was to last; "" where they do not.

    They are functions of the share of the training that is done, and that share is smaller in a longer training.
    """
    resumed, options = components.resumed, run.config["trainer"]
    per_epoch = steps_per_epoch(options, components.data)
    before = _length(resumed.asked, resumed.limit, per_epoch)
    now = _length(options["max_epochs"], options.get("max_steps"), per_epoch)
    if before == now or not resumed.step:
        return ""
    last, rate = max(0, resumed.step - 1), run.config["optimizer"].get("lr", 1.0)
    schedules = (components.module.lr, components.module.beta)
    (old_rate, old_beta), (new_rate, new_beta) = (
        [_value(schedule, last, steps, per_epoch) for schedule in schedules] for steps in (before, now)
    )
    old_rate, new_rate = rate * old_rate, rate * new_rate
    changes = [
        f"{name} from {old:.3g} to {new:.3g}"
        for name, old, new in (("the learning rate", old_rate, new_rate), ("beta", old_beta, new_beta))
        if not math.isclose(old, new, rel_tol=1e-3, abs_tol=1e-12)
    ]
    note = f"; the schedules now span {now / per_epoch:g} epochs instead of {before / per_epoch:g}"
    return f"{note}: here this changes {' and '.join(changes)}" if changes else ""


def _length(epochs: int, limit: int | None, per_epoch: int) -> int:
    """The steps of a training of so many epochs, or of ``limit`` steps if that is shorter."""
    steps = epochs * per_epoch
    return steps if limit is None or limit < 0 else min(steps, limit)


def _value(schedule: Schedule, step: int, steps: int, per_epoch: int) -> float:
    """The value of ``schedule`` at ``step`` in a training of so many steps."""
    schedule.epochs = steps / per_epoch  # the training sets its own when it begins
    return schedule(step, steps)


def finish(run: Run, components: Components, results: dict) -> None:
    """Send the loggers the result, write results.json of a run that completed, and print its table."""
    if not ranks.is_first():
        return
    report_result(run, components, results)
    try:
        write_json(run.directory / RESULTS, results)
    except OSError as error:
        raise RunFailed(describe_os_error(error)) from error
    _show(run, components, results)


def _show(run: Run, components: Components, results: dict) -> None:
    """Print the test's metrics as a table, where the files are, and how to look at them."""
    log.info(rendered(metrics_table(results, run.choices.get("likelihood"))))
    took, tested, test = results["time"], results["tested"], results["test"]
    log.info(
        f"fit {took['fit_s']:.1f} s ({took['epoch_s']:.2f} s per epoch), test {took['test_s']:.1f} s "
        f"of the {tested['checkpoint']} weights, epoch {tested['epoch']}"
    )
    brief = ", ".join(f"{name} {test[name]:.3f}" for name in CATALOGUE if name in test and CATALOGUE[name].is_brief)
    _log_for_sweep(run, f"{brief} after {took['begin_s'] + took['fit_s'] + took['test_s']:.0f} s")
    if (ended := ending_line(results, run.directory)) is not None:
        log.info(ended)
    log.info(f"results   {run.directory / RESULTS}")
    if run.config["pictures"]["every"] is not None:
        log.info(f"plots     {run.directory / FIGURES}")
    for line in where_to_look(run, components):
        log.info(line)
    if test.get("active_units") == 0 and not run.multirun:
        log.info("no latent is active: images do not reach the decoder; train for more epochs, or lower beta.weight")
    if (warning := blow_up(run, components, results["test"])) is not None:
        log.warning(warning)
    if components.data.is_fallback and not run.multirun:
        log.warning(FALLBACK_WARNING)


def where_to_look(run: Run, components: Components) -> Iterator[str]:
    """How to look at the curves, for each logger that has them; Weights & Biases says so itself."""
    for logger in components.trainer.loggers if components.trainer else []:
        if isinstance(logger, TensorBoardLogger):
            command = os.path.relpath(Path(sys.executable).parent / "tensorboard")
            yield f"curves    {command} --logdir {run.directory}"
        elif isinstance(logger, MLflowRun):
            yield f"curves    mlflow ui --backend-store-uri {logger.options['tracking_uri']}"


def metrics_table(results: dict, likelihood: str | None) -> Table:
    """The test's metrics with what each means."""
    data, test = results["data"], measured(results)
    table = Table(title=f"{data['test']:,} test images of {data['name']}", title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("meaning", overflow="fold")
    if likelihood == "bernoulli" and data["binarize"] == "none":
        table.caption, table.caption_justify = GREY_PIXELS, "left"
    for name, metric in CATALOGUE.items():
        if name in test and name != "loss":
            value = str(test[name]) if isinstance(test[name], int) else f"{test[name]:.3f}"
            table.add_row(name, value, metric.unit, metric.meaning)
    return table


def rendered(table: Table) -> str:
    """``table`` as text."""
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip()


def _log_for_sweep(run: Run, line: str) -> None:
    """A line that a job of a sweep prints, and a single run does not."""
    log.log(SUMMARY if run.multirun else logging.DEBUG, f"{run.directory.name}: {line}")
