"""Codes of images: posterior means and standard deviations as .npz, or as a table in .parquet.

    python scripts/encode.py outputs/runs/two test.npz                     # the run's test images
    python scripts/encode.py outputs/runs/two mine.parquet --images my-digits/

An .npz holds mean and std (N, D), and label (N,) or path (N,); the table has columns z0, z1, ..., std0, std1, ... A
folder's images are made grey and resized; --invert is for dark digits on light paper.
"""

import numpy as np
import pandas as pd
import torch

from vaelab import rng
from vaelab.cli import tools
from vaelab.data import image_files
from vaelab.errors import InputError

KINDS = (".npz", ".parquet")
AT_A_TIME = 1_000


def work() -> None:
    parser = tools.parser(__doc__)
    tools.add_target(parser, KINDS)
    parser.add_argument("--split", choices=["train", "val", "test"], help="of the run's data (default: test)")
    tools.add_images(parser, "--images")
    arguments = parser.parse_args()
    file = tools.target(arguments, KINDS)
    if arguments.images and arguments.split:
        raise InputError("--split is of the run's own data: leave it out, or --images")
    if not arguments.images and (arguments.invert or arguments.label is not None):
        raise InputError("--invert and --label are for --images: leave them out")
    split = arguments.split or "test"
    paths = image_files.find(arguments.images or [])
    experiment, data = tools.open_run(arguments, reads_data=not paths)
    if paths:
        pixels, labels = tools.own_images(arguments, paths, experiment.model)
        names = {"path": np.array([str(path) for path in paths])}
    else:
        images = data.sets[split]
        if not len(images):
            raise InputError(f"--split {split}: this run's data hold no such images")
        pixels, labels = images.images, images.labels
        names = {"label": labels.numpy()}
    means, stds = [], []
    parts = zip(pixels.split(AT_A_TIME), labels.split(AT_A_TIME), strict=True)
    with torch.no_grad(), rng.fixed_noise(experiment.device, rng.EVALUATE):
        for part, given in tools.progress(list(parts), "codes"):
            q = experiment.model.given(given.to(experiment.device)).encode(
                data.scale(part, drawn=True).to(experiment.device)
            )
            means.append(q.mean.cpu().numpy())
            stds.append(q.variance.sqrt().cpu().numpy())
    codes = {"mean": np.concatenate(means), "std": np.concatenate(stds)}
    columns = {
        f"{short}{latent}": codes[kind][:, latent]
        for kind, short in (("mean", "z"), ("std", "std"))
        for latent in range(codes[kind].shape[1])
    }
    with tools.writing(file) as part:
        if file.suffix == ".npz":
            np.savez_compressed(part, **codes, **names)
        else:
            pd.DataFrame({**names, **columns}).to_parquet(part)
    print(f"{file}: {len(pixels):,} codes of {codes['mean'].shape[1]} latents")


if __name__ == "__main__":
    tools.main(work)
