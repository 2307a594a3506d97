"""What the loggers of a run are told about it: its hyperparameters and its final metrics."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lightning import Trainer
from lightning.pytorch.loggers import Logger

from vaelab.errors import RunFailed, VaelabError, one_line
from vaelab.evaluation.metrics import own_values
from vaelab.runs.extensions import store_ids
from vaelab.runs.options import GROUPS, OWN, flatten, is_among
from vaelab.runs.pieces import CONTRACTS, is_of_library
from vaelab.runs.results import read_results
from vaelab.runs.run import Components, Run
from vaelab.training import reporting

Plain = bool | int | float | str
# Sections that say nothing of the model.
UNTOLD = ("logger.", "callbacks.", "pictures.", "hydra.", "name", "ckpt")


@contextmanager
def reported(run: Run, trainer: Trainer) -> Iterator[None]:
    """The loggers of the run begin before the block and end after it.

    **Raises**
        RunFailed: a logger cannot begin: its server does not answer, or nobody is logged in.
    """
    begun: list[Logger] = []
    try:
        if trainer.is_global_zero:
            told = configuration(run)
            for logger in trainer.loggers:
                _begin(logger, told)
                begun.append(logger)
            store_ids(run, trainer.loggers)
        yield
    finally:
        for logger in begun:
            reporting.end(logger)


def _begin(logger: Logger, told: Mapping[str, Plain]) -> None:
    try:
        reporting.begin(logger, told)
    except Exception as error:
        if isinstance(error, (VaelabError, OSError)) or not is_of_library(type(logger)):
            raise
        raise RunFailed(
            f"{type(logger).__name__} cannot begin: {type(error).__name__}: {one_line(error)[:300]}; "
            "leave it out of logger=[...], or try again"
        ) from error


def configuration(run: Run) -> dict[str, Plain]:
    """The members of the groups and the options, as they are typed, without the copies of pieces in other pieces."""
    options = {
        name: value for name, value in flatten(run.config).items()
        if not is_among(name, UNTOLD) and not CONTRACTS.keys() & set(name.split(".")[1:])
    }  # fmt: skip
    return _plain({**run.choices, **options})


def hyperparameters(run: Run, results: Mapping) -> dict[str, Plain]:
    """What TensorBoard's HParams tab lists: what the run is, and in a sweep every option that was named."""
    said = {name: results[name] for name in (*GROUPS, "latent", "beta", "seed", "epochs")}
    said |= {"data": results["data"]["name"], "optimizer": run.choices.get("optimizer")}
    options = flatten(run.config)
    said["lr"] = options.get("optimizer.lr")
    if run.multirun:  # in a single run they would hide the others
        named = {word.lstrip("+~").partition("=")[0] for word in run.overrides} - {"name", "ckpt"}
        said |= {name: options[name] for name in sorted(named) if name in options}
    return _plain(said)


def _plain(values: Mapping[str, object]) -> dict[str, Plain]:
    """Numbers and words as they are, lists as text; nothing else."""
    listed = {name: str(value) if isinstance(value, list) else value for name, value in values.items()}
    return {name: value for name, value in listed.items() if isinstance(value, Plain)}


def measured(results: Mapping) -> dict[str, float]:
    """The metrics of the test, then the user's own."""
    return {**results["test"], **own_values(results.get("evaluation", {}).get(OWN, {}))}


def report_result(run: Run, components: Components, results: Mapping) -> None:
    """Send the loggers the metrics of the test."""
    trainer = components.trainer
    assert trainer is not None  # a run that completed had one
    metrics = {f"test/{name}": value for name, value in measured(results).items()}
    reporting.send_result(trainer.loggers, hyperparameters(run, results), metrics, trainer.global_step)


def report_evaluation(run: Run, trainer: Trainer) -> None:
    """Send the numbers of the evaluation to the loggers that take them one by one."""
    found = flatten(read_results(run.directory).get("evaluation", {}))
    numbers = {
        f"evaluation/{name.replace('.', '/')}": value for name, value in found.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }  # fmt: skip
    for logger in trainer.loggers:
        if numbers and not hasattr(logger, "log_result"):
            logger.log_metrics(numbers, trainer.global_step)
