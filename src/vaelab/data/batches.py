"""Batches of images that are in memory or in a file, gathered by index."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from vaelab import rng
from vaelab.data.mapped import MappedFile

ROOM = 4  # images in a file are copied to a GPU that has so many times their size free


@dataclass
class IndexedImages:
    """Images ``(N, ...)`` and labels ``(N,)``, indexed with a whole batch of indices ``(B,)`` at a time.

    **Arguments**
        file: the file that the images are in, mapped into memory; None where they are in memory.
    """

    images: Tensor
    labels: Tensor
    file: MappedFile | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """The images and labels with these numbers, on the device of the labels."""
        y = self.labels.index_select(0, indices)
        if self.file is not None:
            return self.file.gather(self.images, indices.cpu()).to(y.device), y
        return self.images.index_select(0, indices), y  # on a CPU 30 times faster than [...]

    def to(self, device: torch.device | str) -> "IndexedImages":
        """These images on ``device``; those in a file stay there, unless a GPU has ``ROOM`` for them.

        The labels are on ``device`` in any case.
        """
        device = torch.device(device)
        if self.file is None or _has_room(device, self.images.numel()):
            return IndexedImages(self.images.to(device), self.labels.to(device))
        return IndexedImages(self.images, self.labels.to(device), self.file)


def _has_room(device: torch.device, size: int) -> bool:
    return device.type == "cuda" and ROOM * size < torch.cuda.mem_get_info(device)[0]


class Batches:
    """The part of every batch that belongs to this process: images and labels ``(x, y)`` on ``device``.

    All processes draw the same order, and each takes every ``world``-th index of a batch. In evaluation every image
    comes once; a process may get fewer images than the others, or none. In training the last images are left out
    where they do not divide by ``world``, because DDP averages gradients as if all parts had the same size.

    This replaces torch's DataLoader, whose workers hide the time to decode files: here all images are decoded.

    **Arguments**
        batch_size: images per batch, over all processes together.
        shuffle_seed: the seed of the order in training; None for evaluation, in the given order.
        rank, world: the number of this process, from 0, and how many there are.
        device: where the batches are, and where all images are copied to, if they are in memory.
    """

    batch_sampler = None  # Lightning reads it where an object has a sampler

    def __init__(
        self,
        images: IndexedImages,
        batch_size: int,
        shuffle_seed: int | None = None,
        rank: int = 0,
        world: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.images = images.to(device)
        self.size = len(images)
        self.batch_size = batch_size
        self.shuffle_seed = shuffle_seed
        self.rank = rank
        self.world = world
        self.epoch = 0
        self.skipped = (0, 0)

    @property
    def sampler(self) -> "Batches":
        """The object whose ``set_epoch`` Lightning calls before every epoch, also before the first after a resume."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the epoch with this number."""
        self.epoch = epoch

    def skip(self, epoch: int, batches: int) -> None:
        """Leave out the first ``batches`` of this epoch, which a resumed run was trained on before."""
        self.skipped = (epoch, batches)

    def __len__(self) -> int:
        return -(-self._length() // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch, batches = self.skipped
        for indices in islice(self.indices(), batches if epoch == self.epoch else 0, None):
            yield self.images[indices]

    def indices(self) -> Iterator[Tensor]:
        """The indices of the images in each batch of this epoch."""
        if self.shuffle_seed is None:
            order = torch.arange(self.size)
        else:
            generator = rng.generator(self.shuffle_seed, rng.ORDER, self.epoch)
            order = torch.randperm(self.size, generator=generator)
        for batch in order[: self._length()].to(self.images.labels.device).split(self.batch_size):
            yield batch[self.rank :: self.world]

    def _length(self) -> int:
        return self.size if self.shuffle_seed is None else self.size - self.size % self.world
