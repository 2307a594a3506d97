"""Train, test and picture one model; `python train.py --help` shows the command line.

This file is that command line: it composes the configuration and tells errors in one line. What a run does is in
src/vaelab/run.py, whose heavy imports wait until there is something to run.
"""

import difflib
import os
import shlex
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import setup_globals
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import vaelab
from vaelab import cells
from vaelab.checks import Interrupted, Refused, cannot_use

CONF = Path(__file__).resolve().parent / "conf"
SWEEPS = Path("outputs") / "sweeps"


def main() -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on instead of printing a page
    check_name(sys.argv[1:])
    sweep, fresh, wrong = None, False, ""
    try:
        sys.argv[1:] = with_overrides_of_resumed_run(sys.argv[1:])
        if is_multirun(sys.argv[1:]):
            sys.argv[1:], sweep = with_sweep_directory(sys.argv[1:])
            fresh = sweep is not None and not sweep.exists()
            if any(argument.startswith("hydra/launcher=") for argument in sys.argv):
                # As for Ctrl-C, so that an engine stops the processes that it started.
                signal.signal(signal.SIGTERM, signal.default_int_handler)
        compose()
    except Refused as error:  # of a multirun alone: a single run has left by now
        wrong = f"a job of the sweep failed, the others went on; the first to fail: {error}"
    except KeyboardInterrupt:
        fail(f"interrupted{'' if sweep is None else '; the same command goes on with the sweep'}")
    except (HydraException, OmegaConfBaseException) as error:
        if sweep is not None and fresh:
            remove_empty(sweep)
        fail(explain(error))
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
    directory, here = Path(composed.runtime.output_dir), Path.cwd()
    overrides = list(composed.overrides.task)
    if multirun:
        if composed.sweep.subdir == ".":  # else the user says which
            elsewhere = ("name", *composed.job.config.override_dirname.exclude_keys)  # in the sweep's own name
            words = {word.split("=")[0]: word for word in overrides}
            words.setdefault("seed", f"seed={values['seed']}")  # more seeds later are then other cells
            directory /= cells.directory_name([word for option, word in words.items() if option not in elsewhere])
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
    notes = [f"evaluated with {'; '.join(changed)}"] if (changed := cells.differences(there, config)) else []
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


def check_name(arguments: list[str]) -> None:
    """Before Hydra makes the directory: a name is the plain name of a folder."""
    for argument in arguments:
        option, _, name = argument.partition("=")
        name = name.strip("'\"")
        if option == "name" and (Path(name).name != name or not name.strip()):
            fail(f"name must be the plain name of a folder, got {name!r}")


def with_overrides_of_resumed_run(arguments: list[str]) -> list[str]:
    """`ckpt=X/checkpoints/last.ckpt` stands for the command that began run X, in X's own directory.

    What is typed beside it is added, and replaces what that command said of the same option.
    """
    typed = [argument for argument in arguments if argument.startswith("ckpt=")]
    if is_multirun(arguments) or not typed or typed[-1] in ("ckpt=", "ckpt=null"):
        return arguments
    ckpt = typed[-1].removeprefix("ckpt=").strip("'\"")
    # A path may hold what means something in Hydra's grammar: a sweep's directories are full of = and commas.
    arguments = [argument for argument in arguments if argument not in typed] + [f"ckpt={quoted(ckpt)}"]
    directory = Path(ckpt).resolve().parent.parent
    saved = directory / ".hydra" / "overrides.yaml"
    if not saved.is_file():
        return arguments  # a checkpoint on its own: the command line has to say what it belongs to

    def option(argument: str) -> str:
        return argument.split("=", 1)[0].lstrip("+~")

    now = {option(argument) for argument in arguments}
    kept = [old for old in OmegaConf.load(saved) if option(old) not in {*now, "ckpt", "name"}]
    if not now & {"name", "hydra.run.dir"}:
        kept += [f"hydra.run.dir={quoted(str(directory))}", f"name={quoted(directory.name)}"]
    return kept + arguments


def remove_empty(sweep: Path) -> None:
    """What Hydra made of a sweep before it found a word that it does not know."""
    (sweep / "multirun.yaml").unlink(missing_ok=True)
    with suppress(OSError):
        sweep.rmdir()


def is_multirun(arguments: list[str]) -> bool:
    return any(argument in ("-m", "--multirun") or argument.startswith("hydra.mode=MULTI") for argument in arguments)


def with_sweep_directory(arguments: list[str]) -> tuple[list[str], Path | None]:
    """The words of a multirun with the directory that follows from them, unless they say which.

    So the same command again finds what is complete already, and a longer axis adds to it.
    """
    parser = OverridesParser.create()
    words = [argument for argument in arguments if not argument.startswith("-") and "=" in argument]
    try:
        parsed = {override.key_or_group: override for override in map(parser.parse_override, words)}
    except HydraException:
        return arguments, None  # which Hydra explains
    added: list[str] = []
    if "hydra.sweep.dir" in parsed:
        setup_globals()  # for ${now:...}
        typed = OmegaConf.create({"directory": str(parsed["hydra.sweep.dir"].value())})
        sweep = Path(OmegaConf.to_container(typed, resolve=True)["directory"])
    elif "name" in parsed:
        if parsed["name"].is_sweep_override():
            fail("in a multirun name=... is the sweep's, and has one value; its jobs are named after their overrides")
        sweep = SWEEPS / str(parsed["name"].value())
    else:
        task = [override for override in parsed.values() if not override.is_hydra_override()]
        axes = [override.get_key_element() for override in task if override.is_sweep_override()]
        fixed = [override for override in task if not override.is_sweep_override()]
        fixed = {override.get_key_element(): override.get_value_element_as_str() for override in fixed}
        sweep = SWEEPS / cells.sweep_name(axes, [f"{option}={value}" for option, value in fixed.items()])
        named = ",".join(quoted(option) for option in fixed if option != "seed")
        added = [f"hydra.job.config.override_dirname.exclude_keys=[{named}]"]
    added.append(f"hydra.sweep.dir={quoted(str(sweep.absolute()))}")  # an engine's worker may start elsewhere
    # Beside the other words: a flag between them would end their list.
    at = max((index for index, argument in enumerate(arguments) if argument in words), default=-1) + 1
    return [*arguments[:at], *added, *arguments[at:]], sweep


def quoted(text: str) -> str:
    """``text`` as one value in Hydra's grammar, whatever characters it has."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def explain(error: Exception) -> str:
    """Hydra's and OmegaConf's errors in one line, with what to type instead."""
    lines = [line.strip() for line in f"{error}\n{error.__cause__ or ''}".splitlines() if line.strip()]
    if lines[0].startswith("Could not override '"):
        option = lines[0].split("'")[1]
        close = difflib.get_close_matches(option, options(), n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return f"there is no option {option!r}; {hint}python train.py --cfg job prints them all"
    missing = next((line.split("Could not find '")[1].strip("'") for line in lines if "Could not find '" in line), None)
    if missing is not None:
        group, _, member = missing.partition("/")
        members = sorted(str(path.relative_to(CONF / group))[:-5] for path in (CONF / group).rglob("*.yaml"))
        return f"{group}={member}: the members of group {group!r} are {', '.join(members)}"
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override!r}: {lines[0]}; write option=value, and quote what the shell or Hydra eats"
    return "; ".join(dict.fromkeys(line for line in lines if line.strip("^ ")))


def options() -> set[str]:
    """Every option that the configuration files name, dotted, and every group."""
    top = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml"))
    found = set(top) | {f"{section}.{key}" for section in ("evaluation", "pictures") for key in top[section]}
    for file in CONF.glob("*/*.yaml"):
        group, top = file.parent.name, "@package _global_" in file.read_text(encoding="utf-8")
        found |= {group} | {key if top else f"{group}.{key}" for key in OmegaConf.load(file) if key != "defaults"}
    return found


if __name__ == "__main__":
    main()
