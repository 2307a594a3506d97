"""Reconstruct your own images with a finished run: a grid of originals, each row above its reconstructions.

    python scripts/reconstruct.py outputs/runs/two mine.png my-digits/ another.png
    python scripts/reconstruct.py outputs/runs/two mine.png scan.jpg --invert

Images are converted to grey and resized to the model's size; where their aspect ratio is another than the model's, they
get a margin of background. --invert is for dark digits on a bright background. The squared error of each image is
printed, and its ELBO in nats where the model has one: it is low for images that differ from the training images.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from vaelab import rng
from vaelab.cli import tools
from vaelab.data import image_files
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError
from vaelab.evaluation.bounds import bounds, squared_error
from vaelab.models.contracts import Model
from vaelab.plots import image_grids

SUFFIXES = (".png",)
ROW = 10  # images
MOST = 500  # images
SAMPLES = 100  # latent samples per image


def work() -> None:
    parser = tools.parser(__doc__)
    tools.add_target(parser, SUFFIXES)
    tools.add_images(parser, "images")
    arguments = parser.parse_args()
    file = tools.target(arguments, SUFFIXES)
    paths = image_files.find(arguments.images)
    if len(paths) > MOST:
        raise InputError(f"a grid holds at most {MOST} images, got {len(paths)}: name fewer, or use scripts/encode.py")
    module, data = tools.open_run(arguments, reads_data=False)
    images, labels = tools.own_images(arguments, paths, module.model)
    rows, lines = {}, []
    for first, (originals, reconstructions, metrics) in enumerate(reconstruct(module.model, data, images, labels)):
        number = first * ROW + 1
        rows[f"originals {number}"], rows[f"reconstructions {number}"] = originals, reconstructions
        values = zip(*(value.tolist() for value in metrics.values()), strict=True)
        lines += [", ".join(f"{name} {value:.2f}" for name, value in zip(metrics, row, strict=True)) for row in values]
    with tools.writing(file) as part:
        image_grids.labelled_rows(rows).savefig(part)
    for path, line in zip(paths, lines, strict=True):
        print(f"{path}: {line}")
    print(file)


def reconstruct(
    model: Model, data: ImageDataModule, images: Tensor, labels: Tensor
) -> Iterator[tuple[Tensor, Tensor, dict[str, Tensor]]]:
    """Row by row: originals, reconstructions, and the metrics ``(B,)`` of each image."""
    with torch.no_grad(), rng.fixed_noise(labels.device, rng.EVALUATE):
        for part, given in zip(images.split(ROW), labels.split(ROW), strict=True):
            view, x = model.given(given), data.scale(part, drawn=True).to(given.device)
            inference = view(x, SAMPLES)
            metrics = {"squared_error": squared_error(view, inference), **bounds(inference, view.has_bound)}
            yield x, view.reconstruct(inference.q), metrics


def main() -> None:
    tools.main(work)
