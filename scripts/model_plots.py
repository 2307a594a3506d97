"""A small plot of each of some finished runs, and the rows of a table about them, for the documentation.

python scripts/model_plots.py outputs/runs/pca outputs/runs/vae --to plots
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
GREYS, COLOURS = 16, 256  # grey values, or colours, in a plot: 16 greys make the file ten times smaller
ENDS = (0, 2)  # the test images that the interpolation leads between
HEAD = "| run | overrides | latent | squared error | elbo | nll | posterior σ |\n|---|---|---|---|---|---|---|"


def model_plot(module: VAEModule, data: ImageDataModule, title: str) -> Image.Image:
    """Test images, their reconstructions, an interpolation, and two rows of samples.

    A conditional model has no interpolation, and its samples have one z and the labels 0, 1, ...
    """
    model = module.model
    images, labels = data.sets["test"][torch.arange(COLUMNS)]
    originals = data.scale(images)
    with torch.no_grad(), rng.fixed_noise(torch.device("cpu"), module.seed, rng.PLOTS):
        given = model.given(labels)
        rows = {"original": originals, "reconstruction": given.reconstruct(given.encode(originals))}
        if model.has_continuous_latents and model.classes is None:
            first, last = model.encode(originals[list(ENDS)]).mean
            rows["interpolation"] = model.decode(latent_paths.linear(first, last, COLUMNS)).mean
        for row in ("samples", "more samples"):
            z = model.sample_latents(COLUMNS)
            if model.classes is not None:
                z, labels = z[:1].expand_as(z), torch.arange(COLUMNS) % model.classes
            rows[row] = model.given(labels).decode(z).mean
    drawn = style.as_image(style.pixels(image_grids.labelled_rows(rows, title)))
    return drawn.quantize(GREYS if drawn.mode == "L" else COLOURS)


def table_row(name: str, results: Mapping[str, Any]) -> str:
    """One line of the table: the run, its overrides, its latents, and its metrics, as far as it has them."""
    test = results["test"]
    command = " ".join(word for word in results["overrides"] if not word.startswith(("name=", "hydra.")))
    nll = f"{test['nll']:.2f}" if "nll" in test else "n/a"
    elbo = f"{test['elbo']:.2f}" if "elbo" in test else "n/a"
    std = f"{test['posterior_std']:.2g}" if "posterior_std" in test else "n/a"
    entries = [name, f"`{command}`", str(results["latent"]), f"{test['mse']:.2f}", elbo, nll, std]
    return f"| {' | '.join(entries)} |"


def work() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="directories of finished runs")
    parser.add_argument("--to", type=Path, required=True, help="the folder for the plots, one <run>.png each")
    tools.add_folder(parser)
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    print(HEAD)
    for directory in arguments.runs:
        results = read_results(directory)
        drawn = model_plot(*load_run(directory, folders=tools.folders(arguments)), directory.name)
        drawn.save(arguments.to / f"{directory.name}.png", optimize=True)
        print(table_row(directory.name, results), flush=True)


if __name__ == "__main__":
    tools.main(work)
