"""Sweeps without training: directories with the results.json of jobs whose metrics follow a formula."""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from vaelab.runs.results import RESULTS
from vaelab.sweeps.names import directory_name


def metrics(latent: float, beta: float, seed: int) -> dict[str, float]:
    """Similar to a VAE's: the rate falls with β, the distortion with the rate, and each seed differs a little."""
    rate = min(3.0 * latent, 25.0) / (1 + 0.5 * math.log1p(beta)) + 0.01 * seed
    distortion = 75.0 + 80.0 * math.exp(-rate / 9) + 0.02 * seed
    nll = rate + distortion - 3.5
    test = {"elbo": -rate - distortion, "rate": rate, "distortion": distortion, "nll": nll, "mse": distortion / 12}
    return {**test, "nll_samples": 100, "active_units": min(latent, round(rate)), "loss": distortion + beta * rate}


def result(overrides: Mapping[str, object], **changes: object) -> dict[str, object]:
    """results.json of a completed job with ``overrides``, and ``changes`` to it."""
    config = {
        "latent": overrides.get("latent", 20), "seed": overrides.get("seed", 0), "epochs": 50,
        "beta": {"weight": overrides.get("beta.weight", 1)}, "data": {"name": "mnist", "val": 5000, "binarize": "none"},
        "model": {"classes": None}, "optimizer": {"lr": overrides.get("optimizer.lr", 8e-3)},
    }  # fmt: skip
    test = metrics(config["latent"], config["beta"]["weight"], config["seed"])
    groups = {"model": "vae", "network": "mlp", "likelihood": "bernoulli", "prior": "normal", "loss": "elbo"}
    groups |= {name: value for name, value in overrides.items() if name in groups}
    return {
        "status": "completed", "name": "job", "overrides": [f"{name}={value}" for name, value in overrides.items()],
        **groups, "latent": config["latent"], "beta": config["beta"]["weight"], "seed": config["seed"], "epochs": 50,
        "choices": groups, "config": config, "commit": "c0ffee", "steps": 100, "parameters": 1000,
        "data": {"name": "mnist", "train": 55000, "val": 5000, "test": 10000, "binarize": "none", "batch_size": 512},
        "tested": {"checkpoint": "best", "epoch": 50}, "validation": {"elbo": test["elbo"] - 0.5},
        "test": test, "time": {"fit_s": 1.0}, "versions": {"torch": "2"}, **changes,
    }  # fmt: skip


def write(folder: Path, overrides: Mapping[str, object], **changes: object) -> Path:
    job = folder / directory_name([f"{name}={value}" for name, value in overrides.items()])
    job.mkdir(parents=True)
    (job / RESULTS).write_text(json.dumps(result(overrides, **changes)))
    return job


def sweep(folder: Path, **axes: Sequence[object]) -> Path:
    """Every combination of ``axes``, whose names have __ for a dot."""
    names = [name.replace("__", ".") for name in axes]
    for values in itertools.product(*axes.values()):
        write(folder, dict(zip(names, values, strict=True)))
    return folder
