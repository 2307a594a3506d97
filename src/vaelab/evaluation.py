"""What a model is worth: rate, distortion, ELBO and log-likelihood, in nats per image, at β = 1.

The letters are those of log p(x) = ELBO + KL(q(z|x) ‖ p(z|x)); the ELBO is -(rate + distortion), the last term
the gap. Nothing here decodes the posterior's mean and calls it a bound: codes are sampled.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.model import Inference, LatentVariableModel

ACTIVE_VARIANCE = 0.01  # Importance Weighted Autoencoders (Burda et al., 2016), section 5.2


def bounds(inference: Inference, has_bound: bool) -> dict[str, Tensor]:
    """``distortion`` ``(B,)``, and ``rate`` and ``elbo`` where the posterior has a density."""
    distortion = -inference.log_px.mean(0)
    if not has_bound:
        return {"distortion": distortion}
    rate = inference.rate
    return {"elbo": -(rate + distortion), "rate": rate, "distortion": distortion}


def squared_error(model: LatentVariableModel, inference: Inference) -> Tensor:
    """‖x - x̂‖² ``(B,)``, x̂ being the model's reconstruction: the likelihood's mean at the posterior's mean."""
    return (inference.x - model.reconstruct(inference.q)).square().flatten(1).sum(1)


def posterior_std(q: Distribution) -> Tensor:
    """The posterior's standard deviation ``(B,)``, averaged over latents: what noise there is on the code."""
    return q.stddev.mean(-1)


def log_weights(model: LatentVariableModel, x: Tensor, samples: int, chunk: int) -> Tensor:
    """Importance weights log p(x|z) + log p(z) - log q(z|x), z from q: ``(samples, B)``.

    The images are encoded once; about ``chunk`` codes are decoded at a time, or one per image where the images are
    more, which bounds the memory. Another chunk draws other codes of the same kind.
    """
    q, p = model.encode(x), model.prior(model.posterior)
    weights = []
    for drawn in torch.arange(samples).split(max(1, chunk // len(x))):
        z = q.sample((len(drawn),))
        # No latent lies outside the arguments: one Inference per chunk, freed before the next.
        part = Inference(x, z, q, p, model.decode(z))
        weights.append(part.log_px - part.log_ratio)
    return torch.cat(weights)


def log_likelihood(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """log p(x) ``(B,)`` from importance weights ``(K, B)``, and the estimate's Monte Carlo variance ``(B,)``.

    log p(x) ≈ logsumexp_K - log K, a lower bound in expectation; its variance by the delta method is
    var(w / mean w) / K. Importance Weighted Autoencoders (Burda et al., 2016), equation 8.
    """
    count = len(log_weights)
    estimate = log_weights.logsumexp(0) - math.log(count)
    relative = torch.exp(log_weights - estimate)  # w / mean w, mean 1
    return estimate, relative.var(0) / count


class Mean:
    """Means over images of named figures ``(B,)``, summed where they are computed, without waiting for it.

    Sums of figures are added over processes before the division, so that batches and processes of different
    sizes weigh what they hold.
    """

    def __init__(self) -> None:
        self.sums: Tensor | None = None
        self.names: list[str] = []
        self.count = 0  # images in this process
        self.total = 0  # images in all of them, once computed

    def add(self, figures: Mapping[str, Tensor]) -> None:
        sums = torch.stack([figure.detach().sum() for figure in figures.values()])
        # MPS has no float64; elsewhere it costs nothing on a handful of numbers.
        sums = sums if sums.device.type == "mps" else sums.double()
        self.sums = sums if self.sums is None else self.sums + sums
        self.names = list(figures)
        self.count += len(next(iter(figures.values())))

    def compute(self, all_sum: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """The means as numbers; ``all_sum`` adds a tensor up over all processes."""
        if self.sums is None:
            return {}
        count = self.sums.new_tensor([self.count])
        *sums, count = all_sum(torch.cat([self.sums, count])).tolist()
        self.total = round(count)
        return {name: value / count for name, value in zip(self.names, sums, strict=True)}


class ActiveUnits:
    """How many latents vary with the image: Var_x(E_q[z_d]) > 0.01.

    Importance Weighted Autoencoders (Burda et al., 2016), section 5.2. Figures are ``(B, D)`` posterior means.
    """

    def __init__(self) -> None:
        self.moments = Mean()

    def add(self, means: Tensor) -> None:
        self.moments.add({f"{power}.{d}": means[:, d] ** power for power in (1, 2) for d in range(means.shape[1])})

    def compute(self, all_sum: Callable[[Tensor], Tensor]) -> int:
        values = list(self.moments.compute(all_sum).values())
        half = len(values) // 2
        return sum(
            second - first**2 > ACTIVE_VARIANCE for first, second in zip(values[:half], values[half:], strict=True)
        )
