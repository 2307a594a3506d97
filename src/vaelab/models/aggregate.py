"""The aggregate posterior q(z) = mean_n q(z|x_n), estimated from a batch, and the parts of the KL term.

    E KL(q(z|x) ‖ p(z)) = I(x; z) + KL(q(z) ‖ p(z)),   KL(q(z) ‖ p(z)) = TC(z) + sum_d KL(q(z_d) ‖ p(z_d))

The last sum exists only where p(z) is a product over latents. Elsewhere the last part is the mean of
sum_d log q(z_d) - log p(z), which may be negative and is called ``product_kl``.

**References**
    ELBO surgery (Hoffman and Johnson, 2016).
    Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., 2018).
"""

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.models.distributions import factors, is_product
from vaelab.models.log_sums import log_sum_exp


def decompose_kl(q: Distribution, p: Distribution, z: Tensor, population: int) -> dict[str, Tensor]:
    """The three parts of the KL term for each sample ``(K, B)``, differentiable, from a batch of N images.

    In q(z) the image that z was drawn for has the weight 1/N, each other image of the batch (N - 1)/(N (B - 1)). This
    estimate is unbiased for q(z), not for its logarithm.

    **References**
        Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., 2018), appendix C.2.

    **Arguments**
        q: posteriors that are products over latents, batch ``(B,)``.
        p: the prior.
        z: samples of q ``(K, B, D)``.
        population: N, the number of images from which the batch was drawn.

    **Raises**
        InputError: q is no product over latents.
    """
    count = z.shape[1]
    population = max(count, population)
    own = torch.eye(count, dtype=torch.bool, device=z.device)
    others = (population - 1) / (population * max(1, count - 1))
    log_weight = torch.where(own, -math.log(population) if count > 1 else 0.0, math.log(others or 1.0))
    joint, product = [], []
    for sample in z:  # one sample at a time, because all pairs take B times its memory
        pairs = factors(q).log_prob(sample.unsqueeze(1))  # (B, B, D): latents by row, image by column
        joint.append(log_sum_exp(pairs.sum(-1) + log_weight, 1))
        product.append(log_sum_exp(pairs + log_weight.unsqueeze(-1), 1).sum(-1))
    log_qz, log_qz_product = torch.stack(joint), torch.stack(product)
    return {
        "mutual_information": q.log_prob(z) - log_qz,
        "total_correlation": log_qz - log_qz_product,
        marginal_name(p): log_qz_product - p.log_prob(z),
    }


def marginal_name(p: Distribution) -> str:
    """The name of the last part: ``dimension_kl`` where p(z) is a product over latents, else ``product_kl``."""
    return "dimension_kl" if is_product(p) else "product_kl"
