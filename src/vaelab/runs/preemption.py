"""What a job of a cluster does after SIGTERM."""

import os
import signal
import time


def return_to_queue() -> None:
    """Have a job that submitit started queued again; it then goes on from its last epoch.

    submitit's local executor queues a job again on a signal, which is raised here. Slurm itself queues a preempted job
    again if it is still running, and does not if the user cancelled it; so under Slurm the job waits to be killed.
    """
    executor = os.environ.get("SUBMITIT_EXECUTOR")
    if executor == "local":
        signal.raise_signal(signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"])
    while executor == "slurm":
        time.sleep(1)
