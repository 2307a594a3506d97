"""Your own images through a finished run's code and back: originals over reconstructions, as a picture.

    python scripts/reconstruct.py outputs/runs/two mine.png my-digits/ another.png
    python scripts/reconstruct.py outputs/runs/two mine.png scan.jpg --invert

Images are made grey and resized to the model's size; --invert is for dark digits on light paper. Each one's squared
error is printed, and its ELBO in nats where the model has one: images unlike the training's have a low one.
"""

import torch

from vaelab import figures, image_files, noise, tool
from vaelab.evaluation import bounds, squared_error

KINDS = (".png",)
ROW = 10
SAMPLES = 100


def work() -> None:
    parser = tool.parser(__doc__)
    tool.add_target(parser, KINDS)
    tool.add_images(parser, "images")
    arguments = parser.parse_args()
    file = tool.target(arguments, KINDS)
    paths = image_files.find(arguments.images)
    experiment, data = tool.open_run(arguments, reads_data=False)
    pixels, labels = tool.own_images(arguments, paths, experiment.model)
    model = experiment.model.given(labels)
    with torch.no_grad(), noise.fixed_noise(labels.device, noise.EVALUATE):
        x = data.scale(pixels, drawn=True).to(labels.device)
        inference = model(x, SAMPLES)
        shown = model.reconstruct(inference.q)
        found = {"squared_error": squared_error(model, inference), **bounds(inference, model.has_bound)}
    rows = {}
    for start in range(0, len(x), ROW):
        rows[f"originals {start + 1}"] = x[start : start + ROW]
        rows[f"reconstructions {start + 1}"] = shown[start : start + ROW]
    figures.rows(rows).savefig(file)
    for index, path in enumerate(paths):
        print(f"{path}: " + ", ".join(f"{name} {float(value[index]):.2f}" for name, value in found.items()))
    print(file)


if __name__ == "__main__":
    tool.main(work)
