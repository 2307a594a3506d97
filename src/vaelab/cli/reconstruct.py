"""Reconstruct your own images with a finished run: a grid of originals, each row above its reconstructions.

    python scripts/reconstruct.py outputs/runs/two mine.png my-digits/ another.png
    python scripts/reconstruct.py outputs/runs/two mine.png scan.jpg --invert

Images are converted to grey and resized to the model's size; an image of another aspect ratio gets a margin of
background. --invert is for dark digits on a bright background. The squared error of each image is
printed, and its ELBO in nats where the model has one: it is low for images that differ from the training images.
"""

from torch import Tensor

from vaelab.cli import tools
from vaelab.commands import typed
from vaelab.data import image_files
from vaelab.errors import InputError
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
        raise InputError(f"a grid holds at most {MOST} images, got {len(paths)}: name fewer, or use {typed('encode')}")
    run = tools.open_run(arguments)
    images, label = tools.own_images(arguments, paths, run)
    x = run.prepare(images)
    reconstructed, scores = run.reconstruct(x, label), run.score(x, label, SAMPLES)
    with tools.writing(file) as part:
        image_grids.labelled_rows(rows(x, reconstructed)).savefig(part)
    metrics = {"squared_error": (x - reconstructed).square().flatten(1).sum(1)}
    metrics |= {name: scores[name] for name in ("elbo", "rate", "distortion") if name in scores}
    for number, path in enumerate(paths):
        print(f"{path}: {', '.join(f'{name} {float(values[number]):.2f}' for name, values in metrics.items())}")
    print(file)


def rows(x: Tensor, reconstructed: Tensor) -> dict[str, Tensor]:
    """The rows of the grid by their names: originals, and below them their reconstructions."""
    parts = enumerate(zip(x.split(ROW), reconstructed.split(ROW), strict=True))
    pairs = ((first * ROW + 1, originals, back) for first, (originals, back) in parts)
    return {
        name: images
        for number, originals, back in pairs
        for name, images in ((f"originals {number}", originals), (f"reconstructions {number}", back))
    }


def main() -> None:
    tools.main(work)
