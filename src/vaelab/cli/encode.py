"""Encode images: posterior means and standard deviations, as arrays in .npz or as a table in .parquet.

    python scripts/encode.py outputs/runs/two test.npz                     # the run's test images
    python scripts/encode.py outputs/runs/two mine.parquet --images my-digits/

An .npz holds mean and std (N, D), and label (N,) or path (N,). The table has the columns z0, z1, ..., std0, std1, ...
Your own images are converted to grey and resized; where their aspect ratio is another than the model's, they get a
margin of background. --invert is for dark digits on a bright background.
"""

import argparse

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vaelab import rng
from vaelab.cli import tools
from vaelab.data import image_files
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError
from vaelab.training.module import VAEModule

SUFFIXES = (".npz", ".parquet")
BATCH = 1_000


def work() -> None:
    arguments = parse()
    file = tools.target(arguments, SUFFIXES)
    paths = image_files.find(arguments.images or [])
    module, data = tools.open_run(arguments, reads_data=not paths)
    if paths:
        images, labels = tools.own_images(arguments, paths, module.model)
        names = {"path": np.array([str(path) for path in paths])}
    else:
        images, labels = images_of_split(data, arguments.split or "test")
        names = {"label": labels.numpy()}
    arrays = encode(module, data, images, labels)
    with tools.writing(file) as part:
        if file.suffix == ".npz":
            np.savez_compressed(part, allow_pickle=False, **arrays, **names)
        else:
            pd.DataFrame({**names, **columns(arrays)}).to_parquet(part)
    print(f"{file}: {len(images):,} images, {arrays['mean'].shape[1]} latents each")


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


def encode(module: VAEModule, data: ImageDataModule, images: Tensor, labels: Tensor) -> dict[str, np.ndarray]:
    """Mean and standard deviation of q(z|x), ``(N, D)`` each."""
    means, stds = [], []
    batches = list(zip(images.split(BATCH), labels.split(BATCH), strict=True))
    with torch.no_grad(), rng.fixed_noise(module.device, rng.EVALUATE):
        for batch, given in tools.progress(batches, "encoding"):
            model = module.model.given(given.to(module.device))
            q = model.encode(data.scale(batch, drawn=True).to(module.device))
            means.append(q.mean.cpu().numpy())
            stds.append(q.variance.sqrt().cpu().numpy())
    return {"mean": np.concatenate(means), "std": np.concatenate(stds)}


def columns(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The table's columns: z0, z1, ..., std0, std1, ..."""
    latents = range(arrays["mean"].shape[1])
    pairs = [("z", arrays["mean"]), ("std", arrays["std"])]
    return {f"{name}{latent}": values[:, latent] for name, values in pairs for latent in latents}


def main() -> None:
    tools.main(work)
