"""A small set of colour images that are not square."""

import torch

from vaelab.data.contracts import ImageSet
from vaelab.data.datamodule import ImageDataModule

SHAPE = (3, 9, 14)


class Colours(ImageDataModule):
    """Images whose left part has one colour and whose right part has another, with some noise."""

    def __init__(self, **options: object) -> None:
        super().__init__("colours", **options)

    def read(self) -> ImageSet:
        generator = torch.Generator().manual_seed(0)
        left, right = torch.randint(0, 240, (2, 150, 3, 1, 1), generator=generator)
        images = left.expand(150, *SHAPE).clone()
        images[..., 5:] = right
        images = (images + torch.randint(0, 16, images.shape, generator=generator)).to(torch.uint8)
        labels = torch.arange(150) % 3
        return ImageSet(self.name, images[:100], labels[:100], images[100:], labels[100:])


def colours() -> Colours:
    data = Colours(batch_size=20, eval_batch_size=30, val=20)
    data.setup()
    return data
