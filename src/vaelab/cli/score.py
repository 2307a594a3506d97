"""Score images with a finished run: ELBO, -log p(x) with its error, rate and distortion of each image, as a table.

    python scripts/score.py outputs/runs/two scores.csv                          # the run's test images
    python scripts/score.py outputs/runs/two my-digits/ scores.csv               # your own image files
    python scripts/score.py outputs/runs/two scores.parquet --samples 1000

All in nats, at beta = 1. The nll is an estimate by importance sampling with --samples latent samples of q(z|x), and
nll_stderr its Monte Carlo error. A model that was trained on some classes (data.classes=[0,1]) can detect the others:
its table has all test images, with the column "known", and the ROC-AUC of the nll is printed.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from vaelab.checks import whole
from vaelab.cli import tools
from vaelab.data import image_files
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError

SUFFIXES = (".csv", ".parquet")


def work() -> None:
    arguments = parse()
    file = tools.target(arguments, SUFFIXES)
    paths = image_files.find(arguments.images)
    run = tools.open_run(arguments)
    if paths:
        images, label = tools.own_images(arguments, paths, run)
        names = {"path": np.array([str(path) for path in paths])}
        scores = run.score(images, label, arguments.samples)
    else:
        images, labels = run.data.image_set.test_images, run.data.image_set.test_labels
        names = {"image": np.arange(len(images)), "label": labels.numpy(), **known(run.data, labels)}
        scores = run.score(images, labels if run.classes else None, arguments.samples)
    table = pd.DataFrame({**names, **{name: values.numpy() for name, values in scores.items()}})
    with tools.writing(file) as part:
        table.to_csv(part, index=False) if file.suffix == ".csv" else table.to_parquet(part)
    print(f"{file}: {len(table):,} images; mean {describe(table)}")
    if "known" in table and table["known"].nunique() == 2:
        print(separation(table, run.data))


def parse() -> argparse.Namespace:
    parser = tools.parser(__doc__)
    parser.add_argument(
        "images", type=Path, nargs="*", help="image files, or folders of them (default: the test images)"
    )
    tools.add_target(parser, SUFFIXES)
    parser.add_argument("--samples", type=int, default=100, help="latent samples per image (default: 100)")
    tools.add_image_options(parser)
    arguments = parser.parse_intermixed_args()
    whole("--samples", arguments.samples, 2)
    if not arguments.images and (arguments.invert or arguments.label is not None):
        raise InputError("--invert and --label are for your own images: leave them out, or name images")
    return arguments


def known(data: ImageDataModule, labels: Tensor) -> dict[str, np.ndarray]:
    """The column ``known``, where the model was trained on some of the classes."""
    if data.classes is None:
        return {}
    return {"known": torch.isin(labels, torch.tensor(data.classes)).numpy()}


def describe(table: pd.DataFrame) -> str:
    columns = [name for name in ("elbo", "nll", "distortion", "squared_error") if name in table]
    return ", ".join(f"{name} {table[name].mean():.3f}" for name in columns)


def separation(table: pd.DataFrame, data: ImageDataModule) -> str:
    """The ROC-AUC with which the score separates the classes of the training from the others."""
    score = "nll" if "nll" in table else "squared_error"
    area = roc_auc_score(~table["known"], table[score])
    others = sorted(set(table.loc[~table["known"], "label"]))
    return f"classes {data.classes} of the training against {others}: ROC-AUC of {score} {area:.4f}"


def main() -> None:
    tools.main(work)
