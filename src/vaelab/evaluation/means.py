"""means."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


class Mean:
    """Means over images of named figures ``(B,)`` or ``(B, D)``, which stay where they were computed until asked for.

    Sums of figures are added over processes before the division, so that batches and processes of different
    sizes weigh what they hold.
    """

    def __init__(self) -> None:
        self.batches: dict[str, list[Tensor]] = {}
        self.total = 0  # images in all processes, once computed

    def add(self, figures: Mapping[str, Tensor]) -> None:
        for name, figure in figures.items():
            self.batches.setdefault(name, []).append(figure.detach())

    def compute(self, all_sum: Callable[[Tensor], Tensor] = lambda sums: sums) -> dict[str, float | list[float]]:
        """The means as numbers, or lists of ``D``; ``all_sum`` adds a tensor up over all processes."""
        if not self.batches:
            return {}
        figures = {name: torch.cat(batches) for name, batches in self.batches.items()}
        # MPS has no float64.
        sums = [figure if figure.device.type == "mps" else figure.double() for figure in figures.values()]
        sums = torch.cat([figure.sum(0).reshape(-1) for figure in sums])
        count = sums.new_tensor([len(next(iter(figures.values())))])
        *sums, count = all_sum(torch.cat([sums, count])).tolist()
        self.total = round(count)
        means = iter(value / count for value in sums)
        return {
            name: next(means) if figure.dim() == 1 else [next(means) for _ in range(figure.shape[1])]
            for name, figure in figures.items()
        }
