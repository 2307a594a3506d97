"""What the command line prints: help, one line for wrong input, a traceback for a bug."""

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from omegaconf import OmegaConf

from vaelab.commands import as_typed


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


def help_text(conf: Path, own: Mapping[str, Sequence[str]] | None = None) -> str:
    """What --help prints. Hydra's own --help takes a second, because it lists the groups of all plugins first.

    **Arguments**
        own: the members of each group that the user has added, which come first.
    """
    template = OmegaConf.load(conf / "hydra" / "help" / "vaelab.yaml")
    text = as_typed(OmegaConf.create({"hydra": {"help": template}}).hydra.help.template)
    lines = [f"  {group:<12} {', '.join(members)}" for group, members in (own or {}).items()]
    return "\n".join(["Your own members (group=member):", *lines, "", text] if lines else [text])
