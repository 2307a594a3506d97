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
from vaelab.conditionals import BernoulliLikelihood, ContinuousBernoulliLikelihood, GaussianLikelihood
from vaelab.distributions import pairwise_log_prob
from vaelab.model import Inference, LatentVariableModel, closed_form_kl

ACTIVE_VARIANCE = 0.01  # Importance Weighted Autoencoders (Burda et al., 2016), section 5.2
CPU_CHUNK, GPU_CHUNK = 1_000, 20_000  # codes at a time: the images of more would not stay in a CPU's cache
WIDE = 1.75  # see _log_shared
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
        shared: how many of the codes, the last ones, are from the prior, the same for all images.
    """

    log_w: Tensor
    distortion: Tensor
    rate: Tensor
    shared: int = 0

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
    prior_samples: int = 0,
) -> Weights:
    """Weights of ``samples`` codes for each image of ``x`` ``(B, 1, H, W)``, from ``q`` instead of q(z|x) where given.

    The images are encoded once; about ``chunk`` codes are decoded at a time, or one per image where the images are
    more, which bounds the memory. Another chunk draws other codes of the same kind. With ``bf16`` the decoder's
    matrix products are in bfloat16, and nothing else.

    A q that misses a mode of p(z|x) leaves its mass out, and nothing in the weights tells. So ``prior_samples`` codes
    can be added, from p(z) and from a wider one, the same for all images: each is decoded once and weighed by matrix
    products. A code's weight is p(x|z) p(z) over the density of the mixture that all of them come from. Safe and
    Effective Importance Sampling (Owen and Zhou, 2000). ``useful_prior_samples`` says where they are of use.
    """
    chunk = chunk or (CPU_CHUNK if x.device.type == "cpu" else GPU_CHUNK)
    q, p = q or model.encode(x), model.prior(model.posterior)
    total = samples + prior_samples
    from_q, from_p = math.log(samples / total), math.log(prior_samples / total) if prior_samples else -math.inf
    log_w, distortion, rate = [], torch.zeros_like(x[:, 0, 0, 0]), torch.zeros_like(x[:, 0, 0, 0])
    for drawn in torch.arange(samples).split(max(1, chunk // len(x))):
        z = q.sample((len(drawn),))
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            px = model.decode(z)
        # No latent lies outside the arguments: one Inference per chunk, freed before the next.
        part = Inference(x, z, q, p, px)
        log_mixture = part.log_qz
        if prior_samples:
            log_mixture = torch.logaddexp(part.log_qz + from_q, _log_shared(p, z, part.log_pz) + from_p)
        log_w.append(part.log_px + part.log_pz - log_mixture)
        distortion -= part.log_px.sum(0) / samples
        rate += part.rate * (len(drawn) / samples)
    for first in range(0, prior_samples, chunk):
        z = p.sample((min(chunk, prior_samples - first),))
        z[first % 2 :: 2] *= WIDE  # every second one of all
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            px = model.decode(z)
        log_px, log_qz, log_pz = pairwise_log_prob(px, x).T, pairwise_log_prob(q, z), p.log_prob(z).unsqueeze(1)
        log_w.append(
            log_px
            + log_pz
            - torch.logaddexp(log_qz + from_q, _log_shared(p, z, log_pz.squeeze(1)).unsqueeze(1) + from_p)
        )
    return Weights(torch.cat(log_w), distortion, rate, prior_samples)


def useful_prior_samples(model: LatentVariableModel, x: Tensor, wanted: int) -> int:
    """``wanted``, or 0 where codes from the prior are of no use to images like ``x`` ``(B, 1, H, W)``.

    About one in exp(rate) of them falls where an image's posterior is: they are left out where all would miss, and
    where a model cannot share codes.
    """
    if not wanted or not _shares_codes(model, x):
        return 0
    rate = _typical_rate(model.encode(x), model.prior(model.posterior))
    return wanted if rate < math.log(wanted) else 0


def _log_shared(p: Distribution, z: Tensor, log_pz: Tensor) -> Tensor:
    """Log density of codes from p, every second of them ``WIDE`` times as far out: the hardest images' lie there."""
    far = p.log_prob(z / WIDE) - z.shape[-1] * math.log(WIDE)
    return torch.logaddexp(log_pz, far) - math.log(2)


def _typical_rate(q: Distribution, p: Distribution) -> float:
    """KL(q ‖ p), the median over images."""
    rate = closed_form_kl(q, p)
    if rate is None:
        z = q.sample((10,))
        rate = (q.log_prob(z) - p.log_prob(z)).mean(0)
    return float(rate.detach().median())


def _shares_codes(model: LatentVariableModel, x: Tensor) -> bool:
    """Whether many codes can be weighed by many images in a matrix product."""
    return (
        model.has_continuous_code
        and model.posterior.factorised
        and model.classes is None  # whose decoder depends on the image's label
        and isinstance(model.likelihood, (BernoulliLikelihood, ContinuousBernoulliLikelihood, GaussianLikelihood))
        and x.device.type != "mps"  # which lacks the float64 that squares want
    )


def bf16_error(model: LatentVariableModel, x: Tensor, samples: int = 100, chunk: int | None = None) -> float:
    """By how many nats, in the mean over ``x``, bfloat16 products move the log-likelihood, all noise being the same."""
    estimates = []
    for bf16 in (False, True):
        with noise.fixed_noise(x.device, noise.EVALUATE):
            estimates.append(log_likelihood(importance_weights(model, x, samples, chunk, bf16).log_w)[0])
    return float((estimates[1] - estimates[0]).mean())


def log_likelihood(log_weights: Tensor, shared: int = 0) -> tuple[Tensor, Tensor]:
    """log p(x) ``(B,)`` from importance weights ``(K, B)``, and the estimate's Monte Carlo variance ``(B,)``.

    log p(x) ≈ logsumexp_K - log K, a lower bound in expectation; its variance by the delta method is
    var(w / mean w) / K. Importance Weighted Autoencoders (Burda et al., 2016), equation 8.

    The last ``shared`` of the K codes are the same for all images, which then err together. Each image is given B times
    what that adds to the variance of the batch's mean, so that variances add up as if the images were independent.
    """
    count = len(log_weights)
    estimate = log_weights.logsumexp(0) - math.log(count)
    relative = torch.exp(log_weights - estimate)  # w / mean w, mean 1
    own, common = relative.split([count - shared, shared])
    variance = own.var(0) * (len(own) / count**2)
    if shared:
        variance = variance + common.mean(1).var() * (shared * common.shape[1] / count**2)
    return estimate, variance


def effective_samples(log_weights: Tensor) -> Tensor:
    """(sum w)² / sum w² ``(B,)``: how many of the ``K`` weights ``(K, B)`` carry the estimate, from 1 to K."""
    return 1 / log_weights.softmax(0).square().sum(0)


def prior_images(model: LatentVariableModel, labels: Tensor, drawn: bool, temperature: float = 1.0) -> Tensor:
    """An image ``(N, 1, H, W)`` from the prior for each of ``labels`` ``(N,)``, which a conditional model alone heeds.

    ``drawn``: with the pixels' noise, as binary data have it; else the likelihood's mean.
    ``temperature`` multiplies codes, which is the standard deviation's for the prior N(0, I).
    """
    model = model.given(labels)
    px = model.decode(temperature * model.sample_codes(len(labels)))
    return px.sample() if drawn else px.mean.clamp(0, 1)


class Mean:
    """Means over images of named figures ``(B,)`` or ``(B, D)``, which stay where they were computed until asked for.

    Sums of figures are added over processes before the division, so that batches and processes of different
    sizes weigh what they hold.
    """

    def __init__(self) -> None:
        self.batches: dict[str, list[Tensor]] = {}
        self.total = 0  # images in all processes, once computed

    def add(self, figures: Mapping[str, Tensor]) -> None:
        for name, figure in figures.items():
            self.batches.setdefault(name, []).append(figure.detach())

    def compute(self, all_sum: Callable[[Tensor], Tensor] = lambda sums: sums) -> dict[str, float | list[float]]:
        """The means as numbers, or lists of ``D``; ``all_sum`` adds a tensor up over all processes."""
        if not self.batches:
            return {}
        figures = {name: torch.cat(batches) for name, batches in self.batches.items()}
        # MPS has no float64.
        sums = [figure if figure.device.type == "mps" else figure.double() for figure in figures.values()]
        sums = torch.cat([figure.sum(0).reshape(-1) for figure in sums])
        count = sums.new_tensor([len(next(iter(figures.values())))])
        *sums, count = all_sum(torch.cat([sums, count])).tolist()
        self.total = round(count)
        means = iter(value / count for value in sums)
        return {
            name: next(means) if figure.dim() == 1 else [next(means) for _ in range(figure.shape[1])]
            for name, figure in figures.items()
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
