"""Optimizers that torch.optim lacks, and what is known of torch's own."""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from vaelab.checks import number


class Muon(torch.optim.Optimizer):
    """torch.optim.Muon on the matrices, Adam on all other parameters.

    Both share this object's ``param_groups``, so a schedule of the learning rate reaches both.

    **References**
        Muon: An optimizer for hidden layers in neural networks (Jordan et al., 2024).
        Muon is Scalable for LLM Training (Liu et al., 2025), for the scale, by which a step is as large as Adam's.

    **Arguments**
        lr, momentum, weight_decay: Muon's.
        adam_lr: Adam's learning rate.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-2,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        adam_lr: float = 5e-3,
    ) -> None:
        number("optimizer.lr", lr)
        params = list(params)
        super().__init__(params, {})
        matrices = [p for p in params if p.ndim == 2]
        others = [p for p in params if p.ndim != 2]
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts.append(
                torch.optim.Muon(
                    matrices,
                    lr=lr,
                    momentum=momentum,
                    weight_decay=weight_decay,
                    adjust_lr_fn="match_rms_adamw",
                )
            )
        if others:
            self.parts.append(torch.optim.Adam(others, lr=adam_lr, fused=True))
        self._share_groups()

    def _share_groups(self) -> None:
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of both; torch declares two signatures for the two cases."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, list[dict]]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, list[dict]]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()


def is_linear_in_rate(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a step is the learning rate times a direction that does not depend on it, for each weight by itself."""
    return type(optimizer) in (torch.optim.Adam, torch.optim.AdamW, torch.optim.Adamax)
