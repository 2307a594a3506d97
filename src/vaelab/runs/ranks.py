"""Which of a run's processes this one is, from the environment that torch's elastic launcher sets."""

import os


def is_worker() -> bool:
    """Whether a launcher started this process as one of several."""
    return "LOCAL_RANK" in os.environ


def is_first() -> bool:
    """Whether this process is the only one, or the first: it alone writes files and messages."""
    return os.environ.get("RANK", "0") == "0"
