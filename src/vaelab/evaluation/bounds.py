"""Rate, distortion, ELBO and squared error of each image, from an `Inference`; and bits per dimension."""

import math
from collections.abc import Mapping

from torch import Tensor

from vaelab.models.contracts import Model
from vaelab.models.inference import Inference


def bounds(inference: Inference, has_bound: bool) -> dict[str, Tensor]:
    """``distortion`` ``(B,)`` in nats, and ``rate`` and ``elbo`` where the posterior has a density, all at β = 1.

    distortion = -mean_K log p(x|z),   rate = KL(q(z|x) ‖ p(z)),   elbo = -(rate + distortion)
    """
    distortion = -inference.log_px.mean(0)
    if not has_bound:
        return {"distortion": distortion}
    rate = inference.rate
    return {"elbo": -(rate + distortion), "rate": rate, "distortion": distortion}


def bits_per_dimension(nats: Mapping[str, float], model: Model, values: int) -> dict[str, float]:
    """``bits_per_dim`` and ``bits_per_dim_bound``, where p(x|z) is a probability of levels; else nothing.

    nll / (C H W log 2),   -elbo / (C H W log 2)

    **Arguments**
        nats: the metrics, of which nll and elbo are used as far as they are there.
        values: C H W.
    """
    if model.likelihood.levels is None:
        return {}
    bit = values * math.log(2)
    found = {"bits_per_dim": nats.get("nll"), "bits_per_dim_bound": -nats["elbo"] if "elbo" in nats else None}
    return {name: value / bit for name, value in found.items() if value is not None}


def squared_error(model: Model, inference: Inference) -> Tensor:
    """‖x - x̂‖² ``(B,)``, where x̂ is the model's reconstruction: the likelihood's mean at the posterior's mean."""
    return (inference.x - model.reconstruct(inference.q)).square().flatten(1).sum(1)
