"""The checks of a machine with a GPU (`make gpu`), on the CPU and on a few images."""

import pytest
import torch

CHECKS = 8


@pytest.mark.engine
def test_the_checks_pass_on_a_cpu(script, tmp_path):
    status, out, err = script("gpu", "--accelerator", "cpu", "--small", "--to", "checks")
    assert (status, err) == (0, ""), out + err
    table = (tmp_path / "checks" / "table.md").read_text()
    assert table in out
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| check ")]
    assert len(rows) == CHECKS
    assert sum("| passed |" in row for row in rows) == CHECKS
    assert "bit for bit" in table
    assert "2 jobs" in table


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_there_is_one_line(script, tmp_path):
    status, out, err = script("gpu")
    assert (status, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert "sees no CUDA or ROCm GPU on this machine; take --accelerator cpu --small" in err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_not_touched(script, tmp_path):
    (tmp_path / "checks").mkdir()
    status, _, err = script("gpu", "--accelerator", "cpu", "--small", "--to", "checks")
    assert (status, err.count("exists already and was not touched")) == (1, 1)
