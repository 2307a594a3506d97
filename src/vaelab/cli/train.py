"""The command line of training: composes the configuration, starts runs and sweeps, and prints errors in one line.

What a run does is in `vaelab.runs`, whose heavy imports wait until there is something to run.
"""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

import vaelab
from vaelab import collector, own
from vaelab.cli.arguments import remove_empty, with_overrides_of_resumed_run, with_sweep_directory
from vaelab.cli.explain import explain, unknown_option
from vaelab.cli.members import Members
from vaelab.cli.messages import fail, help_text, print_bug, say
from vaelab.cli.overrides import CommandLine
from vaelab.cli.sweep_report import report
from vaelab.errors import (
    InputError,
    Interrupted,
    RunFailed,
    UnknownOption,
    VaelabError,
    describe_os_error,
    one_line,
    summarize,
)
from vaelab.files import CONF
from vaelab.locks import locked
from vaelab.runs.directory import LOCK, another_place, release
from vaelab.runs.ended import ended_early, going_on
from vaelab.runs.migrate import migrate
from vaelab.runs.options import NOT_TRAINING, differences, resolve, unresolved
from vaelab.runs.results import RunState, commit, missing_parts, read_state, validation_objective
from vaelab.runs.unread import check_read
from vaelab.sweeps.names import job_name

LAUNCHERS = ("joblib", "submitit", "ray")  # their own exceptions say that a process was killed


class JobFailed(Exception):
    """A job of a sweep failed, and its error is printed; Hydra goes on with the others."""


class Stopped(SystemExit):
    """Carries an error out of Hydra, which lets SystemExit pass and adds lines of its own to other exceptions."""

    def __init__(self, error: Exception) -> None:
        super().__init__(1)
        self.error = error


def main() -> None:
    """The command line: an error is one line, a bug keeps its traceback, and both end it with status 1."""
    if sys.argv[1:] in (["--help"], ["-h"]):
        return say(help_text(CONF))
    collector.begin_command()
    if any(argument.startswith("hydra/launcher=") for argument in sys.argv):
        # As for Ctrl-C, so that a launcher stops the processes that it started.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        start(sys.argv[1:])
    except VaelabError as error:
        fail(one_line(error))
    except KeyboardInterrupt:
        fail("interrupted")
    except Exception as error:
        print_bug(error)
        sys.exit(1)


def start(words: list[str]) -> Path | None:
    """Do what the command line ``words`` says, and return the directory of the run or the sweep.

    **Raises**
        VaelabError: the one line that the command ends with. Any other exception is a bug.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    try:
        return _start(words)
    except Stopped as stopped:
        error = stopped.error
    raise error  # outside of the except block, so that it keeps its own context


def _start(words: list[str]) -> Path | None:
    command = CommandLine([], [], Members())
    try:
        command = CommandLine.parse(with_overrides_of_resumed_run(words))
        command.check()
        if {"--help", "-h"} & set(command.words):
            say(help_text(CONF, command.members.own()))
            return None
        sys.argv[1:] = command.words  # where Hydra reads them
        return sweep() if command.is_multirun else single()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise InputError(explain(error, command)) from error
    except OSError as error:  # Hydra makes the directory before the project's own checks
        raise RunFailed(f"{describe_os_error(error)}; {another_place(error)}") from error


def with_hydra(function: Callable[[DictConfig], float | None]) -> Callable[[], None]:
    """A function that composes the configuration of ``sys.argv`` and calls ``function`` with it, once for each job."""
    return hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(function)


def single() -> Path | None:
    """Do one run, and return its directory; None where the command only asked for a look at the configuration."""
    places = []

    def run_noted(config: DictConfig) -> None:
        places.append(Path(HydraConfig.get().runtime.output_dir))
        run_composed(config)

    with_hydra(run_noted)()
    return places[0] if places else None


def sweep() -> Path | None:
    """Run the jobs of a multirun, then make its report, also where jobs failed."""
    sys.argv[1:], directory = with_sweep_directory(sys.argv[1:])
    is_new = directory is not None and not directory.exists()
    wrong = ""
    try:
        with_hydra(run_composed)()
    except JobFailed as error:
        wrong = f"a job of the sweep failed, the others went on; the first to fail: {error}"
    except Interrupted:
        raise
    except KeyboardInterrupt as error:
        again = "" if directory is None else "; the same command goes on with the sweep"
        raise Interrupted(f"interrupted{again}") from error
    except (HydraException, OmegaConfBaseException):
        if directory is not None and is_new:
            remove_empty(directory)
        raise
    except Exception as error:
        wrong = _why_the_sweep_ended(error)
    if directory is not None and directory.is_dir():
        report(directory)
    if wrong:
        raise RunFailed(wrong)
    return directory


def _why_the_sweep_ended(error: Exception) -> str:
    """The line for an exception outside the jobs, from a launcher or a sweeper."""
    if "Unknown plugin class" in str(error):
        return "this launcher or sweeper is not installed: pip install '.[slurm]', '.[ray]' or '.[search]'"
    has_lost_a_process = type(error).__module__.partition(".")[0] in LAUNCHERS
    if not has_lost_a_process and not isinstance(error, (VaelabError, OSError)):
        print_bug(error)
    return f"the sweep ended early: {summarize(error)[:300]}; the same command goes on with the sweep"


@dataclass
class Job:
    """One run as Hydra composed it: its directory, and how it is to be run."""

    overrides: list[str]
    choices: dict[str, str]
    directory: Path
    multirun: bool
    side_by_side: bool
    folders: tuple[Path, ...]  # folders of configuration files

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """The folders of the user's own pieces."""
        return tuple(Members(self.folders).own_folders)


def _job(config: DictConfig) -> Job:
    composed = HydraConfig.get()
    multirun = composed.mode == RunMode.MULTIRUN
    side_by_side = multirun and not composed.launcher["_target_"].endswith(".BasicLauncher")
    if multirun and "optuna" in composed.sweeper["_target_"] and not config.data.val:
        raise InputError(
            "a search maximises the validation ELBO, and data.val=0 leaves no validation images: take data.val=5000"
        )
    directory, here = Path(composed.runtime.output_dir), Path.cwd()
    overrides = list(composed.overrides.task)
    if multirun:
        if composed.sweep.subdir == ".":  # else the user named one
            elsewhere = ("name", *composed.job.config.override_dirname.exclude_keys)
            directory /= job_name(overrides, config.seed, elsewhere)
        config.name = directory.name
    directory = directory.relative_to(here) if directory.is_relative_to(here) else directory
    choices = {group: member for group, member in composed.runtime.choices.items() if "/" not in group}
    sources = (source.path for source in composed.runtime.config_sources if source.schema == "file")
    return Job(overrides, choices, directory, multirun, side_by_side, tuple(map(Path, sources)))


def run_composed(config: DictConfig) -> float | None:
    """One job; a search maximises what it returns."""
    try:
        job = _job(config)
    except InputError as error:
        raise Stopped(error) from error
    directory = job.directory
    # Empty folders that existed before belong to the user and stay.
    is_ours = not directory.is_dir() or directory.stat().st_ctime >= vaelab.STARTED
    try:
        own.use(job.own_folders)
        check_read(unresolved(config), [*HydraConfig.get().overrides.hydra, *job.overrides])
        return run_job(job, _values(config, job))
    except Interrupted as error:
        if not job.multirun:
            release(directory, is_ours)
            raise Stopped(error) from error
        if not job.side_by_side:
            raise Stopped(Interrupted(f"{error}; the same command goes on with the sweep")) from error
        raise
    except Exception as error:
        if not job.multirun:
            release(directory, is_ours)
            raise Stopped(error) from error
        if not isinstance(error, VaelabError):
            print_bug(error)
        line = summarize(error)
        print(f"error: {directory}: {line}", file=sys.stderr)
        raise JobFailed(line) from error


def _values(config: DictConfig, job: Job) -> dict:
    try:
        return resolve(config)
    except OmegaConfBaseException as error:
        raise InputError(explain(error, CommandLine.parse(job.overrides))) from error
    except UnknownOption as error:
        raise _unknown(error, job) from error


def _unknown(error: UnknownOption, job: Job) -> InputError:
    return InputError(unknown_option(error, job.overrides, job.choices, Members(job.folders)))


def run_job(job: Job, values: dict) -> float | None:
    """Train the job, complete its evaluation, or skip it, depending on the state of its directory.

    **Arguments**
        values: the job's configuration as plain values.
    """
    directory = job.directory
    with locked(directory / LOCK) as is_free:
        if not is_free and job.multirun:
            say(f"{directory}: another process is at work in it; this one skips it")
            return None
        if not is_free:
            raise InputError(f"{directory}: another process is at work in it; nothing was touched")
        state = read_state(directory)
        is_complete = job.multirun and state.is_complete
        if is_complete:
            check_same(state, values)
            if not missing_parts(state.results or {}, values):
                return validation_objective(state)
        with collector.importing():
            from vaelab.runs.fit import evaluate_finished
            from vaelab.runs.processes import launch
            from vaelab.runs.run import Run

        run = Run(values, job.overrides, job.choices, directory, job.multirun, job.side_by_side, job.own_folders)
        try:
            (evaluate_finished if is_complete else launch)(run)
        except UnknownOption as error:
            raise _unknown(error, job) from error
        return validation_objective(read_state(directory))


def check_same(state: RunState, config: dict) -> None:
    """Print that a job is complete already; an InputError where its configuration was another."""
    results = state.results or {}
    there, config = migrate(results.get("config", {})), migrate(config)
    changed = differences(there, config, NOT_TRAINING)
    if changed:
        raise InputError(
            f"complete already, but with {'; '.join(changed[:3])}{' and more' if len(changed) > 3 else ''}; "
            "nothing was touched: delete it to train it again, or take another place with name=..."
        )
    notes = [f"with other settings: {'; '.join(changed)}"] if (changed := differences(there, config)) else []
    if (early := ended_early(results)) is not None:
        notes.append(f"{early} (to train on: {going_on(results, state.directory)})")
    if (old := results.get("commit")) != (new := commit()):
        notes.append(f"made by commit {str(old)[:12]}, this is {str(new)[:12]}")
    say(f"{state.directory.name}: complete already{''.join(f', {note}' for note in notes)}")
