"""Means over images, added up over batches and processes."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Means = dict[str, float | list[float]]


class Mean:
    """Means over images of named values ``(B,)`` or ``(B, D)``.

    The values stay on their device until the mean is asked for. Sums are added over processes before the division, so
    that each image has the same weight, however the images are spread over batches and processes.
    """

    def __init__(self) -> None:
        self.batches: dict[str, list[Tensor]] = {}
        self.total = 0  # images in all processes, set by ``compute``

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add the values of one batch."""
        for name, value in values.items():
            self.batches.setdefault(name, []).append(value.detach())

    def compute(self, all_sum: Callable[[Tensor], Tensor] = lambda sums: sums) -> Means:
        """The means: a number for values ``(B,)``, a list of ``D`` numbers for values ``(B, D)``.

        **Arguments**
            all_sum: adds a tensor up over all processes.
        """
        if not self.batches:
            return {}
        values = {name: torch.cat(batches) for name, batches in self.batches.items()}
        # MPS has no float64.
        exact = [value if value.device.type == "mps" else value.double() for value in values.values()]
        sums = torch.cat([value.sum(0).reshape(-1) for value in exact])
        images = sums.new_tensor([len(next(iter(values.values())))])
        *totals, count = all_sum(torch.cat([sums, images])).tolist()
        self.total = round(count)
        means = iter([total / count for total in totals])
        return {
            name: next(means) if value.dim() == 1 else [next(means) for _ in range(value.shape[1])]
            for name, value in values.items()
        }


def numbers(means: Means) -> dict[str, float]:
    """The ``means`` that are a number."""
    return {name: mean for name, mean in means.items() if isinstance(mean, float)}


def vectors(means: Means) -> dict[str, list[float]]:
    """The ``means`` that are a list of numbers."""
    return {name: mean for name, mean in means.items() if isinstance(mean, list)}
