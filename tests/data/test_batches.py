"""Batches, alone and shared between processes."""

import pytest
import torch
from idx_files import small_mnist

from vaelab.data.batches import Batches, IndexedImages


def indices(size: int, *arguments: object) -> list[torch.Tensor]:
    """Those of every batch: the images are numbers."""
    return [x for x, _ in Batches(IndexedImages(torch.arange(size), torch.arange(size)), *arguments)]


@pytest.mark.parametrize("size", [1, 7, 8, 9, 100])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_evaluation_sees_every_image_once_over_all_processes(size, world):
    shares = [indices(size, 8, None, rank, world) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1  # as many batches everywhere, or one waits for ever
    seen = torch.cat([batch for share in shares for batch in share])
    assert sorted(seen.tolist()) == list(range(size))


@pytest.mark.parametrize("size", [9, 100, 101])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_training_shares_are_equal_and_together_the_same_batches(size, world):
    alone = indices(size, 12, 5)
    shares = [indices(size, 12, 5, rank, world) for rank in range(world)]
    for number, parts in enumerate(zip(*shares, strict=True)):
        assert len({len(part) for part in parts}) == 1
        together = set(torch.cat(parts).tolist())
        assert together <= set(alone[number].tolist())
        assert len(alone[number]) - len(together) < world


def test_the_order_is_a_function_of_seed_and_epoch():
    def order(seed: int, epoch: int) -> list[int]:
        batches = Batches(IndexedImages(torch.arange(50), torch.arange(50)), 8, seed)
        batches.sampler.set_epoch(epoch)
        return torch.cat([x for x, _ in batches]).tolist()

    assert order(0, 3) == order(0, 3)
    assert sorted(order(0, 3)) == list(range(50))
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)


def test_images_come_a_batch_at_a_time_as_bytes(mnist_root, idx_arrays):
    images = small_mnist(mnist_root, idx_arrays)
    x, y = next(iter(images.train_dataloader()))
    assert x.shape == (8, 1, 28, 28)
    assert x.dtype == torch.uint8
    assert y.shape == (8,)
    assert len(images.train_dataloader()) == 5
