"""Muon with Adam, which torch.optim lacks; and which optimizers take steps that are linear in the learning rate."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from vaelab.checks import number
from vaelab.hardware import multiplies_bf16


def orthogonalised(
    matrix: Tensor, coefficients: tuple[float, float, float], iterations: int, eps: float, dtype: torch.dtype
) -> Tensor:
    """About U Vᵀ of ``matrix`` = U S Vᵀ, by the Newton-Schulz iteration X <- a X + (b X Xᵀ + c (X Xᵀ)²) X.

    The operations are those of torch.optim.Muon, which always takes bfloat16.
    """
    a, b, c = coefficients
    is_tall = len(matrix) > matrix.shape[1]
    x = matrix.to(dtype).T if is_tall else matrix.to(dtype)
    x = x / x.norm().clamp(min=eps)
    for _ in range(iterations):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if is_tall else x


class _MatrixMuon(torch.optim.Muon):
    """torch.optim.Muon with its iteration in float32 where the device does not multiply bfloat16 natively.

    On a CPU with AVX2 alone torch's takes 170 ms for a matrix of 200 x 784, and float32 10 ms.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step(parameter, parameter.grad, group)

    def _step(self, parameter: nn.Parameter, gradient: Tensor, group: dict) -> None:
        state, momentum = self.state[parameter], group["momentum"]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        buffer = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        dtype = torch.bfloat16 if multiplies_bf16(parameter.device.type) else torch.float32
        update = orthogonalised(
            gradient.lerp(buffer, momentum), group["ns_coefficients"], group["ns_steps"], group["eps"], dtype
        )
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update, alpha=-group["lr"] * (0.2 * math.sqrt(max(parameter.shape))))


class Muon(torch.optim.Optimizer):
    """torch.optim.Muon on the matrices, Adam on all other parameters.

    The matrices are all parameters of two dimensions: the weights of linear layers, and a mixture prior's means and
    scales. Biases, convolutions and pseudo-inputs are Adam's. This object has the ``param_groups`` of both, so a
    schedule of the learning rate reaches both.

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
                _MatrixMuon(
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
