"""Locks that one process at a time holds, and that a killed process frees."""

import os
import signal
import subprocess
import sys

from vaelab import locks


def test_one_process_at_a_time_holds_a_lock_and_kill_9_frees_it(tmp_path):
    lock = tmp_path / "deep" / ".lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import time; from pathlib import Path; from vaelab.locks import locked\n"
         f"with locked(Path({str(lock)!r})) as mine:\n print(mine, flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout.readline() == "True\n"
    with locks.locked(lock) as mine:
        assert not mine
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with locks.locked(lock) as mine:
        assert mine
    with locks.locked(lock, wait=True) as mine:
        assert mine


def test_where_nothing_can_be_written_nobody_is_excluded(tmp_path):
    (tmp_path / "file").touch()
    with locks.locked(tmp_path / "file" / ".lock") as mine:
        assert mine
