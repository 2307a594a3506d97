"""Modules and data as the command line composes them, for tests that need no run."""

import torch
from conftest import ROOT
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from vaelab.data.packaged import MNIST5k
from vaelab.runs.options import resolve
from vaelab.training.module import VAEModule

CONF = ROOT / "conf"


def members(group: str) -> list[str]:
    """The names of a config group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def composed(*overrides: str) -> dict:
    """The configuration that the command line makes of ``overrides``."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=["name=test", *overrides])
    return resolve(config)


def experiment(config: dict) -> VAEModule:
    """The module of a composed configuration."""
    parts = (instantiate(config[part], _convert_="all") for part in ("model", "loss", "beta", "optimizer", "lr"))
    return VAEModule(*parts)


def module_of(*overrides: str) -> VAEModule:
    """A small module with reproducible weights."""
    torch.manual_seed(0)
    return experiment(composed("latent=3", "network.hidden=[16]", *overrides))


def small_data(**options) -> MNIST5k:
    """A few hundred real digits; ``options`` replace the defaults."""
    return MNIST5k(**{"batch_size": 64, "eval_batch_size": 100, "val": 100, "train": 256, "test": 150, **options})
