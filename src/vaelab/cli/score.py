"""Score images with a finished run: ELBO, -log p(x) with its error, rate and distortion of each image, as a table.

    python scripts/score.py outputs/runs/two scores.csv                          # the run's test images
    python scripts/score.py outputs/runs/two my-digits/ scores.csv               # your own image files
    python scripts/score.py outputs/runs/two scores.parquet --samples 1000

All in nats, at beta = 1. The nll is an estimate by importance sampling with --samples latent samples of q(z|x), and
nll_stderr its Monte Carlo error. A model that was trained on some classes (data.classes=[0,1]) can detect the others:
its table has all test images, with the column "known", and the ROC-AUC of the nll is printed.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from vaelab import rng
from vaelab.checks import whole
from vaelab.cli import tools
from vaelab.data import image_files
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError
from vaelab.evaluation.bounds import bounds, squared_error
from vaelab.evaluation.importance import importance_weights, log_likelihood
from vaelab.models.contracts import Model
from vaelab.training.module import VAEModule

SUFFIXES = (".csv", ".parquet")
BATCH = 100
DISTORTION_SAMPLES = 100  # of a model without a density of its latents


def work() -> None:
    arguments = parse()
    file = tools.target(arguments, SUFFIXES)
    paths = image_files.find(arguments.images)
    module, data = tools.open_run(arguments, reads_data=not paths)
    if paths:
        images, labels = tools.own_images(arguments, paths, module.model)
        names = {"path": np.array([str(path) for path in paths])}
    else:
        images, labels = data.image_set.test_images, data.image_set.test_labels
        names = {"image": np.arange(len(images)), "label": labels.numpy(), **known(data, labels)}
    table = pd.DataFrame({**names, **score(module, data, images, labels, arguments.samples)})
    with tools.writing(file) as part:
        table.to_csv(part, index=False) if file.suffix == ".csv" else table.to_parquet(part)
    print(f"{file}: {len(table):,} images; mean {describe(table)}")
    if "known" in table and table["known"].nunique() == 2:
        print(separation(table, data))


def parse() -> argparse.Namespace:
    parser = tools.parser(__doc__)
    parser.add_argument(
        "images", type=Path, nargs="*", help="image files, or folders of them (default: the test images)"
    )
    tools.add_target(parser, SUFFIXES)
    parser.add_argument("--samples", type=int, default=100, help="latent samples per image (default: 100)")
    tools.add_image_options(parser)
    arguments = parser.parse_args()
    whole("--samples", arguments.samples, 2)
    if not arguments.images and (arguments.invert or arguments.label is not None):
        raise InputError("--invert and --label are for your own images: leave them out, or name images")
    return arguments


def known(data: ImageDataModule, labels: Tensor) -> dict[str, np.ndarray]:
    """The column ``known``, where the model was trained on some of the classes."""
    if data.classes is None:
        return {}
    return {"known": torch.isin(labels, torch.tensor(data.classes)).numpy()}


def score(
    module: VAEModule, data: ImageDataModule, images: Tensor, labels: Tensor, samples: int
) -> dict[str, np.ndarray]:
    """The columns of the table, ``(N,)`` each."""
    parts = list(_batches(module, data, images, labels, samples))
    return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}


def _batches(
    module: VAEModule, data: ImageDataModule, images: Tensor, labels: Tensor, samples: int
) -> Iterator[dict[str, Tensor]]:
    batches = list(zip(images.split(BATCH), labels.split(BATCH), strict=True))
    with torch.no_grad(), rng.fixed_noise(module.device, rng.EVALUATE):
        for batch, given in tools.progress(batches, "scoring"):
            x = data.scale(batch, drawn=True).to(module.device)
            yield score_batch(module.model.given(given.to(module.device)), x, samples)


def score_batch(model: Model, x: Tensor, samples: int) -> dict[str, Tensor]:
    """The scores ``(B,)`` of images ``x`` ``(B, C, H, W)``; without a density of the latents the distortion alone."""
    if not model.has_bound:
        inference = model(x, DISTORTION_SAMPLES)
        return {**bounds(inference, has_bound=False), "squared_error": squared_error(model, inference)}
    weights = importance_weights(model, x, samples)
    log_px, variance = log_likelihood(weights.log_w)
    return {
        "elbo": weights.elbo,
        "nll": -log_px,
        "nll_stderr": variance.sqrt(),
        "rate": weights.rate,
        "distortion": weights.distortion,
    }


def describe(table: pd.DataFrame) -> str:
    columns = [name for name in ("elbo", "nll", "distortion", "squared_error") if name in table]
    return ", ".join(f"{name} {table[name].mean():.3f}" for name in columns)


def separation(table: pd.DataFrame, data: ImageDataModule) -> str:
    """How well the score tells the classes of the training from the others."""
    score = "nll" if "nll" in table else "squared_error"
    area = roc_auc_score(~table["known"], table[score])
    others = sorted(set(table.loc[~table["known"], "label"]))
    return f"classes {data.classes} of the training against {others}: ROC-AUC of {score} {area:.4f}"


def main() -> None:
    tools.main(work)
