"""Train the jobs of a sweep together, stacked in one process, where they differ only in the values of numbers.

    python scripts/train_stacked.py name=grid experiment=stackable beta.weight=0.5,1,2,4 seed=1,2 optimizer.lr=4e-3,8e-3

The arguments are those of `python train.py -m`, with a name. Each job gets the directory and the checkpoint that it
would get alone; then `python train.py -m` with the same arguments tests all jobs and makes the sweep's report. Jobs
that are trained already are skipped, and so are jobs that another process works on.
"""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from vaelab import own
from vaelab.cli import tools
from vaelab.cli.arguments import with_sweep_directory
from vaelab.cli.explain import explain, search_path
from vaelab.cli.members import Members
from vaelab.cli.overrides import MULTIRUN, CommandLine
from vaelab.errors import InputError
from vaelab.files import CONF, PROJECT
from vaelab.locks import locked
from vaelab.runs.directory import COMPOSED, LOCK, release
from vaelab.runs.options import resolve
from vaelab.runs.run import Run
from vaelab.runs.stacking import check_stackable, train_stacked
from vaelab.sweeps.names import job_name

# Options of Hydra with which train.py would make other jobs, or put them elsewhere.
NOT_FOR_STACKS = ("hydra/sweeper", "hydra.sweeper", "hydra.sweep.subdir", "hydra.job")


def work() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument not in MULTIRUN]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return
    with ExitStack() as locks:
        runs = [run for run in jobs(arguments) if locks.enter_context(locked(run.directory / LOCK))]
        try:
            new = [run for run in runs if not (run.directory / COMPOSED).exists()]
            if new:
                train_stacked(new)
        finally:
            for run in runs:
                release(run.directory)
    sys.exit(subprocess.run([sys.executable, str(PROJECT / "train.py"), "-m", *arguments]).returncode)


def jobs(arguments: list[str]) -> list[Run]:
    """The jobs of the sweep that ``arguments`` describe."""
    if not any(argument.startswith("name=") for argument in arguments):
        raise InputError("the sweep needs a name, after which its directory is named: name=...")
    _, sweep = with_sweep_directory(arguments)
    try:
        command = CommandLine.parse(arguments)
        command.members.check_names()
        own.use(command.members.own_folders)
        overrides = OverridesParser.create().parse_overrides(list(command.rest))
        split = BasicSweeper.split_arguments(_task(overrides), None)[0]
        runs = [_run(job, sweep, command.members) for job in split]
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(explain(error, CommandLine.parse(arguments))) from error
    check_stackable([run.config for run in runs])
    return runs


def _task(overrides: list[Override]) -> list[Override]:
    """The overrides that are not Hydra's own."""
    for override in overrides:
        if override.key_or_group.startswith(NOT_FOR_STACKS):
            raise InputError(f"stacked runs cannot take {override.input_line}: leave it out")
    return [override for override in overrides if not override.is_hydra_override()]


def _run(overrides: list[str], sweep: Path, members: Members) -> Run:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = resolve(compose("config", overrides=[*search_path(members), *overrides]))
    directory = sweep / job_name(overrides, config["seed"], ["name"])
    config["name"] = directory.name
    return Run(config, overrides, {}, directory, multirun=True, folders=tuple(members.own_folders))


if __name__ == "__main__":
    tools.main(work)
