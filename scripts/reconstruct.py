"""Your own images through a finished run's code and back: originals over reconstructions, as a picture.

    python scripts/reconstruct.py outputs/runs/two mine.png my-digits/ another.png
    python scripts/reconstruct.py outputs/runs/two mine.png scan.jpg --invert

Images are made grey and resized to the model's size; --invert is for dark digits on light paper. Each one's squared
error is printed, and its ELBO in nats where the model has one: images unlike the training's have a low one.
"""

import torch

from vaelab import rng
from vaelab.cli import tools
from vaelab.data import image_files
from vaelab.errors import InputError
from vaelab.evaluation.bounds import bounds, squared_error
from vaelab.plots import image_grids

KINDS = (".png",)
ROW = 10
MOST = 500
SAMPLES = 100


def work() -> None:
    parser = tools.parser(__doc__)
    tools.add_target(parser, KINDS)
    tools.add_images(parser, "images")
    arguments = parser.parse_args()
    file = tools.target(arguments, KINDS)
    paths = image_files.find(arguments.images)
    if len(paths) > MOST:
        raise InputError(
            f"a picture holds at most {MOST} images, got {len(paths)}: name fewer, or take scripts/encode.py"
        )
    experiment, data = tools.open_run(arguments, reads_data=False)
    pixels, labels = tools.own_images(arguments, paths, experiment.model)
    originals, shown, lines = [], [], []
    with torch.no_grad(), rng.fixed_noise(labels.device, rng.EVALUATE):
        for part, given in zip(pixels.split(ROW), labels.split(ROW), strict=True):
            model, x = experiment.model.given(given), data.scale(part, drawn=True).to(given.device)
            inference = model(x, SAMPLES)
            originals.append(x)
            shown.append(model.reconstruct(inference.q))
            found = {"squared_error": squared_error(model, inference), **bounds(inference, model.has_bound)}
            values = zip(*(value.tolist() for value in found.values()), strict=True)
            lines += [
                ", ".join(f"{name} {number:.2f}" for name, number in zip(found, row, strict=True)) for row in values
            ]
    rows = {}
    for number, (row, back) in enumerate(zip(originals, shown, strict=True)):
        rows[f"originals {number * ROW + 1}"], rows[f"reconstructions {number * ROW + 1}"] = row, back
    with tools.writing(file) as part:
        image_grids.labelled_rows(rows).savefig(part)
    for path, line in zip(paths, lines, strict=True):
        print(f"{path}: {line}")
    print(file)


if __name__ == "__main__":
    tools.main(work)
