"""Explored runs of every kind of model, which need no training."""

from functools import cache
from pathlib import Path

from compositions import module_of, small_data

from vaelab.data.packaged import MNIST5k
from vaelab.explore.session import ExploredRun
from vaelab.runs.finished import FinishedRun


@cache
def digits() -> MNIST5k:
    """Some real digits, read."""
    data = small_data()
    data.prepare_data()
    data.setup()
    return data


def explored(*overrides: str) -> ExploredRun:
    """A run of an untrained model of ``overrides`` on these digits."""
    run = FinishedRun(Path("run"), module_of("data.shape=[1,28,28]", *overrides).eval(), digits())
    run.__dict__["data"] = digits()  # in place of what results.json says
    return ExploredRun(run, "run")
