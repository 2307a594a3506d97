"""batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vaelab import rng


@dataclass
class IndexedImages:
    """Images and labels that are asked for a whole batch of indices at a time."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        # Copies rows, 30 times faster than [...] does on a CPU.
        return self.images.index_select(0, indices), self.labels.index_select(0, indices)


class Batches:
    """This process's share of every batch of ``images``: ``(x, y)``, gathered on ``device``, where all of them stay.

    Every process draws the same order and takes every ``world``-th index of each batch. In evaluation no image
    is dropped or seen twice (a share may be smaller, or empty); in training the last batch is cut to a multiple
    of ``world``, since DDP averages gradients as if all shares were equal.

    Not torch's DataLoader, which is made to hide the reading of files behind workers: here nothing is read.
    """

    batch_sampler = None  # Lightning looks at it, wherever there is a sampler

    def __init__(
        self,
        images: IndexedImages,
        batch_size: int,
        shuffle_seed: int | None = None,
        rank: int = 0,
        world: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.images = IndexedImages(images.images.to(device), images.labels.to(device))
        self.size = len(images)
        self.batch_size = batch_size
        self.shuffle_seed = shuffle_seed
        self.rank = rank
        self.world = world
        self.epoch = 0

    @property
    def sampler(self) -> "Batches":
        """Whom Lightning tells, before every epoch, which one it is, also the first after a resume."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self._length() // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for indices in self.indices():
            yield self.images[indices]

    def indices(self) -> Iterator[Tensor]:
        """Of the images in each batch, in this epoch's order."""
        if self.shuffle_seed is None:
            order = torch.arange(self.size)
        else:
            generator = rng.generator(self.shuffle_seed, rng.ORDER, self.epoch)
            order = torch.randperm(self.size, generator=generator)
        for batch in order[: self._length()].to(self.images.images.device).split(self.batch_size):
            yield batch[self.rank :: self.world]

    def _length(self) -> int:
        return self.size if self.shuffle_seed is None else self.size - self.size % self.world
