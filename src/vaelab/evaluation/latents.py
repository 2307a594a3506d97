"""Which latents carry information: active units and KL terms."""

from collections.abc import Callable, Sequence
from itertools import accumulate

from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from vaelab.checks import number
from vaelab.evaluation.evaluated_model import Evaluation
from vaelab.evaluation.linear_model import linear_comparison
from vaelab.evaluation.means import Mean, numbers, vectors
from vaelab.evaluation.settings import ACTIVE_VARIANCE
from vaelab.models.contracts import Model
from vaelab.models.distributions import factors

__all__ = ["ACTIVE_VARIANCE", "ActiveUnits", "has_spread", "measure", "posterior_std"]


def has_spread(model: Model) -> bool:
    """Whether latents are drawn from a density, so that the posterior has a standard deviation."""
    return model.has_bound and model.has_continuous_latents


def posterior_std(q: Distribution) -> Tensor:
    """The posterior's standard deviation ``(B,)``, averaged over latents."""
    return q.stddev.mean(-1)


class ActiveUnits:
    """How many latents vary with the image: Var_x(E_q[z_d]) > ``threshold``.

    **References**
        Importance Weighted Autoencoders (Burda et al., 2016), section 5.2.
    """

    def __init__(self, threshold: float = ACTIVE_VARIANCE) -> None:
        self.threshold = number("evaluation.active_variance", threshold)
        self.moments = Mean()

    def add(self, means: Tensor) -> None:
        """Add posterior means ``(B, D)``."""
        means = means if means.device.type == "mps" else means.double()
        self.moments.add({"first": means, "second": means.square()})

    def compute(self, all_sum: Callable[[Tensor], Tensor] = lambda sums: sums) -> int:
        """The number of active latents; ``all_sum`` adds a tensor up over all processes."""
        return sum(self.which(all_sum))

    def which(self, all_sum: Callable[[Tensor], Tensor] = lambda sums: sums) -> list[bool]:
        """Whether each latent is active."""
        moments = vectors(self.moments.compute(all_sum))
        pairs = zip(moments["first"], moments["second"], strict=True)
        return [second - first**2 > self.threshold for first, second in pairs]


def per_layer(values: Sequence[bool], layers: Sequence[int]) -> list[int]:
    """How many of ``values`` are true in each of the consecutive ``layers``.

    >>> per_layer([True, False, True, True, False], [3, 2])
    [2, 1]
    """
    ends = list(accumulate(layers))
    return [sum(values[end - size : end]) for size, end in zip(layers, ends, strict=True)]


def measure(evaluation: Evaluation) -> dict[str, object]:
    """The part ``latents``: active units, KL terms in descending order, and those of a linear model."""
    active, means = ActiveUnits(evaluation.settings.active_variance), Mean()
    for x, labels in evaluation.batches("test"):
        model = evaluation.model.given(labels)
        q = model.encode(x)
        active.add(q.mean)
        values = {"posterior_std": posterior_std(q)}
        if model.has_kl_per_latent:
            values["kl_per_latent"] = kl_divergence(factors(q), factors(model.prior_distribution()))
        means.add(values)
    found = means.compute()
    which, layers = active.which(), evaluation.model.posterior.layers
    metrics: dict[str, object] = {"active_units": sum(which), **numbers(found), "images": means.total}
    if layers:
        metrics["active_units_per_layer"] = per_layer(which, layers)
    per_latent = vectors(found).get("kl_per_latent")
    if per_latent is None:
        return metrics
    order = sorted(range(len(per_latent)), key=lambda latent: -per_latent[latent])
    sorted_kl = [per_latent[latent] for latent in order]
    return {
        **metrics, "kl_per_latent": sorted_kl, "kl_order": order, **linear_comparison(evaluation, len(per_latent))
    }  # fmt: skip
