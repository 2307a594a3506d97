"""Optimizers that torch.optim does not have ready: called with the parameters, like torch's own."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from vaelab.checks import number


class Muon(torch.optim.Optimizer):
    """torch.optim.Muon on the matrices, Adam on the biases and whatever else has not two dimensions.

    Muon: An optimizer for hidden layers in neural networks (Jordan et al., 2024), with the scaling of Muon is
    Scalable for LLM Training (Liu et al., 2025), by which a step has the size of one of Adam's.

    The two parts share this object's ``param_groups``, so a schedule of the learning rate reaches both.
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
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
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
