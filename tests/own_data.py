"""An image set as a user writes one: only what the contract asks for, and one option of its own."""

import torch

from vaelab.data.contracts import ImageSet
from vaelab.data.datamodule import ImageDataModule


class Stripes(ImageDataModule):
    """50 colour images of stripes that are two pixels wider than high, with four labels."""

    def __init__(self, size: int = 6, **options: object) -> None:
        super().__init__("stripes", **options)
        self.size = size

    @classmethod
    def find_shape(cls, size: int, **options: object) -> list[int]:
        return [3, size, size + 2]

    def read(self) -> ImageSet:
        images = torch.zeros(50, 3, self.size, self.size + 2, dtype=torch.uint8)
        images[:, :, ::2] = 255
        labels = torch.arange(50) % 4
        return ImageSet(self.name, images[:40], labels[:40], images[40:], labels[40:])
