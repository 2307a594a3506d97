"""The garbage collector is paused for imports, and left out of the exit."""

import gc
import subprocess
import sys

import pytest

from vaelab import collector


def fail_in_a_pause():
    with collector.paused():
        assert not gc.isenabled()
        raise KeyError


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_before_after_a_pause(enabled):
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(KeyError):
            fail_in_a_pause()
        assert gc.isenabled() == enabled
    finally:
        gc.enable()


ENDS = """
import atexit
from vaelab import collector

class Cycle:
    def __init__(self):
        self.me = self
    def __del__(self):
        print("collected")

{first}
atexit.register(print, "handler")
Cycle()
"""


@pytest.mark.parametrize(
    ("first", "printed"),
    [("", ["handler", "collected"]), ("collector.leave_out_of_exit()\n" * 2, ["handler"])],
)
def test_the_exit_collects_nothing_and_runs_the_handlers(first, printed):
    done = subprocess.run([sys.executable, "-c", ENDS.format(first=first)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == printed
