"""contracts."""

from dataclasses import dataclass

from torch import Tensor


@dataclass
class ImageSet:
    """The official training and test images: uint8 ``(N, 1, 28, 28)``, labels int64 ``(N,)``."""

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
