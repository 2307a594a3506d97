"""log p(x) by importance sampling, with the rate, the distortion and the ELBO of the same latent samples, at β = 1.

log p(x) ≈ log(1/K sum_k w_k),   w = p(x|z) p(z) / q(z|x),   z from q(z|x)
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.models.contracts import Model
from vaelab.models.distributions import pairwise_log_prob
from vaelab.models.inference import Inference, closed_form_kl, decoded_at_once
from vaelab.models.log_sums import NEGLIGIBLE, log_sum_exp

WIDE = 1.75  # factor on every second sample of the prior: see _log_prior_proposal
MARGIN = 3.0  # nats: see useful_prior_samples


@dataclass
class ImportanceWeights:
    """Importance weights of a batch, and the terms of its ELBO, in nats.

    **Attributes**
        log_w: log p(x|z) + log p(z) - log density of z ``(K, B)``.
        distortion: -log p(x|z), averaged over the samples of q(z|x) ``(B,)``.
        rate: KL(q(z|x) ‖ p(z)) ``(B,)``, averaged over those samples where it has no closed form.
        elbo_terms: log p(x|z) - KL(q(z|x) ‖ p(z)) of each of those samples, whose mean is the ELBO.
        shared: how many of the K samples, the last ones, are from the prior and the same for all images.
    """

    log_w: Tensor
    distortion: Tensor
    rate: Tensor
    elbo_terms: Tensor
    shared: int = 0

    @property
    def elbo(self) -> Tensor:
        """-(rate + distortion) ``(B,)``."""
        return -(self.rate + self.distortion)


def importance_weights(
    model: Model,
    x: Tensor,
    samples: int,
    chunk: int | None = None,
    bf16: bool = False,
    q: Distribution | None = None,
    prior_samples: int = 0,
    widen: float = 1.0,
) -> ImportanceWeights:
    """Importance weights of latent samples for images ``x`` ``(B, C, H, W)``.

    Where q misses a mode of p(z|x), or is narrower than it, the estimate lacks probability mass, and the weights do not
    show that. Against missed modes, samples of p(z) and of a wider distribution can be added. All images share them:
    each is decoded once, and its weights for all images are matrix products. `useful_prior_samples` says where they
    help. Against a q that is too narrow, half of its samples can be drawn from a wider one. The density in a weight is
    that of the mixture of all proposals, so that the mean of the weights stays p(x).

    **References**
        Importance Weighted Autoencoders (Burda et al., 2016).
        Safe and Effective Importance Sampling (Owen and Zhou, 2000), for the mixture of proposals.

    **Arguments**
        samples: latent samples of q(z|x) for each image.
        chunk: latents decoded at a time, which bounds the memory, but at least one per image; None for what suits the
            device. Another chunk draws other samples of the same distribution.
        bf16: whether the decoder's matrix products are in bfloat16; densities never are.
        q: a distribution to use instead of q(z|x), batch ``(B,)``.
        prior_samples: further samples that all images share; every second one is wider.
        widen: half of the ``samples`` are farther from the mean of q by this factor, and the ELBO is that of the other
            half; 1: none are. Not together with ``prior_samples``, and only where q has an exact mean.
    """
    chunk = chunk or decoded_at_once(x.device)
    wide = 0 if widen == 1 else samples // 2
    q = q or model.encode(x)
    proposals = _Proposals(model, x, q, model.prior_distribution(), samples - wide, prior_samples, bf16, wide, widen)
    return proposals.weigh(chunk)


@dataclass
class _Proposals:
    """The mixture that latent samples come from: q(z|x) of each image and, where asked for, a wider q or the prior."""

    model: Model
    x: Tensor
    q: Distribution
    p: Distribution
    samples: int
    prior_samples: int
    bf16: bool
    wide_samples: int = 0
    widen: float = 1.0

    def weigh(self, chunk: int) -> ImportanceWeights:
        """The weights of all samples, of which ``chunk`` are decoded at a time."""
        x, samples, size = self.x, self.samples, max(1, chunk // len(self.x))
        prior_begin = samples + self.wide_samples
        # Written into memory that is there before the loops: small tensors that stay, allocated between large ones that
        # do not, would keep the allocator from using the memory of the large ones again.
        log_w, elbo_terms = x.new_empty(prior_begin + self.prior_samples, len(x)), x.new_empty(samples, len(x))
        distortion, rate = x.new_zeros(len(x)), x.new_zeros(len(x))
        for first in range(0, samples, size):
            part = self.draw_posterior(min(size, samples - first))  # one Inference per chunk, freed before the next
            log_w[first : first + len(part.z)] = self.posterior_log_weights(part)
            elbo_terms[first : first + len(part.z)] = part.log_px - part.kl
            distortion -= part.log_px.sum(0) / samples
            rate += part.rate * (len(part.z) / samples)
        for first in range(samples, prior_begin, size):
            part = self.draw_wide(min(size, prior_begin - first))
            log_w[first : first + len(part.z)] = self.posterior_log_weights(part)
        for first in range(0, self.prior_samples, chunk):
            z = self.draw_prior(min(chunk, self.prior_samples - first), first)
            log_w[prior_begin + first :][: len(z)] = self.prior_log_weights(z)
        return ImportanceWeights(log_w, distortion, rate, elbo_terms, self.prior_samples)

    def draw_posterior(self, count: int) -> Inference:
        return self._inference(self.q.sample((count,)))

    def draw_wide(self, count: int) -> Inference:
        return self._inference(self.q.mean + self.widen * (self.q.sample((count,)) - self.q.mean))

    def _inference(self, z: Tensor) -> Inference:
        return Inference(self.x, z, self.q, self.p, self._decode(z))

    def draw_prior(self, count: int, first: int) -> Tensor:
        """Samples ``first``, ``first + 1``, ... of the prior ``(count, D)``; those of odd numbers are widened."""
        z = self.p.sample((count,))
        z[1 - first % 2 :: 2] *= WIDE
        return z

    def posterior_log_weights(self, part: Inference) -> Tensor:
        """``(K, B)``."""
        log_density = part.log_qz
        if self.wide_samples:
            narrower = self.q.mean + (part.z - self.q.mean) / self.widen
            log_wide = self.q.log_prob(narrower) - part.z.shape[-1] * math.log(self.widen)
            log_density = _log_mixed(part.log_qz, log_wide, self.samples, self.wide_samples)
        if self.prior_samples:
            log_density = self._log_mixture(part.log_qz, self._log_prior_proposal(part.z, part.log_pz))
        return part.log_px + part.log_pz - log_density

    def prior_log_weights(self, z: Tensor) -> Tensor:
        """``(M, B)`` of shared samples ``(M, D)``."""
        px = self._decode(z)
        log_px, log_qz = pairwise_log_prob(px, self.x).T, pairwise_log_prob(self.q, z)
        log_pz = self.p.log_prob(z).unsqueeze(1)
        log_proposal = self._log_prior_proposal(z, log_pz.squeeze(1)).unsqueeze(1)
        return log_px + log_pz - self._log_mixture(log_qz, log_proposal)

    def _decode(self, z: Tensor) -> Distribution:
        with torch.autocast(self.x.device.type, torch.bfloat16, enabled=self.bf16):
            return self.model.decode(z)

    def _log_mixture(self, log_qz: Tensor, log_proposal: Tensor) -> Tensor:
        return _log_mixed(log_qz, log_proposal, self.samples, self.prior_samples)

    def _log_prior_proposal(self, z: Tensor, log_pz: Tensor) -> Tensor:
        """Log density of the prior's samples, the wide ones included: latents of unusual images lie far out."""
        log_wide = self.p.log_prob(z / WIDE) - z.shape[-1] * math.log(WIDE)
        wide = self.prior_samples // 2
        return _log_mixed(log_pz, log_wide, self.prior_samples - wide, wide)


def _log_mixed(first: Tensor, second: Tensor, first_count: int, second_count: int) -> Tensor:
    """Log density of the mixture that as many samples were drawn from, by the log densities of its two parts."""
    if not second_count:
        return first
    total = first_count + second_count
    return torch.logaddexp(first + math.log(first_count / total), second + math.log(second_count / total))


def useful_prior_samples(model: Model, x: Tensor, wanted: int) -> int:
    """``wanted``, or 0 where samples of the prior do not help for images like ``x`` ``(B, C, H, W)``.

    About one in exp(rate) samples of the prior falls where an image's posterior is. So they help where exp(``MARGIN``)
    of them do. With fewer the few that hit have large weights, and the stated standard error, which is estimated from
    them, is too small: docs/evaluation.md has the measurement. They cannot be used where images cannot share samples.
    """
    if not wanted or not shares_samples(model, x):
        return 0
    rate = median_rate(model.encode(x), model.prior_distribution())
    return wanted if rate + MARGIN < math.log(wanted) else 0


def median_rate(q: Distribution, p: Distribution) -> float:
    """The median over the batch of q of KL(q ‖ p), estimated from 10 samples where it has no closed form."""
    rate = closed_form_kl(q, p)
    if rate is None:
        z = q.sample((10,))
        rate = (q.log_prob(z) - p.log_prob(z)).mean(0)
    return float(rate.detach().median())


def shares_samples(model: Model, x: Tensor) -> bool:
    """Whether a matrix product can weigh many latent samples for many images."""
    return (
        model.has_continuous_latents
        and model.posterior.is_product
        and model.classes is None  # else the decoder depends on the image's label
        and model.likelihood.is_cheap_in_pairs
        and x.device.type != "mps"  # which has no float64, and the squares need it
    )


def can_widen(model: Model) -> bool:
    """Whether samples of the posterior can be moved away from its mean: see ``widen`` of `importance_weights`."""
    return model.has_continuous_latents and model.posterior.has_exact_mean and not model.is_solved


def log_likelihood(log_weights: Tensor, shared: int = 0) -> tuple[Tensor, Tensor]:
    """log p(x) ``(B,)`` from log importance weights ``(K, B)``, and its Monte Carlo variance ``(B,)``.

    log p(x) ≈ logsumexp_K log w - log K, which is a lower bound in expectation. By the delta method its variance is
    var(w / mean w) / K.

    **References**
        Importance Weighted Autoencoders (Burda et al., 2016), equation 8.

    **Arguments**
        shared: see `variance_of_mean`.
    """
    estimate = log_sum_exp(log_weights, 0) - math.log(len(log_weights))
    relative = torch.exp((log_weights - estimate).clamp(min=-NEGLIGIBLE))  # w / mean w, whose mean is 1
    return estimate, variance_of_mean(relative, shared)


def variance_of_mean(terms: Tensor, shared: int = 0) -> Tensor:
    """The Monte Carlo variance ``(B,)`` of the mean of ``terms`` ``(K, B)`` over their K samples.

    **Arguments**
        shared: how many of the K samples, the last ones, are the same for all images, whose errors they correlate.
            Each image's variance includes B times what that adds to the variance of the batch's mean, so that
            variances add up as if the images were independent.
    """
    count = len(terms)
    own, common = terms.split([count - shared, shared])
    variance = own.var(0) * (len(own) / count**2)
    if shared:
        variance = variance + common.mean(1).var() * (shared * common.shape[1] / count**2)
    return variance


def effective_samples(log_weights: Tensor) -> Tensor:
    """(sum w)² / sum w² ``(B,)`` of log weights ``(K, B)``: how many of them the estimate rests on, from 1 to K."""
    return 1 / log_weights.softmax(0).square().sum(0)
