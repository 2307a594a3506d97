"""The aggregate posterior q(z) = mean_n q(z|x_n) of the test images, and bounds of the KL term's parts.

    E KL(q(z|x) ‖ p(z)) = I(x; z) + KL(q(z) ‖ p(z)),   KL(q(z) ‖ p(z)) = TC(z) + sum_d KL(q(z_d) ‖ p(z_d))

`vaelab.models.aggregate` has the same parts as they are estimated from a batch, for objectives.

**References**
    ELBO surgery (Hoffman and Johnson, 2016).
    Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., 2018).
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.errors import InputError
from vaelab.evaluation.evaluated_model import Evaluation
from vaelab.evaluation.means import Mean
from vaelab.evaluation.progress import Track, untracked
from vaelab.models.aggregate import decompose_kl, marginal_name
from vaelab.models.distributions import factors, pairwise_log_prob
from vaelab.models.log_sums import log_sum_exp

PAIRS = 4_000_000  # numbers in memory at a time: pairs of latent sample and image, times latents


def measure(evaluation: Evaluation) -> dict[str, object]:
    """The part ``aggregate``: the KL term's parts, estimated from minibatches and bounded from all pairs of images."""
    model, limit = evaluation.model, evaluation.settings.aggregate_images
    p = model.prior_distribution()
    posteriors = [(model.given(labels).encode(x), len(x)) for x, labels in evaluation.batches("test", limit)]
    count = sum(size for _, size in posteriors)
    if count < 2:
        raise InputError(f"the aggregate posterior needs at least 2 test images, got {count}")
    is_product = model.posterior.is_product
    metrics: dict[str, object] = {}
    if is_product:
        size = posteriors[0][1]  # a smaller last batch would be a different estimate
        full = [q for q, images in posteriors if images == size]
        metrics["minibatch"] = {**_from_minibatches(full, p, count), "batch": size}
    x, labels = evaluation.first("test", limit)
    metrics["full"] = bound_kl_parts(model.given(labels).encode(x), p, is_product, evaluation.track)
    return {**metrics, "images": count}


def _from_minibatches(posteriors: list[Distribution], p: Distribution, population: int) -> Mapping[str, object]:
    means = Mean()
    for q in posteriors:
        parts = decompose_kl(q, p, q.sample((1,)), population)
        means.add({name: part[0] for name, part in parts.items()})
    return means.compute()


def bound_kl_parts(q: Distribution, p: Distribution, is_product: bool, track: Track = untracked) -> dict[str, float]:
    """Lower and upper bounds of the KL term's parts, in nats, from one latent sample of each of N images.

    log q(z) is estimated twice at each sample. With the image that the sample was drawn for, I(x; z) gets a lower
    bound, which is at most log N; without it, an upper bound, and the rate is another one. The other parts are bounded
    by the same two estimates, and by 0. The marginals q(z_d) need no bounds: all N images cover each of them.

    **References**
        On Variational Bounds of Mutual Information (Poole et al., 2019), section 2.

    **Arguments**
        q: posteriors of N ≥ 2 images, batch ``(N,)``.
        p: the prior.
        is_product: whether q is a product over latents; else there are no marginals.
    """
    z = q.sample()
    count = len(z)
    with_own, without_own, log_product = (_mean(part) for part in _log_aggregate(q, z, is_product, track))
    log_qzx, log_pz = _mean(q.log_prob(z)), _mean(p.log_prob(z))
    rate = log_qzx - log_pz
    lower, upper = log_qzx - with_own, min(log_qzx - without_own, rate)
    metrics = {
        "mutual_information_lower": lower,
        "mutual_information_upper": upper,
        "mutual_information_limit": math.log(count),
        "marginal_kl_lower": max(0.0, rate - upper),
        "marginal_kl_upper": rate - lower,
    }
    if is_product:
        metrics |= {
            "total_correlation_lower": max(0.0, without_own - log_product),
            "total_correlation_upper": with_own - log_product,
            marginal_name(p): log_product - log_pz,
        }
    return metrics


def _log_aggregate(q: Distribution, z: Tensor, is_product: bool, track: Track) -> tuple[Tensor, Tensor, Tensor]:
    """log q(z) ``(N,)`` with and without the image that z was drawn for, and sum_d log q(z_d), empty if unknown."""
    count, latent = z.shape
    with_own, without_own, log_product = [], [], [z.new_empty(0)]
    chunks = torch.arange(count, device=z.device).split(max(1, PAIRS // (count * latent)))
    for chunk in track(chunks, "aggregate posterior"):
        if is_product:
            by_latent = factors(q).log_prob(z[chunk].unsqueeze(1))  # (M, N, D)
            pairs = by_latent.sum(-1)
            log_product.append((log_sum_exp(by_latent, 1) - math.log(count)).sum(-1))
        else:
            pairs = pairwise_log_prob(q, z[chunk])
        with_own.append(log_sum_exp(pairs, 1) - math.log(count))
        pairs[torch.arange(len(chunk)), chunk] = -math.inf
        without_own.append(log_sum_exp(pairs, 1) - math.log(count - 1))
    return torch.cat(with_own), torch.cat(without_own), torch.cat(log_product)


def _mean(values: Tensor) -> float:
    """The mean in float64, except on MPS, which has none."""
    return float(values.mean() if values.device.type == "mps" else values.double().mean())
