"""What is found in a run's directory."""

import subprocess
import sys

import pytest

from vaelab.runs.results import RESULTS, read_state


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"status": "failed"}'])
def test_a_damaged_or_failed_run_is_not_complete(tmp_path, content):
    (tmp_path / RESULTS).write_text(content)
    assert not read_state(tmp_path).is_complete


def test_a_complete_job_is_found_without_torch():
    code = "import sys, vaelab.cli.train, vaelab.runs.results, vaelab.runs.directory; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
