"""What a model is worth: rate, distortion, ELBO and log-likelihood, in nats per image, at β = 1.

The letters are those of log p(x) = ELBO + KL(q(z|x) ‖ p(z|x)); the ELBO is -(rate + distortion), the last term
the gap. Nothing here decodes the posterior's mean and calls it a bound: codes are sampled.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab import rng
from vaelab.models.contracts import Model
from vaelab.models.distributions import pairwise_log_prob
from vaelab.models.inference import Inference, closed_form_kl

CPU_CHUNK, GPU_CHUNK = 1_000, 20_000  # codes at a time: the images of more would not stay in a CPU's cache
WIDE = 1.75  # see _log_shared
BF16_TOLERANCE = 0.005  # nats, of the mean over images


@dataclass
class ImportanceWeights:
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
    model: Model,
    x: Tensor,
    samples: int,
    chunk: int | None = None,
    bf16: bool = False,
    q: Distribution | None = None,
    prior_samples: int = 0,
) -> ImportanceWeights:
    """ImportanceWeights of ``samples`` codes for each image of ``x`` ``(B, 1, H, W)``, from ``q`` instead of q(z|x) where given.

    The images are encoded once; about ``chunk`` codes are decoded at a time, or one per image where the images are
    more, which bounds the memory. Another chunk draws other codes of the same kind. With ``bf16`` the decoder's
    matrix products are in bfloat16, and nothing else.

    A q that misses a mode of p(z|x) leaves its mass out, and nothing in the weights tells. So ``prior_samples`` codes
    can be added, from p(z) and from a wider one, the same for all images: each is decoded once and weighed by matrix
    products. A code's weight is p(x|z) p(z) over the density of the mixture that all of them come from. Safe and
    Effective Importance Sampling (Owen and Zhou, 2000). ``useful_prior_samples`` says where they are of use.
    """
    chunk = chunk or (CPU_CHUNK if x.device.type == "cpu" else GPU_CHUNK)
    q, p = q or model.encode(x), model.prior_distribution()
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
    return ImportanceWeights(torch.cat(log_w), distortion, rate, prior_samples)


def useful_prior_samples(model: Model, x: Tensor, wanted: int) -> int:
    """``wanted``, or 0 where codes from the prior are of no use to images like ``x`` ``(B, 1, H, W)``.

    About one in exp(rate) of them falls where an image's posterior is: they are left out where all would miss, and
    where a model cannot share codes.
    """
    if not wanted or not _shares_codes(model, x):
        return 0
    rate = _typical_rate(model.encode(x), model.prior_distribution())
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


def _shares_codes(model: Model, x: Tensor) -> bool:
    """Whether many codes can be weighed by many images in a matrix product."""
    return (
        model.has_continuous_latents
        and model.posterior is not None
        and model.posterior.is_product
        and model.classes is None  # whose decoder depends on the image's label
        and model.likelihood.is_cheap_in_pairs
        and x.device.type != "mps"  # which lacks the float64 that squares want
    )


def bf16_error(model: Model, x: Tensor, samples: int = 100, chunk: int | None = None) -> float:
    """By how many nats, in the mean over ``x``, bfloat16 products move the log-likelihood, all noise being the same."""
    estimates = []
    for bf16 in (False, True):
        with rng.fixed_noise(x.device, rng.EVALUATE):
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
