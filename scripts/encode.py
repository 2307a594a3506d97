"""Codes of images: posterior means and standard deviations as .npz, or as a table in .parquet.

    python scripts/encode.py outputs/runs/two test.npz                     # the run's test images
    python scripts/encode.py outputs/runs/two mine.parquet --images my-digits/

An .npz holds mean and std (N, D), and label (N,) or file (N,); the table has columns z0, z1, ..., std0, std1, ... A
folder's images are made grey and resized; --invert is for dark digits on light paper.
"""

import numpy as np
import pandas as pd
import torch

from vaelab import image_files, noise, tool

KINDS = (".npz", ".parquet")
AT_A_TIME = 1_000


def work() -> None:
    parser = tool.parser(__doc__)
    tool.add_target(parser, KINDS)
    parser.add_argument("--split", default="test", choices=["train", "val", "test"], help="of the run's data")
    tool.add_images(parser, "--images")
    arguments = parser.parse_args()
    file = tool.target(arguments, KINDS)
    paths = image_files.find(arguments.images or [])
    experiment, data = tool.open_run(arguments, reads_data=not paths)
    if paths:
        pixels, labels = tool.own_images(arguments, paths, experiment.model)
        names = {"file": np.array([str(path) for path in paths])}
    else:
        images = data.sets[arguments.split]
        if not len(images):
            raise ValueError(f"--split {arguments.split}: this run's data hold no such images")
        pixels, labels = images.images, images.labels
        names = {"label": labels.numpy()}
    means, stds = [], []
    parts = zip(pixels.split(AT_A_TIME), labels.split(AT_A_TIME), strict=True)
    with torch.no_grad(), noise.fixed_noise(experiment.device, noise.EVALUATE):
        for part, given in tool.progress(list(parts), "codes"):
            q = experiment.model.given(given.to(experiment.device)).encode(
                data.scale(part, drawn=bool(paths)).to(experiment.device)
            )
            means.append(q.mean.cpu().numpy())
            stds.append(q.variance.sqrt().cpu().numpy())
    codes = {"mean": np.concatenate(means), "std": np.concatenate(stds)}
    if file.suffix == ".npz":
        np.savez_compressed(file, **codes, **names)
    else:
        columns = {
            f"{short}{latent}": codes[kind][:, latent]
            for kind, short in (("mean", "z"), ("std", "std"))
            for latent in range(codes[kind].shape[1])
        }
        pd.DataFrame({**names, **columns}).to_parquet(file)
    print(f"{file}: {len(pixels):,} codes of {codes['mean'].shape[1]} latents")


if __name__ == "__main__":
    tool.main(work)
