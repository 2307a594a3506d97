"""The README says what is there: its tables and its Python example."""

import re

import pytest
import torch
from compositions import members
from conftest import ROOT

from vaelab.evaluation.metrics import METRICS, TEST_METRICS

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short():
    assert len(README.splitlines()) <= 150


def test_its_table_of_metrics_is_the_catalogues():
    expected = {
        f"| `{metric.name}` | {metric.unit} | {metric.better} | {metric.meaning} |"
        for metric in (METRICS[name] for name in TEST_METRICS)
    }
    shown = [
        line
        for line in README.splitlines()
        if re.match(r"\| `(\w+)` \| [a-z ]*\|", line) and line.split("`")[1] in TEST_METRICS
    ]
    assert len(shown) >= 8
    assert {line.replace(r"\|", "|") for line in shown} <= expected


@pytest.mark.parametrize("group", ["model", "network", "posterior", "likelihood", "prior", "loss", "beta", "data"])
def test_its_table_of_groups_has_every_member(group):
    (row,) = (line for line in README.splitlines() if line.startswith(f"| `{group}` |"))
    assert set(re.findall(r"`(\w+)`", row.split("|")[2])) == set(members(group))


def test_its_python_example_runs():
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "backward" in block)
    names: dict = {}
    torch.manual_seed(0)
    exec(code, names)
    assert names["loss"].shape == (16,)
    assert all(parameter.grad is not None for parameter in names["model"].parameters())


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)[)#]", README) + re.findall(r'src="([^"]+)"', README):
        assert (ROOT / target).exists(), target
