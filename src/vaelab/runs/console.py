"""Where vaelab's messages go: standard output and train.log."""

import logging
import sys
from pathlib import Path

from vaelab.runs import ranks

SUMMARY = logging.INFO + 5  # the level of the few lines that a job of a sweep prints


class ConsoleHandler(logging.StreamHandler):
    """Standard output, until its reader closes it: `python train.py | head` must not stop a run."""

    def handleError(self, record: logging.LogRecord) -> None:
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            logging.getLogger("vaelab").removeHandler(self)
        else:
            super().handleError(record)


def log_to_console(quiet: bool = False) -> None:
    """Print vaelab's messages to standard output, from the first process alone; ``quiet`` prints a line or two."""
    close_logs()  # of the job before, in a multirun
    root = logging.getLogger("vaelab")
    root.setLevel(logging.DEBUG)
    console = ConsoleHandler(sys.stdout) if ranks.is_first() else logging.NullHandler()
    console.setLevel(SUMMARY if quiet else logging.INFO)
    root.addHandler(console)


def close_logs() -> None:
    """Close the console and train.log."""
    root = logging.getLogger("vaelab")
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()


def log_to_file(directory: Path) -> None:
    """Write the same messages with times, and a line for every epoch, to train.log."""
    if ranks.is_first():
        file = logging.FileHandler(directory / "train.log", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logging.getLogger("vaelab").addHandler(file)
