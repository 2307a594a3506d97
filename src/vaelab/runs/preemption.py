"""What a job of a cluster does after SIGTERM."""

import os
import signal
import time


def return_to_queue() -> None:
    """Have a job that submitit started queued again, to go on from its last epoch.

    On the local executor that is asked for here, with a signal. Slurm queues a preempted job again by itself, unless
    the job ended before; one that the user cancels is not to be started again. There the job waits for its end.
    """
    executor = os.environ.get("SUBMITIT_EXECUTOR")
    if executor == "local":
        signal.raise_signal(signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"])
    while executor == "slurm":
        time.sleep(1)
