"""What a model is worth: rate, distortion, ELBO and log-likelihood, in nats per image, at β = 1.

The letters are those of log p(x) = ELBO + KL(q(z|x) ‖ p(z|x)); the ELBO is -(rate + distortion), the last term
the gap. Nothing here decodes the posterior's mean and calls it a bound: codes are sampled.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab import noise
from vaelab.checks import number
from vaelab.model import Inference, LatentVariableModel

ACTIVE_VARIANCE = 0.01  # Importance Weighted Autoencoders (Burda et al., 2016), section 5.2
CPU_CHUNK, GPU_CHUNK = 500, 20_000  # codes at a time: a CPU's cache holds 500 images of MNIST's size
BF16_TOLERANCE = 0.005  # nats, of the mean over images


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


@dataclass
class Weights:
    """Importance weights of a batch, and what they were made of.

    Args:
        log_w: log p(x|z) + log p(z) - log q(z|x), z from q: ``(K, B)``.
        distortion: -log p(x|z), averaged over the codes ``(B,)``.
        rate: KL(q(z|x) ‖ p(z)) ``(B,)``, averaged over the codes where it has no closed form.
    """

    log_w: Tensor
    distortion: Tensor
    rate: Tensor

    @property
    def elbo(self) -> Tensor:
        """``(B,)``."""
        return -(self.rate + self.distortion)


def importance_weights(
    model: LatentVariableModel,
    x: Tensor,
    samples: int,
    chunk: int | None = None,
    bf16: bool = False,
    q: Distribution | None = None,
) -> Weights:
    """``samples`` weights for each image of ``x`` ``(B, 1, H, W)``, codes from ``q`` instead of q(z|x) where given.

    The images are encoded once; about ``chunk`` codes are decoded at a time, or one per image where the images are
    more, which bounds the memory. Another chunk draws other codes of the same kind. With ``bf16`` the decoder's
    matrix products are in bfloat16, and nothing else.
    """
    chunk = chunk or (CPU_CHUNK if x.device.type == "cpu" else GPU_CHUNK)
    q, p = q or model.encode(x), model.prior(model.posterior)
    log_w, distortion, rate = [], torch.zeros_like(x[:, 0, 0, 0]), torch.zeros_like(x[:, 0, 0, 0])
    for drawn in torch.arange(samples).split(max(1, chunk // len(x))):
        z = q.sample((len(drawn),))
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            px = model.decode(z)
        # No latent lies outside the arguments: one Inference per chunk, freed before the next.
        part = Inference(x, z, q, p, px)
        log_w.append(part.log_px - part.log_ratio)
        distortion -= part.log_px.sum(0) / samples
        rate += part.rate * (len(drawn) / samples)
    return Weights(torch.cat(log_w), distortion, rate)


def bf16_error(model: LatentVariableModel, x: Tensor, samples: int = 100, chunk: int | None = None) -> float:
    """By how many nats, in the mean over ``x``, bfloat16 products move the log-likelihood, all noise being the same."""
    estimates = []
    for bf16 in (False, True):
        with noise.fixed_noise(x.device, noise.EVALUATE):
            estimates.append(log_likelihood(importance_weights(model, x, samples, chunk, bf16).log_w)[0])
    return float((estimates[1] - estimates[0]).mean())


def log_likelihood(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """log p(x) ``(B,)`` from importance weights ``(K, B)``, and the estimate's Monte Carlo variance ``(B,)``.

    log p(x) ≈ logsumexp_K - log K, a lower bound in expectation; its variance by the delta method is
    var(w / mean w) / K. Importance Weighted Autoencoders (Burda et al., 2016), equation 8.
    """
    count = len(log_weights)
    estimate = log_weights.logsumexp(0) - math.log(count)
    relative = torch.exp(log_weights - estimate)  # w / mean w, mean 1
    return estimate, relative.var(0) / count


def effective_samples(log_weights: Tensor) -> Tensor:
    """(sum w)² / sum w² ``(B,)``: how many of the ``K`` weights ``(K, B)`` carry the estimate, from 1 to K."""
    return 1 / log_weights.softmax(0).square().sum(0)


def prior_images(model: LatentVariableModel, labels: Tensor, binary: bool, temperature: float = 1.0) -> Tensor:
    """An image ``(N, 1, H, W)`` from the prior for each of ``labels`` ``(N,)``, which a conditional model alone heeds.

    The likelihood's mean where the data are grey, in which pixels have no noise to speak of; a draw where ``binary``.
    ``temperature`` multiplies codes, which is the standard deviation's for the prior N(0, I).
    """
    model = model.given(labels)
    px = model.decode(temperature * model.sample_codes(len(labels)))
    return (px.sample() if binary else px.mean).clamp(0, 1)


class Mean:
    """Means over images of named figures ``(B,)`` or ``(B, D)``, summed where they are computed, without waiting.

    Sums of figures are added over processes before the division, so that batches and processes of different
    sizes weigh what they hold.
    """

    def __init__(self) -> None:
        self.sums: Tensor | None = None
        self.widths: dict[str, int | None] = {}  # D of each figure; None for a single number
        self.count = 0  # images in this process
        self.total = 0  # images in all of them, once computed

    def add(self, figures: Mapping[str, Tensor]) -> None:
        sums = torch.cat([figure.detach().sum(0).reshape(-1) for figure in figures.values()])
        # MPS has no float64; elsewhere it costs nothing on a handful of numbers.
        sums = sums if sums.device.type == "mps" else sums.double()
        self.sums = sums if self.sums is None else self.sums + sums
        self.widths = {name: figure.shape[1] if figure.dim() == 2 else None for name, figure in figures.items()}
        self.count += len(next(iter(figures.values())))

    def compute(self, all_sum: Callable[[Tensor], Tensor] = lambda sums: sums) -> dict[str, float | list[float]]:
        """The means as numbers, or lists of ``D``; ``all_sum`` adds a tensor up over all processes."""
        if self.sums is None:
            return {}
        count = self.sums.new_tensor([self.count])
        *sums, count = all_sum(torch.cat([self.sums, count])).tolist()
        self.total = round(count)
        means = iter(value / count for value in sums)
        return {
            name: next(means) if width is None else [next(means) for _ in range(width)]
            for name, width in self.widths.items()
        }


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
