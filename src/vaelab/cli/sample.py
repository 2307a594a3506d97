"""Draw images from a finished run's prior: a grid as .png, or all images as .npy or .pt.

    python scripts/sample.py outputs/runs/two samples.png
    python scripts/sample.py outputs/runs/two samples.npy --count 10000 --temperature 0.8 --seed 1
    python scripts/sample.py outputs/runs/conditional sevens.png --label 7

Arrays are float32 (count, C, H, W). Pixels are the means of p(x|z), clamped to [0, 1]; with --noise they are drawn from
p(x|z), and those of a Gaussian or Laplace likelihood may leave that range.
"""

import argparse
import math

import numpy as np
import torch

from vaelab.checks import number, whole
from vaelab.cli import tools
from vaelab.errors import InputError
from vaelab.plots import image_grids

SUFFIXES = (".png", ".npy", ".pt")
LARGEST_GRID = 1_024  # images


def work() -> None:
    arguments = parse()
    file = tools.target(arguments, SUFFIXES)
    run = tools.open_run(arguments)
    label = tools.label(run, arguments.label)
    images = run.sample(arguments.count, label, arguments.temperature, arguments.noise, arguments.seed)
    with tools.writing(file) as part:
        if file.suffix == ".npy":
            np.save(part, images.numpy())
        elif file.suffix == ".pt":
            torch.save(images, part)
        else:
            image_grids.grid(images, columns=math.ceil(math.sqrt(len(images)))).savefig(part)
    print(file)


def parse() -> argparse.Namespace:
    parser = tools.parser(__doc__)
    tools.add_target(parser, SUFFIXES)
    parser.add_argument("--count", type=int, default=64, help="how many images (default: 64)")
    parser.add_argument("--temperature", type=float, default=1.0, help="factor on the prior's standard deviation")
    parser.add_argument("--label", type=int, help="the class, for a conditional model; without it the classes in turn")
    parser.add_argument("--noise", action="store_true", help="draw the pixels too, instead of taking their means")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other images (default: 0)")
    arguments = parser.parse_args()
    whole("--count", arguments.count)
    number("--temperature", arguments.temperature)
    whole("--seed", arguments.seed, 0)
    if arguments.file.suffix == ".png" and arguments.count > LARGEST_GRID:
        raise InputError(f"a grid holds at most {LARGEST_GRID} images, got --count {arguments.count}: take .npy or .pt")
    return arguments


def main() -> None:
    tools.main(work)
