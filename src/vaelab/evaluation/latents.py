"""latents."""

from collections.abc import Callable

from torch import Tensor
from torch.distributions import Distribution

from vaelab.checks import number
from vaelab.evaluation.means import Mean

ACTIVE_VARIANCE = 0.01  # Importance Weighted Autoencoders (Burda et al., 2016), section 5.2


def posterior_std(q: Distribution) -> Tensor:
    """The posterior's standard deviation ``(B,)``, averaged over latents: what noise there is on the code."""
    return q.stddev.mean(-1)


class ActiveUnits:
    """How many latents vary with the image: Var_x(E_q[z_d]) > ``threshold``.

    Importance Weighted Autoencoders (Burda et al., 2016), section 5.2. Figures are ``(B, D)`` posterior means.
    """

    def __init__(self, threshold: float = ACTIVE_VARIANCE) -> None:
        self.threshold = number("evaluation.active_variance", threshold)
        self.moments = Mean()

    def add(self, means: Tensor) -> None:
        means = means if means.device.type == "mps" else means.double()
        self.moments.add({"first": means, "second": means.square()})

    def compute(self, all_sum: Callable[[Tensor], Tensor] = lambda sums: sums) -> int:
        moments = self.moments.compute(all_sum)
        pairs = zip(moments["first"], moments["second"], strict=True)
        return sum(second - first**2 > self.threshold for first, second in pairs)
