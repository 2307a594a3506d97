"""The command line as functions, for Python and notebooks: errors are raised, and nothing ends the process."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

import vaelab
from vaelab.cli.explain import explain, search_path
from vaelab.cli.overrides import MULTIRUN, CommandLine
from vaelab.cli.train import start
from vaelab.commands import NAME
from vaelab.errors import InputError
from vaelab.files import CONF
from vaelab.runs.options import resolve, unresolved
from vaelab.runs.unread import check_read

FOLDER = ("--config-dir", "-cd")  # the flag that names a folder of pieces

if TYPE_CHECKING:
    import pandas as pd

    from vaelab.runs.finished import FinishedRun


def train(*overrides: str) -> "FinishedRun":
    """Train, test, evaluate and plot a model: ``vaelab train`` in Python. The run goes to outputs/runs/<name>.

    **Arguments**
        overrides: what the command line takes, such as ``latent=2``.

    **Raises**
        VaelabError: the line that the command would end with; a bug keeps its own exception.

    **Example**

        run = vaelab.train("latent=2", "beta.weight=4", "name=two")
        run.metrics["elbo"]
    """
    words = _checked("train", overrides)
    from vaelab.runs.finished import load

    return load(_execute(words))


def sweep(*overrides: str) -> "pd.DataFrame":
    """Train every combination of options: ``vaelab sweep`` in Python. The jobs go to outputs/sweeps/<name>.

    The same call again trains what is missing.

    **Arguments**
        overrides: what the command line takes; several values of an option are an axis, such as ``latent=2,10``.

    **Returns**
        A row for each job, as in sweep.csv, with the axes and the metrics of its test, such as ``test_elbo``.
        The attribute ``attrs["directory"]`` is the sweep's directory, which has the report and its plots.

    **Raises**
        VaelabError: the line that the command would end with, also where a job failed; the other jobs were trained.

    **Example**

        table = vaelab.sweep("latent=2,10", "beta.weight=1,4")
        table[["latent", "beta.weight", "test_elbo"]]
    """
    directory = _execute([MULTIRUN[0], *_checked("sweep", overrides)])
    from vaelab.sweeps.documents import job_table
    from vaelab.sweeps.table import read

    table = job_table(read([directory]))
    table.attrs["directory"] = str(directory)
    return table


def compose(*overrides: str) -> DictConfig:
    """The configuration of a run, without its training: every option with its value.

    **Arguments**
        overrides: what the command line takes, such as ``latent=2``.

    **Raises**
        InputError: an option or a value does not exist.

    **Example**
        >>> compose("latent=2", "beta=linear", "beta.weight=4", "name=two").beta.weight
        4
    """
    command = CommandLine.parse(_checked("compose", overrides))
    command.check()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            words = takewhile(lambda word: not word.startswith("-"), command.words)  # the flags come last
            config = hydra.compose("config", [*search_path(command.members), *words], return_hydra_config=True)
            return _resolved(config, list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(explain(error, command)) from error


def _resolved(config: DictConfig, words: list[str]) -> DictConfig:
    """``config`` without Hydra's own section, its interpolations resolved."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)  # to which the run's name refers
    try:
        own = OmegaConf.create(config)
        with open_dict(own):
            del own["hydra"]
        check_read(unresolved(own), words)
        return OmegaConf.create(resolve(own))
    finally:
        HydraConfig.instance().cfg = before


def _checked(function: str, overrides: tuple[str, ...]) -> list[str]:
    """``overrides`` as words of a command line; an InputError where they are no texts, or a flag that prints."""
    for word in overrides:
        if not isinstance(word, str):
            raise InputError(f'vaelab.{function} takes texts such as "latent=2", got {type(word).__name__} {word!r}')
        if word in MULTIRUN or word.startswith("hydra.mode="):
            raise InputError(
                f"vaelab.{function} takes no {word}: vaelab.sweep is for several runs, vaelab.train for one"
            )
        if word.startswith("-") and not word.startswith(FOLDER):
            raise InputError(
                f"vaelab.{function} takes options such as latent=2, and of the flags only --config-dir=..."
            )
    return list(overrides)


def _execute(words: list[str]) -> Path:
    """Execute the command line ``words``, and return the directory of the run or the sweep."""
    vaelab.STARTED = time.time()
    with _arguments(words):
        directory = start(words)
    assert directory is not None  # only a command with a flag such as --cfg, which _checked refuses, has none
    return directory.relative_to(Path.cwd()) if directory.is_relative_to(Path.cwd()) else directory


@contextmanager
def _arguments(words: list[str]) -> Iterator[None]:
    """Set ``sys.argv``, which Hydra reads, to ``words`` in the block; close train.log at its end."""
    from vaelab.runs.console import close_logs

    before = sys.argv
    sys.argv = [NAME, *words]
    try:
        yield
    finally:
        sys.argv = before
        close_logs()
