"""Nothing in src and scripts is unused: what no code there names, as vulture finds it, has another reader."""

import argparse
import re
from collections.abc import Iterator

import torch
from conftest import ROOT
from lightning import LightningDataModule, LightningModule
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.plugins import CheckpointIO
from rich.table import Table
from torch.distributions import Distribution
from vulture import Vulture

# Libraries call or read attributes of these.
READERS = (
    argparse.Namespace, Callback, CheckpointIO, Distribution, LightningDataModule, LightningModule,
    LightningModule(), ModelCheckpoint(), Table(), torch.autograd.Function,
)  # fmt: skip
# What else has another reader.
NAMED = {
    "args", "kwargs", "dataloader_idx", "exception", "map_location", "storage_options", "weights_only",  # of signatures
    "MlflowClient",  # in an annotation
    "_device",  # of Lightning's averaged weights
    "batch_sampler", "sampler",  # Lightning reads them of a loader
    "CosineRateOf010",  # runs/migrate.py names its path
    "TEST_METRICS",  # for tests
    "origins",  # in a cache's JSON file, for its reader: which file is which image
}  # fmt: skip


def configured() -> Iterator[str]:
    """The classes that configuration files name."""
    for path in (ROOT / "conf").rglob("*.yaml"):
        yield from re.findall(r"_target_: vaelab\.[\w.]*\.(\w+)", path.read_text(encoding="utf-8"))


def unused(*sources: str) -> list[str]:
    found = Vulture()
    found.scavenge([ROOT / source for source in sources])
    known = {*configured(), *NAMED}
    return [
        f"{item.filename}:{item.first_lineno}: {item.typ} {item.name}"
        for item in found.get_unused_code(min_confidence=60)
        if not (item.name in known or item.name.startswith("__") or any(hasattr(it, item.name) for it in READERS))
    ]


def test_no_function_class_or_variable_is_unused():
    assert unused("src", "scripts", "train.py") == []


def test_what_is_unused_is_found(tmp_path):
    (tmp_path / "module.py").write_text("def called(): ...\n\n\ndef forgotten(): ...\n\n\ncalled()\n")
    (line,) = unused(tmp_path / "module.py")
    assert line.endswith("module.py:4: function forgotten")
