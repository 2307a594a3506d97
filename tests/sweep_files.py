"""What the jobs of a sweep left in their directories, for tests that compare sweeps."""

import csv
from pathlib import Path

import torch

from vaelab.runs.directory import LAST, RESULTS
from vaelab.runs.results import read_results


def jobs(sweep: Path) -> dict[str, Path]:
    """By the latent size."""
    found = (path.parent for path in sweep.glob(f"*/{RESULTS}"))
    return {str(read_results(job)["latent"]): job for job in found}


def outcome(job: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """What a job reached: its metrics, and its last weights."""
    found = read_results(job)
    last = torch.load(job / LAST, weights_only=True)
    latents = {name: value for name, value in found["evaluation"]["latents"].items() if name != "time_s"}
    return {"test": found["test"], "validation": found["validation"], "latents": latents}, last["state_dict"]


def same_outcome(left: Path, right: Path) -> bool:
    (metrics, weights), (others, other_weights) = outcome(left), outcome(right)
    return metrics == others and all(torch.equal(weights[key], other_weights[key]) for key in weights)


def table(sweep: Path) -> list[dict[str, str]]:
    with (sweep / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))
