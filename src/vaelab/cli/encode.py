"""Encode images: posterior means and standard deviations, as arrays in .npz or as a table in .parquet.

    python scripts/encode.py outputs/runs/two test.npz                     # the run's test images
    python scripts/encode.py outputs/runs/two mine.parquet --images my-digits/

An .npz holds mean and std (N, D), and label (N,) or path (N,). The table has the columns z0, z1, ..., std0, std1, ...
Your own images are converted to grey and resized; an image of another aspect ratio than the model's gets a margin of
background. --invert is for dark digits on a bright background.
"""

import argparse

import numpy as np
import pandas as pd
from torch import Tensor

from vaelab.cli import tools
from vaelab.data import image_files
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError

SUFFIXES = (".npz", ".parquet")


def work() -> None:
    arguments = parse()
    file = tools.target(arguments, SUFFIXES)
    paths = image_files.find(arguments.images or [])
    run = tools.open_run(arguments)
    if paths:
        images, label = tools.own_images(arguments, paths, run)
        names, found = {"path": np.array([str(path) for path in paths])}, run.encode(images, label)
    else:
        images, labels = images_of_split(run.data, arguments.split or "test")
        names, found = {"label": labels.numpy()}, run.encode(images, labels if run.classes else None)
    arrays = {name: value.numpy() for name, value in found._asdict().items()}
    with tools.writing(file) as part:
        if file.suffix == ".npz":
            np.savez_compressed(part, allow_pickle=False, **arrays, **names)
        else:
            pd.DataFrame({**names, **columns(arrays)}).to_parquet(part)
    print(f"{file}: {len(images):,} images, {run.latent} latents each")


def parse() -> argparse.Namespace:
    parser = tools.parser(__doc__)
    tools.add_target(parser, SUFFIXES)
    parser.add_argument("--split", choices=["train", "val", "test"], help="of the run's data (default: test)")
    tools.add_images(parser, "--images")
    arguments = parser.parse_args()
    if arguments.images and arguments.split:
        raise InputError("--split is for the run's own data: leave it out, or leave --images out")
    if not arguments.images and (arguments.invert or arguments.label is not None):
        raise InputError("--invert and --label are for --images: leave them out")
    return arguments


def images_of_split(data: ImageDataModule, split: str) -> tuple[Tensor, Tensor]:
    chosen = data.sets[split]
    if not len(chosen):
        raise InputError(f"--split {split}: this run's data has no such images")
    return chosen.images, chosen.labels


def columns(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The table's columns: z0, z1, ..., std0, std1, ..."""
    latents = range(arrays["mean"].shape[1])
    pairs = [("z", arrays["mean"]), ("std", arrays["std"])]
    return {f"{name}{latent}": values[:, latent] for name, values in pairs for latent in latents}


def main() -> None:
    tools.main(work)
