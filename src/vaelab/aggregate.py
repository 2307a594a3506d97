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
from torch.distributions import Distribution, Independent

from vaelab.distributions import pairwise_log_prob

PAIRS = 4_000_000  # numbers at a time: pairs of code and image, times latents


def stratified(q: Distribution, p: Distribution, z: Tensor, population: int) -> dict[str, Tensor]:
    """The KL term's three parts from a batch of a larger population, for each sample ``(K, B)``, differentiable.

    The image that a code came from counts 1/N in q(z), the others (N - 1)/(N (B - 1)) each, which is unbiased for q(z),
    not for its logarithm: Chen et al. (2018), appendix C.2.

    Args:
        q: factorised posteriors, batch ``(B,)``.
        p: prior.
        z: codes of them ``(K, B, D)``.
        population: N, how many images the batch stands for.
    """
    count = z.shape[1]
    population = max(count, population)
    own = torch.eye(count, dtype=torch.bool, device=z.device)
    others = (population - 1) / (population * max(1, count - 1))
    log_share = torch.where(own, -math.log(population) if count > 1 else 0.0, math.log(others or 1.0))
    joint, product = [], []
    for codes in z:  # one sample at a time: the pairs take the memory of B codes for every image
        pairs = q.base_dist.log_prob(codes.unsqueeze(1))  # (B, B, D): code of the row, image of the column
        joint.append((pairs.sum(-1) + log_share).logsumexp(1))
        product.append((pairs + log_share.unsqueeze(-1)).logsumexp(1).sum(-1))
    log_qz, log_qz_product = torch.stack(joint), torch.stack(product)
    return {
        "mutual_information": q.log_prob(z) - log_qz,
        "total_correlation": log_qz - log_qz_product,
        _last_part(p): log_qz_product - p.log_prob(z),
    }


def _last_part(p: Distribution) -> str:
    return "dimension_kl" if isinstance(p, Independent) else "product_kl"


def bounded(
    q: Distribution, p: Distribution, factorised: bool, track: Callable[[Iterable], Iterable] = iter
) -> dict[str, float]:
    """Between what the KL term's parts lie, from one code of each of N images and all N posteriors.

    Where q(z) at a code counts the image that the code came from, I(x; z) is a lower bound, at most log N; where it
    leaves that image out, an upper one, and so is the rate: On Variational Bounds of Mutual Information (Poole et al.,
    2019), section 2. The other parts are bounded by the same two estimates of q(z), and by 0. The marginals q(z_d) need
    no such care: every one of them is covered by all N images.

    Args:
        q: posteriors of N images, at least 2, batch ``(N,)``.
        p: prior.
        factorised: whether q is a product over latents; without that there are no marginals.
        track: shows how far the loop is.
    """
    (count,), latent = q.batch_shape, q.event_shape[0]
    z = q.sample()
    with_own, without_own, product = [], [], []
    for part in track(torch.arange(count, device=z.device).split(max(1, PAIRS // (count * latent)))):
        if factorised:
            by_latent = q.base_dist.log_prob(z[part].unsqueeze(1))  # (M, N, D)
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
    if factorised:
        marginals = _mean(torch.cat(product))
        figures |= {
            "total_correlation_lower": max(0.0, least - marginals),
            "total_correlation_upper": most - marginals,
            _last_part(p): marginals - log_pz,
        }
    return figures


def _mean(values: Tensor) -> float:
    return float(values.double().mean()) if values.device.type != "mps" else float(values.mean())
