"""Start a run: in this process or, with several devices, in one process for each."""

import logging
import os
import signal
import sys
from contextlib import suppress

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from vaelab import hardware, own
from vaelab.errors import Interrupted, RunFailed, describe_os_error
from vaelab.runs import ranks, summary
from vaelab.runs.console import log_to_console
from vaelab.runs.directory import another_place, check_free, claim, write_composition
from vaelab.runs.fit import execute
from vaelab.runs.preemption import return_to_queue
from vaelab.runs.prepare import prepare
from vaelab.runs.results import RESULTS, read_results, read_state
from vaelab.runs.resume import how_to_go_on, resume_or_restart
from vaelab.runs.run import Components, Run


def launch(run: Run) -> None:
    """Check everything, take the directory, then train, test and evaluate.

    **Raises**
        VaelabError: the one line that the command ends with. Any other exception is a bug.
    """
    log_to_console(quiet=run.multirun)
    try:
        if run.multirun:
            resume_or_restart(run)
        else:
            check_free(run.directory, run.resumes_in_place)
        components = _prepare_and_claim(run)
    except OSError as error:
        raise RunFailed(f"{describe_os_error(error)}; {another_place(error)}") from error
    if components.trainer is not None:
        execute(run, components, components.trainer)
    else:
        launch_processes(run, components.processes)


def _prepare_and_claim(run: Run) -> Components:
    try:
        if run.side_by_side and run.config["trainer"]["devices"] == 1:
            hardware.pin_gpu()
        components = prepare(run)
        if ranks.is_first():
            claim(run.directory, run.resumes_in_place or run.multirun)
            write_composition(run.directory, run.config, run.overrides, run.folders)
    except Exception as error:
        if run.multirun:  # the other jobs go on; results.json says why this one is missing
            with suppress(OSError):  # the first error is the one to report
                summary.write_failure(run, error)
        raise
    return components


def launch_processes(run: Run, processes: int) -> None:
    """Train in several processes, by torch's elastic launcher; Lightning finds them as under torchrun.

    Lightning's own launcher runs the command line again for every process, which in a multirun is the whole sweep.
    """
    for name in ("elastic.agent.server.api", "elastic.multiprocessing.api"):
        logging.getLogger(f"torch.distributed.{name}").setLevel(logging.CRITICAL)  # what failed is reported below
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.CRITICAL)
    launcher = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=str(os.getpid()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="spawn",
    )
    try:
        elastic_launch(launcher, execute_in_worker)(run)
    except SignalException as error:
        # A process whose peers end on the signal before it reports their loss as a failure of its own.
        if (read_state(run.directory).results or {}).get("status") == "failed":
            (run.directory / RESULTS).unlink()
        if error.sigval == signal.SIGTERM:
            return_to_queue()
        raise Interrupted(f"interrupted; {how_to_go_on(run)}") from error
    except ChildFailedError as error:
        if not (run.directory / RESULTS).exists():  # they were killed, and had no time to say why
            raise RunFailed(f"the processes of {run.directory} ended early; {how_to_go_on(run)}") from error
        results = read_results(run.directory)
        if "traceback" in results:
            print(results["traceback"], file=sys.stderr)
        raise RunFailed(results.get("error", "see train.log")) from error


def execute_in_worker(run: Run) -> None:
    """What each process does; the launching process prints its error, which results.json carries."""
    log_to_console(quiet=run.multirun)
    try:
        own.use(run.folders)
        components = prepare(run)
        assert components.trainer is not None  # a worker makes its own
        execute(run, components, components.trainer)
    except Exception as error:
        with suppress(OSError):  # a full disk; the launching process reports that this one ended
            summary.write_failure(run, error)
        sys.exit(1)
