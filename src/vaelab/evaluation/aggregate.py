"""The aggregate posterior q(z) = mean_n q(z|x_n), and what the KL term is made of.

    E KL(q(z|x) ‖ p(z)) = I(x; z) + KL(q(z) ‖ p(z)),   KL(q(z) ‖ p(z)) = TC(z) + sum_d KL(q(z_d) ‖ p(z_d))

the last sum only where p(z) is a product over latents; elsewhere what stands there, the mean of sum_d log q(z_d) -
log p(z), may be negative, and is called ``product_kl``.

ELBO surgery (Hoffman and Johnson, 2016); Isolating Sources of Disentanglement in Variational Autoencoders (Chen et
al., 2018).
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.models.aggregate import marginal_name
from vaelab.models.distributions import factors, pairwise_log_prob

PAIRS = 4_000_000  # numbers at a time: pairs of code and image, times latents


def bounded(
    q: Distribution, p: Distribution, is_product: bool, track: Callable[[Iterable], Iterable] = iter
) -> dict[str, float]:
    """Between what the KL term's parts lie, from one code of each of N images and all N posteriors.

    Where q(z) at a code counts the image that the code came from, I(x; z) is a lower bound, at most log N; where it
    leaves that image out, an upper one, and so is the rate: On Variational Bounds of Mutual Information (Poole et al.,
    2019), section 2. The other parts are bounded by the same two estimates of q(z), and by 0. The marginals q(z_d) need
    no such care: every one of them is covered by all N images.

    Args:
        q: posteriors of N images, at least 2, batch ``(N,)``.
        p: prior.
        is_product: whether q is a product over latents; without that there are no marginals.
        track: shows how far the loop is.
    """
    (count,), latent = q.batch_shape, q.event_shape[0]
    z = q.sample()
    with_own, without_own, product = [], [], []
    for part in track(torch.arange(count, device=z.device).split(max(1, PAIRS // (count * latent)))):
        if is_product:
            by_latent = factors(q).log_prob(z[part].unsqueeze(1))  # (M, N, D)
            pairs = by_latent.sum(-1)
            product.append((by_latent.logsumexp(1) - math.log(count)).sum(-1))
        else:
            pairs = pairwise_log_prob(q, z[part])
        with_own.append(pairs.logsumexp(1) - math.log(count))
        pairs[torch.arange(len(part)), part] = -math.inf
        without_own.append(pairs.logsumexp(1) - math.log(count - 1))
    log_qzx, log_pz = _mean(q.log_prob(z)), _mean(p.log_prob(z))
    most, least = _mean(torch.cat(with_own)), _mean(torch.cat(without_own))
    rate = log_qzx - log_pz
    information = {"lower": log_qzx - most, "upper": min(log_qzx - least, rate)}
    figures = {
        "mutual_information_lower": information["lower"],
        "mutual_information_upper": information["upper"],
        "mutual_information_limit": math.log(count),  # of the lower bound
        "marginal_kl_lower": max(0.0, rate - information["upper"]),
        "marginal_kl_upper": rate - information["lower"],
    }
    if is_product:
        marginals = _mean(torch.cat(product))
        figures |= {
            "total_correlation_lower": max(0.0, least - marginals),
            "total_correlation_upper": most - marginals,
            marginal_name(p): marginals - log_pz,
        }
    return figures


def _mean(values: Tensor) -> float:
    return float(values.double().mean()) if values.device.type != "mps" else float(values.mean())
