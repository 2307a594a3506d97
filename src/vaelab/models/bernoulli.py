"""The Bernoulli distribution of whole images, whose log density is the cross-entropy of their pixels."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.distributions import Bernoulli, Independent
from torch.nn.functional import binary_cross_entropy_with_logits

# A product of so many factors of at least 1/2 is at least 2^-120; the smallest normal float32 is 2^-126.
FACTORS_IN_PRODUCT = 120


class JointBernoulli(Independent):
    """Bernoulli over the last ``event_dims`` dimensions as one event: log p(x) = sum_i x_i l_i - log(1 + exp l_i).

    l are the logits. x may have any values in [0, 1]; then the sum is the usual cross-entropy.
    """

    def __init__(self, logits: Tensor, event_dims: int) -> None:
        super().__init__(Bernoulli(logits=logits, validate_args=False), event_dims, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        dims = self.reinterpreted_batch_ndims
        logits, x = torch.broadcast_tensors(self.base_dist.logits.flatten(-dims), value.flatten(-dims))
        if not torch.is_grad_enabled():
            return _cross_entropy(logits, x)
        if logits.device.type != "cpu":  # where one kernel computes all of it
            return -binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
        found: Tensor = _CrossEntropy.apply(logits, x)
        return found


def _cross_entropy(logits: Tensor, x: Tensor) -> Tensor:
    """sum_i x_i l_i - log(1 + exp l_i) over the last dimension.

    log(1 + exp l) = (l + |l|)/2 - log m, with m = sigmoid |l| in [1/2, 1]. The logarithm is the slowest part, so it is
    computed once for a product of up to ``FACTORS_IN_PRODUCT`` of the m.
    """
    size = logits.abs()
    linear = ((x - 0.5) * logits).sub_(size, alpha=0.5).sum(-1)
    m = size.sigmoid_()
    pixels = m.shape[-1]
    count = next(count for count in range(FACTORS_IN_PRODUCT, 0, -1) if pixels % count == 0)
    return linear + m.unflatten(-1, (pixels // count, count)).prod(-1).log_().sum(-1)


class _CrossEntropy(torch.autograd.Function):
    """`_cross_entropy` with the gradient x - sigmoid(l): torch's own takes four times as long on a CPU."""

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, x: Tensor) -> Tensor:
        return _cross_entropy(logits, x)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        logits, x = ctx.saved_tensors  # type: ignore[attr-defined]
        needs_images = ctx.needs_input_grad[1]  # type: ignore[attr-defined]
        of_images = gradient.unsqueeze(-1) * logits if needs_images else None
        return gradient.unsqueeze(-1) * (x - logits.sigmoid()), of_images
