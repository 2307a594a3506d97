"""Rate, distortion, ELBO and squared error of each image, from an `Inference`."""

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


def squared_error(model: Model, inference: Inference) -> Tensor:
    """‖x - x̂‖² ``(B,)``, where x̂ is the model's reconstruction: the likelihood's mean at the posterior's mean."""
    return (inference.x - model.reconstruct(inference.q)).square().flatten(1).sum(1)
