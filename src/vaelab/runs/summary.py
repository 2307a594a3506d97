"""What describes a run: its entries in results.json and in TensorBoard's HParams, and its lines in the terminal."""

import logging
import math
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from vaelab import hardware
from vaelab.errors import RunFailed, VaelabError, describe_os_error, summarize
from vaelab.evaluation.metrics import METRICS
from vaelab.files import write_json
from vaelab.locks import locked
from vaelab.runs import ranks
from vaelab.runs.console import SUMMARY
from vaelab.runs.directory import FIGURES
from vaelab.runs.options import GROUPS, flatten
from vaelab.runs.outcome import blow_up, stop_line
from vaelab.runs.results import EVALUATION_LOCK, RESULTS, commit
from vaelab.runs.run import Components, Run
from vaelab.runs.tracebacks import report_of
from vaelab.training.loggers import TensorBoardFiles

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
    resumed, module, epochs = components.resumed, components.module, run.config["trainer"]["max_epochs"]
    if resumed.asked == epochs or not resumed.epochs:
        return ""
    per_epoch = resumed.step / resumed.epochs
    last, steps = max(0, resumed.step - 1), (round(per_epoch * resumed.asked), round(per_epoch * epochs))
    rate = run.config["optimizer"].get("lr", 1.0)
    old_rate, new_rate = (rate * module.lr(last, length) for length in steps)
    old_beta, new_beta = (module.beta(last, length) for length in steps)
    changes = [
        f"{name} from {old:.3g} to {new:.3g}"
        for name, old, new in (("the learning rate", old_rate, new_rate), ("beta", old_beta, new_beta))
        if not math.isclose(old, new, rel_tol=1e-3, abs_tol=1e-12)
    ]
    note = f"; the schedules now span {epochs} epochs instead of {resumed.asked}"
    return f"{note}: here this changes {' and '.join(changes)}" if changes else ""


def finish(run: Run, components: Components, results: dict) -> None:
    """Write TensorBoard's HParams and results.json of a run that completed, and print its table."""
    if not ranks.is_first():
        return
    _write_hyperparameters(run, components, results)
    try:
        write_json(run.directory / RESULTS, results)
    except OSError as error:
        raise RunFailed(describe_os_error(error)) from error
    _show(run, components, results)


def hyperparameters(run: Run, results: dict) -> dict[str, bool | int | float | str]:
    """What TensorBoard's HParams tab lists: what the run is, and in a sweep every option that was named."""
    said = {name: results[name] for name in (*GROUPS, "latent", "beta", "seed", "epochs")}
    said |= {"data": results["data"]["name"], "optimizer": run.choices.get("optimizer")}
    options = flatten(run.config)
    said["lr"] = options.get("optimizer.lr")
    if run.multirun:  # in a single run they would hide the others
        named = {word.lstrip("+~").partition("=")[0] for word in run.overrides} - {"name", "ckpt"}
        said |= {name: options[name] for name in sorted(named) if name in options}
    return {name: value for name, value in said.items() if isinstance(value, (bool, int, float, str))}


def _write_hyperparameters(run: Run, components: Components, results: dict) -> None:
    trainer = components.trainer
    assert trainer is not None  # a run that completed had one
    metrics = {f"test/{name}": value for name, value in results["test"].items()}
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardFiles):
            logger.log_hyperparams(hyperparameters(run, results), metrics, step=trainer.global_step)
            logger.experiment.flush()


def _show(run: Run, components: Components, results: dict) -> None:
    """Print the test's metrics as a table, where the files are, and how to look at them."""
    log.info(_rendered(metrics_table(results, run.choices.get("likelihood"))))
    took, tested, test = results["time"], results["tested"], results["test"]
    log.info(
        f"fit {took['fit_s']:.1f} s ({took['epoch_s']:.2f} s per epoch), test {took['test_s']:.1f} s "
        f"of the {tested['checkpoint']} weights, epoch {tested['epoch']}"
    )
    brief = ", ".join(f"{name} {test[name]:.3f}" for name in METRICS if name in test and METRICS[name].is_brief)
    _log_for_sweep(run, f"{brief} after {took['begin_s'] + took['fit_s'] + took['test_s']:.0f} s")
    if (stopped := stop_line(results)) is not None:
        log.info(stopped)
    log.info(f"results   {run.directory / RESULTS}")
    if run.config["pictures"]["every"] is not None:
        log.info(f"plots     {run.directory / FIGURES}")
    log.info(f"curves    {os.path.relpath(Path(sys.executable).parent / 'tensorboard')} --logdir {run.directory}")
    if (warning := blow_up(run, components, results["test"])) is not None:
        log.warning(warning)
    if components.data.is_fallback and not run.multirun:
        log.warning(FALLBACK_WARNING)


def metrics_table(results: dict, likelihood: str | None) -> Table:
    """The test's metrics with what each means."""
    data, test = results["data"], results["test"]
    table = Table(title=f"{data['test']:,} test images of {data['name']}", title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("meaning", overflow="fold")
    if likelihood == "bernoulli" and data["binarize"] == "none":
        table.caption, table.caption_justify = GREY_PIXELS, "left"
    for name, metric in METRICS.items():
        if name in test and name != "loss":
            value = str(test[name]) if isinstance(test[name], int) else f"{test[name]:.3f}"
            table.add_row(name, value, metric.unit, metric.meaning)
    return table


def _rendered(table: Table) -> str:
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip()


def _log_for_sweep(run: Run, line: str) -> None:
    """A line that a job of a sweep prints, and a single run does not."""
    log.log(SUMMARY if run.multirun else logging.DEBUG, f"{run.directory.name}: {line}")
