"""What docs/ladder.md shows of finished runs: a small picture of each, and the rows of its table.

python scripts/ladder.py outputs/runs/pca outputs/runs/vae --to docs/ladder
"""

import argparse
from pathlib import Path

import torch
from PIL import Image

from vaelab import rng
from vaelab.cli import tools
from vaelab.data.datamodule import ImageDataModule
from vaelab.plots import image_grids, latent_paths, style
from vaelab.runs.load import load_run
from vaelab.runs.results import read_results
from vaelab.training.module import VAEModule

COLUMNS = 8
GREYS = 16  # of the pictures: a tenth of the bytes
BETWEEN = (0, 2)  # the test images that codes are interpolated between


def picture(experiment: VAEModule, data: ImageDataModule, title: str) -> Image.Image:
    """Originals, reconstructions, an interpolation between two codes, and two rows from the prior."""
    model = experiment.model
    images, labels = data.sets["test"][torch.arange(COLUMNS)]
    originals = data.scale(images)
    with torch.no_grad(), rng.fixed_noise(torch.device("cpu"), experiment.seed, rng.PLOTS):
        given = model.given(labels)
        rows = {"original": originals, "reconstruction": given.reconstruct(given.encode(originals))}
        if model.has_continuous_latents and model.classes is None:
            first, last = model.encode(originals[list(BETWEEN)]).mean
            rows["interpolation"] = model.decode(latent_paths.linear(first, last, COLUMNS)).mean
        for row in ("samples", " "):
            z = model.sample_latents(COLUMNS)
            if model.classes is not None:  # the same code with one label after the other
                z, labels = z[:1].expand_as(z), torch.arange(COLUMNS) % model.classes
            rows[row] = model.given(labels).decode(z).mean
    drawn = Image.fromarray(style.pixels(image_grids.labelled_rows(rows, title)))
    return drawn.convert("L").quantize(GREYS)


def row(name: str, results: dict) -> str:
    """One line of what was printed: the run, its words, latent, squared error, ELBO, nll, the posterior's spread."""
    test = results["test"]
    command = " ".join(word for word in results["overrides"] if not word.startswith(("name=", "hydra.")))
    nll = f"{test['nll']:.2f}" if "nll" in test else "n/a"
    elbo = f"{test['elbo']:.2f}" if "elbo" in test else "n/a"
    std = f"{test['posterior_std']:.2g}" if "posterior_std" in test else "n/a"
    cells = [name, f"`{command}`", str(results["latent"]), f"{test['mse']:.2f}", elbo, nll, std]
    return f"| {' | '.join(cells)} |"


def work() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="directories of finished runs")
    parser.add_argument("--to", type=Path, required=True, help="the folder for the pictures, one <run>.png each")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    print("| run | overrides | latent | squared error | elbo | nll | posterior σ |\n|---|---|---|---|---|---|---|")
    for directory in arguments.runs:
        results = read_results(directory)
        drawn = picture(*load_run(directory), directory.name)
        drawn.save(arguments.to / f"{directory.name}.png", optimize=True)
        print(row(directory.name, results), flush=True)


if __name__ == "__main__":
    tools.main(work)
