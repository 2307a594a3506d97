"""What the command line prints: help, one line for wrong input, a traceback for a bug."""

import difflib
import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from hydra.errors import OverrideParseException
from omegaconf import OmegaConf


def say(line: str) -> None:
    """Print a line. A closed output (`train.py -m ... | head`) does not stop a sweep."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(line: str) -> NoReturn:
    """End the command with one line and exit status 1; VAELAB_TRACEBACK=1 adds the traceback."""
    if os.environ.get("VAELAB_TRACEBACK") and sys.exc_info()[0] is not None:
        traceback.print_exc()
    print(f"error: {line}", file=sys.stderr)
    sys.exit(1)


def print_bug(error: BaseException) -> None:
    """Print the traceback of a bug, without the frames of Hydra and Lightning unless VAELAB_TRACEBACK=1 is set."""
    from vaelab.runs.tracebacks import report_of  # imports torch

    print(report_of(error), file=sys.stderr)


def help_text(conf: Path) -> str:
    """What --help prints. Hydra's own --help takes a second, because it lists the groups of all plugins first."""
    template = OmegaConf.load(conf / "hydra" / "help" / "vaelab.yaml")
    return OmegaConf.create({"hydra": {"help": template}}).hydra.help.template


def explain(error: Exception, conf: Path) -> str:
    """Hydra's and OmegaConf's errors in one line, with what to type instead."""
    lines = [line.strip() for line in f"{error}\n{error.__cause__ or ''}".splitlines() if line.strip()]
    if lines[0].startswith("Could not override '"):
        option = lines[0].split("'")[1]
        close = difflib.get_close_matches(option, options(conf), n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return f"there is no option {option!r}; {hint}python train.py --cfg job prints them all"
    missing = next((line.split("Could not find '")[1].strip("'") for line in lines if "Could not find '" in line), None)
    if missing is not None:
        split = missing.rpartition if missing.startswith("hydra/") else missing.partition
        group, _, member = split("/")
        members = sorted(str(path.relative_to(conf / group))[:-5] for path in (conf / group).rglob("*.yaml"))
        return f"{group}={member}: the members of group {group!r} are {', '.join(members)}"
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override!r}: {lines[0]}; write option=value, with quotes around special characters"
    return "; ".join(dict.fromkeys(line for line in lines if line.strip("^ ")))


def options(conf: Path) -> set[str]:
    """Every option that the configuration files name, dotted, and every group."""
    top = _read(conf / "config.yaml")
    found = set(top) | {f"{section}.{key}" for section in ("evaluation", "pictures") for key in top[section]}
    for file in conf.glob("*/*.yaml"):
        group, is_global = file.parent.name, "@package _global_" in file.read_text(encoding="utf-8")
        found |= {group} | {key if is_global else f"{group}.{key}" for key in _read(file) if key != "defaults"}
    return found


def _read(file: Path) -> dict:
    """A configuration file with its interpolations as they stand."""
    content = OmegaConf.to_container(OmegaConf.load(file))
    return content if isinstance(content, dict) else {}
