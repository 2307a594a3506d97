"""Train, test and picture one model; `python train.py --help` shows the command line.

This file is that command line: it composes the configuration and tells errors in one line. What a run does is in
src/vaelab/run.py, whose heavy imports wait until there is something to run.
"""

import os
import shlex
import signal
import sys
import traceback
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import vaelab
from vaelab import cells
from vaelab.checks import Interrupted, Refused, cannot_use
from vaelab.command_line import (
    check_name,
    explain,
    help_text,
    is_multirun,
    remove_empty,
    with_overrides_of_resumed_run,
    with_sweep_directory,
)

CONF = Path(__file__).resolve().parent / "conf"


def main() -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on instead of printing a page
    sweep, fresh, wrong = None, False, ""
    if sys.argv[1:] in (["--help"], ["-h"]):
        return say(help_text(CONF))
    try:
        check_name(sys.argv[1:])
        sys.argv[1:] = with_overrides_of_resumed_run(sys.argv[1:])
        if is_multirun(sys.argv[1:]):
            sys.argv[1:], sweep = with_sweep_directory(sys.argv[1:])
            fresh = sweep is not None and not sweep.exists()
            if any(argument.startswith("hydra/launcher=") for argument in sys.argv):
                # As for Ctrl-C, so that an engine stops the processes that it started.
                signal.signal(signal.SIGTERM, signal.default_int_handler)
    except Refused as error:
        fail(str(error))
    try:
        compose()
    except Refused as error:  # of a multirun alone: a single run has left by now
        wrong = f"a job of the sweep failed, the others went on; the first to fail: {error}"
    except KeyboardInterrupt:
        fail(f"interrupted{'' if sweep is None else '; the same command goes on with the sweep'}")
    except (HydraException, OmegaConfBaseException) as error:
        if sweep is not None and fresh:
            remove_empty(sweep)
        fail(explain(error, CONF))
    except OSError as error:  # Hydra makes the directory before anybody is asked
        fail(cannot_use(error))
    except Exception as error:
        if sweep is None:
            raise
        traceback_if_asked()
        if "Unknown plugin class" in str(error):
            fail("this launcher or sweeper is not installed: pip install '.[slurm]', '.[ray]' or '.[search]'")
        where = "VAELAB_TRACEBACK=1 shows where; the same command goes on with the sweep"
        wrong = f"the sweep ended early: {type(error).__name__}: {' '.join(str(error).split())[:300]}; {where}"
    if sweep is not None and sweep.is_dir():
        report(sweep)
    if wrong:
        fail(wrong)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def compose(config: DictConfig) -> float | None:
    """One job; what it returns is what a search maximises."""
    composed = HydraConfig.get()
    values = OmegaConf.to_container(config, resolve=True)
    multirun = composed.mode == RunMode.MULTIRUN
    side_by_side = multirun and not composed.launcher["_target_"].endswith(".BasicLauncher")
    if multirun and "optuna" in composed.sweeper["_target_"] and not values["data"]["val"]:
        fail("a search is for the largest validation bound, and data.val=0 leaves no validation: take data.val=5000")
    directory, here = Path(composed.runtime.output_dir), Path.cwd()
    overrides = list(composed.overrides.task)
    if multirun:
        if composed.sweep.subdir == ".":  # else the user says which
            elsewhere = ("name", *composed.job.config.override_dirname.exclude_keys)
            directory /= cells.job_name(overrides, values["seed"], elsewhere)
        values["name"] = directory.name
    directory = directory.relative_to(here) if directory.is_relative_to(here) else directory
    # Empty ones that were there before are the user's to keep.
    ours = not directory.is_dir() or directory.stat().st_ctime >= vaelab.STARTED
    try:
        with cells.held(directory / cells.LOCK) as mine:
            if not mine and multirun:
                say(f"{directory}: another process is at work in it, which this one leaves it to")
                return None
            if not mine:
                raise Refused(f"{directory}: another process is at work in it; nothing was touched")
            cell = cells.find(directory)
            complete = multirun and cell.complete
            if complete:
                check_same(cell, values)
                if not cells.missing_parts(cell, values):
                    return objective(cell)
            from vaelab.run import Run, appraise_finished, launch

            run = Run(
                config=values,
                overrides=overrides,
                choices={group: member for group, member in composed.runtime.choices.items() if "/" not in group},
                directory=directory,
                multirun=multirun,
                side_by_side=side_by_side,
            )
            (appraise_finished if complete else launch)(run)
            return objective(cells.find(directory))
    except Refused as error:
        if not multirun:
            cells.release(directory, ours)
            fail(str(error))  # an exit, not an exception: Hydra would add lines of its own
        if isinstance(error, Interrupted) and not side_by_side:
            fail(f"{error}; the same command goes on with the sweep")
        print(f"error: {directory}: {error}", file=sys.stderr)
        raise  # Hydra goes on with the other jobs and hands the first error on at the end
    except Exception as error:
        if not multirun:
            raise
        traceback_if_asked()
        line = f"{type(error).__name__}: {' '.join(str(error).split())}"
        print(f"error: {directory}: {line}", file=sys.stderr)
        raise Refused(f"{line}; VAELAB_TRACEBACK=1 shows where") from error


def check_same(cell: cells.Cell, config: dict) -> None:
    """Say that ``cell`` is complete already; a Refused where it is so of another configuration."""
    there = cell.results.get("config", {})
    changed = cells.differences(there, config, cells.NOT_TRAINING)
    if changed:
        raise Refused(
            f"complete already, but with {'; '.join(changed[:3])}{' and more' if len(changed) > 3 else ''}; "
            "nothing was touched: delete it to have it made anew, or take another place with name=..."
        )
    notes = [f"of other settings: {'; '.join(changed)}"] if (changed := cells.differences(there, config)) else []
    if (old := cell.results.get("commit")) != (new := cells.commit()):
        notes.append(f"made by commit {str(old)[:12]}, this is {str(new)[:12]}")
    say(f"{cell.directory.name}: complete already{''.join(f', {note}' for note in notes)}")


def objective(cell: cells.Cell) -> float | None:
    """The validation's bound at beta = 1, or where there is none the negative distortion."""
    found = cell.results.get("validation", {})
    return found.get("elbo", -found["distortion"] if "distortion" in found else None)


def report(sweep: Path) -> None:
    """The sweep's tables and pictures; what goes wrong here is said and spoils nothing."""
    from vaelab import report as reports
    from vaelab.run import log_to_console

    log_to_console(quiet=True)  # not to the last job's train.log
    try:
        found = reports.report([sweep], sweep)
    except Exception as error:
        traceback_if_asked()
        print(f"no report: {error}; try again with python scripts/report.py {shlex.quote(str(sweep))}", file=sys.stderr)
    else:
        say(f"{reports.counted(found)}: {sweep / 'sweep.md'}")


def say(line: str) -> None:
    """To standard output, until nobody reads it any more: `train.py -m ... | head` shall not stop a sweep."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(line: str) -> None:
    traceback_if_asked()
    print(f"error: {line}", file=sys.stderr)
    sys.exit(1)


def traceback_if_asked() -> None:
    if os.environ.get("VAELAB_TRACEBACK") and sys.exc_info()[0] is not None:
        traceback.print_exc()


if __name__ == "__main__":
    main()
