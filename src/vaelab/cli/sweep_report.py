"""The report at the end of a sweep, also of one whose jobs failed."""

import shlex
import sys
from pathlib import Path

from vaelab.cli.messages import print_bug, say
from vaelab.commands import typed
from vaelab.errors import VaelabError, one_line


def report(directory: Path) -> None:
    """Make the sweep's tables and plots; an error here is printed, and the sweep is complete all the same."""
    from vaelab.runs.console import log_to_console
    from vaelab.sweeps.documents import best_lines, count_jobs
    from vaelab.sweeps.report import report as write_report

    log_to_console(quiet=True)  # not to the last job's train.log
    try:
        found = write_report([directory], directory)
    except Exception as error:
        if not isinstance(error, (VaelabError, OSError)):
            print_bug(error)
        again = f"{typed('report')} {shlex.quote(str(directory))}"
        print(f"no report: {one_line(error)}; try again with {again}", file=sys.stderr)
    else:
        say("\n".join([*best_lines(found), f"{count_jobs(found)}: {directory / 'sweep.md'}"]))
