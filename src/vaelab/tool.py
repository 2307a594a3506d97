"""What the tools in scripts/ share: a finished run to work on, one line for what goes wrong, and progress."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track

from vaelab import hardware
from vaelab.checks import Refused, one_of
from vaelab.data import ImageData
from vaelab.experiment import Experiment
from vaelab.run import log_to_console, reopen


def parser(description: str, epilog: str = "") -> argparse.ArgumentParser:
    """An argument parser that shows its texts as they are, with the run directory as the first argument."""
    made = argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("run", type=Path, help="the directory of a finished run, such as outputs/runs/two")
    made.add_argument("--device", default="auto", help="cpu, cuda, mps or auto (default)")
    return made


def main(work: Callable[[], None]) -> None:
    """Do ``work``; what a part, the file system or the user objects to becomes one line and an exit status."""
    log_to_console()
    try:
        work()
    except (Refused, ValueError, OSError) as error:
        if os.environ.get("VAELAB_TRACEBACK"):
            traceback.print_exc()
        named = isinstance(error, OSError) and error.filename
        text = f"cannot use {error.filename}: {error.strerror}" if named else str(error)
        sys.exit(f"error: {' '.join(text.split())}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted")


def open_run(arguments: argparse.Namespace, needs_data: bool = True) -> tuple[Experiment, ImageData | None]:
    """The model of the run that was named, on the device that was asked for, and its data."""
    experiment, data = reopen(arguments.run, needs_data)
    return experiment.to(device(arguments.device)), data


def device(name: str) -> torch.device:
    one_of("--device", name, ("auto", "cpu", "cuda", "mps"))
    wanted = {"cuda": "gpu"}.get(name, name)
    return torch.device(hardware.resolve(hardware.check_accelerator(wanted)))


def progress(items: Iterable, what: str) -> Iterable:
    """``items``, with a bar where there is a terminal."""
    return track(items, what, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
