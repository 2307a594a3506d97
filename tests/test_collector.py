"""The garbage collector is left out of a command's imports and of its exit, and as it was in a user's process."""

import subprocess
import sys

import pytest

BEGIN = "import gc\nfrom vaelab import collector\n"
COMMAND = BEGIN + "collector.begin_command()\ncollector.begin_command()\n"
CYCLE = """
class Cycle:
    def __init__(self):
        self.me = self
    def __del__(self):
        print("collected")
"""


def printed(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(("begin", "expected"), [(BEGIN, ["handler", "collected"]), (COMMAND, ["handler"])])
def test_the_exit_of_a_command_collects_nothing_and_runs_the_handlers(begin, expected):
    assert printed(f"{begin}import atexit\n{CYCLE}\natexit.register(print, 'handler')\nCycle()") == expected


IMPORTS = """
try:
    with collector.importing():
        print(gc.isenabled())
        {block}
        kept = [[] for _ in range(1000)]
        raise KeyError
except KeyError:
    print(gc.isenabled(), gc.get_freeze_count() > 1000)
"""


@pytest.mark.parametrize(
    ("begin", "block", "expected"),
    [
        (BEGIN, "import colorsys", "True True False"),
        (COMMAND, "import colorsys", "False True True"),
        (COMMAND, "import sys", "False True False"),  # which was imported before
    ],
)
def test_the_collector_skips_what_a_command_imports(begin, block, expected):
    assert printed(begin + IMPORTS.format(block=block)) == expected.split()
