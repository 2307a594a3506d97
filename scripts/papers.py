"""Compare finished runs of the recipes experiment=paper/... with the published numbers: a table in Markdown.

    python scripts/papers.py outputs/runs/iwae_vae outputs/runs/vamp_standard
    python scripts/papers.py outputs/runs/iwae_* --curves docs/papers

Each run must have its nll by K = 5,000 samples of q(z|x) and none of the prior:

    python scripts/evaluate.py outputs/runs/iwae_vae nll_samples=5000 prior_samples=0

Runs of one recipe with the same other options are its seeds: the table has their mean and standard deviation. A recipe
is within tolerance where the mean is at most 0.1 nats above the published number. --curves writes the training ELBO of
every epoch of each run.
"""

import argparse
import csv
import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from vaelab.cli import tools
from vaelab.errors import InputError
from vaelab.files import replacing
from vaelab.runs.options import NOT_TRAINING, is_among
from vaelab.runs.results import METRICS, read_results
from vaelab.sweeps.names import directory_name

K, TOLERANCE = 5_000, 0.1  # samples, and nats above the published number
RECIPE = "paper/"
SAME_ROW = (*NOT_TRAINING, "experiment", "seed", "accelerator")  # options in which runs of one row may differ


@dataclass(frozen=True)
class Published:
    """A row of a paper's table: -log p(x) in nats, the active units where the paper has them, and the table."""

    nll: float
    active: str
    table: str


IWAE, VAMP = "Burda et al. (2016), Table 1", "Tomczak and Welling (2018), Table 1"
PUBLISHED = {
    "iwae_vae": Published(86.76, "19", IWAE),
    "iwae_5": Published(85.54, "22", IWAE),
    "iwae_50": Published(84.78, "25", IWAE),
    "iwae_2layer_vae": Published(85.33, "16 + 5", IWAE),
    "iwae_2layer_5": Published(83.89, "21 + 5", IWAE),
    "iwae_2layer_50": Published(82.90, "26 + 7", IWAE),
    "iwae_vae_as_published": Published(86.76, "19", IWAE),
    "vamp_standard": Published(84.45, "", VAMP),  # 84.50 there; 84.45 where it was trained again: see docs/papers.md
    "vamp_vamp": Published(82.38, "", VAMP),
    "vamp_hvae": Published(81.24, "", VAMP),
}
COLUMNS = (
    "recipe", "published", "ours", "difference", "within tolerance", "seeds", "active units: published, ours", "epochs",
    "training", "machine",
)  # fmt: skip


@dataclass(frozen=True)
class Reproduced:
    """One finished run of a recipe."""

    recipe: str
    directory: Path
    results: dict

    @classmethod
    def read(cls, directory: Path) -> "Reproduced":
        """
        **Raises**
            InputError: it is no finished run of a recipe, or its nll was not estimated as the papers do.
        """
        results = read_results(directory)
        recipe = str(results.get("choices", {}).get("experiment", ""))
        if results.get("status") != "completed" or recipe.removeprefix(RECIPE) not in PUBLISHED:
            raise InputError(f"{directory} is no finished run of experiment={RECIPE}...")
        likelihood = results.get("evaluation", {}).get("likelihood", {})
        if likelihood.get("nll_samples") != K or likelihood.get("nll_prior_samples") != 0:
            raise InputError(
                f"{directory} has no nll by K = {K:,} samples: python scripts/evaluate.py {directory} nll_samples={K} "
                "prior_samples=0"
            )
        return cls(recipe.removeprefix(RECIPE), directory, results)

    @property
    def changes(self) -> list[str]:
        """The options that were typed beside the recipe and change the training, such as ``epochs=150``."""
        words = self.results.get("overrides", [])
        return sorted(word for word in words if not is_among(word.lstrip("+~").partition("=")[0], SAME_ROW))

    @property
    def setting(self) -> str:
        """The recipe and its changes, such as ``iwae_vae epochs=150``."""
        return " ".join([self.recipe, *self.changes])

    @property
    def nll(self) -> float:
        return self.results["evaluation"]["likelihood"]["nll"]

    @property
    def active(self) -> str:
        latents = self.results["evaluation"].get("latents", {})
        layers = latents.get("active_units_per_layer", [latents.get("active_units", "")])
        return " + ".join(map(str, layers))

    def write_curve(self, folder: Path) -> Path:
        """The training ELBO at the end of every epoch, as a CSV file in ``folder``."""
        table = pd.read_csv(self.directory / METRICS).dropna(subset=["elbo/train"])
        curve = table.groupby(table["epoch"].map(math.ceil))["elbo/train"].last()
        changes = [directory_name(self.changes)] if self.changes else []
        path = folder / f"{','.join([self.recipe, *changes])}-seed{self.results['seed']}.csv"
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part, part.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", "elbo_train"])
            writer.writerows((epoch, f"{elbo:.2f}") for epoch, elbo in curve.items())
        return path


def row(runs: list[Reproduced]) -> str:
    """A line of the table, of runs that differ in their seeds."""
    published, found = PUBLISHED[runs[0].recipe], [run.nll for run in runs]
    mean, first = statistics.mean(found), runs[0].results
    spread = f" ± {statistics.stdev(found):.2f}" if len(found) > 1 else ""
    difference = mean - published.nll
    # Of all epochs at the pace of the last part of the training: fit_s is only of that, where a run was resumed.
    minutes = statistics.mean(run.results["time"]["epoch_s"] * run.results["epochs"] for run in runs) / 60
    active = ", ".join(dict.fromkeys(run.active for run in runs))
    cells = [
        f"`{runs[0].setting}`", f"{published.nll:.2f}", f"{mean:.2f}{spread}", f"{difference:+.2f}",
        "yes" if difference <= TOLERANCE else "no", str(len(runs)), f"{published.active or '?'}; {active}",
        str(first["epochs"]), f"{minutes:.0f} min", first["device"],
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def work() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="directories of finished runs of these recipes")
    parser.add_argument("--curves", type=Path, help="the folder of the training curves, which are written anew")
    arguments = parser.parse_args()
    order = list(PUBLISHED)
    runs = sorted(map(Reproduced.read, arguments.runs), key=lambda run: order.index(run.recipe))
    groups: dict[tuple[str, int], list[Reproduced]] = defaultdict(list)
    for run in runs:
        groups[run.setting, run.results["epochs"]].append(run)
    print(f"| {' | '.join(COLUMNS)} |")
    print("|" + "---|" * len(COLUMNS))
    for seeds in groups.values():
        print(row(seeds))
    for run in runs if arguments.curves else []:
        run.write_curve(arguments.curves)


if __name__ == "__main__":
    tools.main(work)
