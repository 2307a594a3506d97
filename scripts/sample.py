"""Images from a finished run's prior: a grid as .png, or all of them as .npy or .pt.

    python scripts/sample.py outputs/runs/two samples.png
    python scripts/sample.py outputs/runs/two samples.npy --count 10000 --temperature 0.8 --seed 1
    python scripts/sample.py outputs/runs/conditional sevens.png --label 7

Arrays are float32 (count, 1, 28, 28). Pixels are the likelihood's means, in [0, 1], or with --noise drawn from it; a
Gaussian's or Laplace's may leave that range.
"""

import math

import numpy as np
import torch

from vaelab import rng
from vaelab.checks import number, whole
from vaelab.cli import tools
from vaelab.errors import InputError
from vaelab.models.priors import StandardNormal
from vaelab.models.vae import sample_images
from vaelab.plots import image_grids

KINDS = (".png", ".npy", ".pt")
AT_A_TIME = 1_000
GRID = 1_024  # images at most


def work() -> None:
    parser = tools.parser(__doc__)
    tools.add_target(parser, KINDS)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=1.0, help="factor on the prior's standard deviation")
    parser.add_argument("--label", type=int, help="of a conditional model: the class; without it, one after the other")
    parser.add_argument("--noise", action="store_true", help="draw the pixels too, instead of taking their means")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    count = whole("--count", arguments.count)
    temperature = number("--temperature", arguments.temperature)
    whole("--seed", arguments.seed, 0)
    file = tools.target(arguments, KINDS)
    if file.suffix == ".png" and count > GRID:
        raise InputError(f"a grid holds at most {GRID} images, got --count {count}: take .npy or .pt")
    model = tools.open_run(arguments, reads_data=False)[0].model
    if temperature != 1 and not isinstance(model.prior, StandardNormal):
        raise InputError(f"--temperature is for prior=normal, and this run has {type(model.prior).__name__}")
    labels = tools.labels(model, count, arguments.label)
    with torch.no_grad(), rng.fixed_noise(labels.device, arguments.seed, rng.PLOTS):
        parts = tools.progress(labels.split(AT_A_TIME), "samples")
        images = torch.cat([sample_images(model, part, arguments.noise, temperature).cpu() for part in parts])
    with tools.writing(file) as part:
        if file.suffix == ".npy":
            np.save(part, images.numpy())
        elif file.suffix == ".pt":
            torch.save(images, part)
        else:
            image_grids.grid(images, columns=math.ceil(math.sqrt(count))).savefig(part)
    print(file)


if __name__ == "__main__":
    tools.main(work)
