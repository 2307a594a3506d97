"""MNIST in the fixed binarisation that many tables of the field use: three text files of 0 and 1."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vaelab.data.contracts import ImageSet
from vaelab.data.datamodule import ImageDataModule, Option
from vaelab.data.download import named_root
from vaelab.errors import InputError

SIDE = 28
PARTS = ("train", "valid", "test")
FILE = "binarized_mnist_{}.amat"


class BinarizedMNIST(ImageDataModule):
    """50,000 training, 10,000 validation and 10,000 test images, binarised once by Larochelle; there is no download.

    A file has an image in each line, as 784 digits 0 or 1. The files have no labels; all labels here are 0.

    **References**
        On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov and Murray, 2008).
        The Neural Autoregressive Distribution Estimator (Larochelle and Murray, 2011).

    **Arguments**
        root: the folder of ``binarized_mnist_train.amat``, ``..._valid.amat`` and ``..._test.amat``, or one that has
            them in ``BinarizedMNIST/``; None for the environment variable ``VAELAB_DATA``, or else ``data``.
        options: those of ``ImageDataModule``.
    """

    def __init__(self, root: str | None = None, **options: Option) -> None:
        super().__init__("binarized_mnist", **options)
        self.root = Path(named_root(root) or "data").expanduser()

    def read(self) -> ImageSet:
        train, valid, test = (_read_file(path) for path in self._find())
        images = torch.cat([train, valid])
        labels = torch.zeros(len(images) + len(test), dtype=torch.int64)
        return ImageSet(self.name, images, labels[: len(images)], test, labels[len(images) :])

    def _find(self) -> list[Path]:
        for folder in (self.root, self.root / "BinarizedMNIST"):
            paths = [folder / FILE.format(part) for part in PARTS]
            if all(path.is_file() for path in paths):
                return paths
        raise InputError(
            f"{self.root} does not hold {', '.join(FILE.format(part) for part in PARTS)}: give their folder by "
            "data.root=..., or take data=mnist data.binarize=static, which is another binarisation"
        )


def _read_file(path: Path) -> Tensor:
    """The images uint8 ``(N, 1, 28, 28)``, 0 or 255.

    **Raises**
        InputError: the file has other characters than 0, 1 and blanks, or no whole images.
    """
    found = np.frombuffer(path.read_bytes(), np.uint8)
    pixels = found[(found == ord("0")) | (found == ord("1"))]
    blanks = np.isin(found, np.frombuffer(b" \t\r\n", np.uint8)).sum()
    if len(pixels) + blanks < len(found):
        raise InputError(f"{path} is not a file of binarised images: it must hold only 0, 1 and blanks")
    if not len(pixels) or len(pixels) % SIDE**2:
        raise InputError(
            f"{path} is damaged or cut off: it has {len(pixels):,} pixels, not a multiple of {SIDE} x {SIDE}"
        )
    return torch.from_numpy((pixels - ord("0")) * np.uint8(255)).view(-1, 1, SIDE, SIDE)
