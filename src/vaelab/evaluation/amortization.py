"""What a network that answers for every image loses against a posterior found for each image by itself.

    gap = log p(x) - ELBO(q) = [log p(x) - ELBO(q*)] + [ELBO(q*) - ELBO(q)]

with q* the best of q's family for this one image: the first bracket is what the family cannot do (approximation gap),
the second what the encoder loses (amortization gap). Inference Suboptimality in Variational Autoencoders (Cremer et
al., 2018).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab import rng
from vaelab.evaluation.importance import importance_weights, log_likelihood, useful_prior_samples
from vaelab.models.contracts import Model
from vaelab.models.inference import Inference

LEARNING_RATE = 0.05  # of the family's parameters, such as means and log variances, which are of the order of one
SAMPLES = 8  # codes per image and step


@dataclass
class Split:
    """Per image ``(B,)``, in nats.

    Args:
        elbo: with the encoder's q.
        best_elbo: with q*, the optimised one.
        log_p: log p(x) by importance sampling from the better of the two.
        variance: of ``log_p``, Monte Carlo.
    """

    elbo: Tensor
    best_elbo: Tensor
    log_p: Tensor
    variance: Tensor


def optimised(model: Model, x: Tensor, steps: int, track: Callable[[Iterable], Iterable] = iter) -> Distribution:
    """q*(z) for each image ``(B, 1, H, W)``: the posterior of those outputs that maximise this image's ELBO.

    ``steps`` of Adam from the encoder's own outputs, its rate falling to nothing along a cosine. A flow's maps stay as
    they are; what they are conditioned on is optimised.
    """
    with torch.no_grad():
        outputs = nn.Parameter(model.posterior.outputs(model.encoder_input(x)).clone())
        p = model.prior_distribution()
    optimizer = torch.optim.Adam([outputs], LEARNING_RATE)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in track(range(steps)):
        with torch.enable_grad():
            q = model.posterior.from_outputs(outputs)
            z = q.rsample((SAMPLES,))
            inference = Inference(x, z, q, p, model.decode(z))
            loss = (inference.rate - inference.log_px.mean(0)).sum()
        (outputs.grad,) = torch.autograd.grad(loss, outputs)  # the model's own parameters get none
        optimizer.step()
        rate.step()
    return model.posterior.from_outputs(outputs.detach())


@torch.no_grad()
def split(
    model: Model,
    x: Tensor,
    steps: int,
    samples: int,
    chunk: int | None = None,
    prior_samples: int = 0,
    track: Callable[[Iterable], Iterable] = iter,
) -> Split:
    """The gap of images ``(B, 1, H, W)`` in its two parts; bounds from ``samples`` codes each, the likelihood from
    ``prior_samples`` more."""
    qs = model.encode(x), optimised(model, x, steps, track)
    prior_samples = useful_prior_samples(model, x, prior_samples)
    found = []
    for q in qs:  # with the same noise, so that the better of two equal ones is not the luckier
        with rng.fixed_noise(x.device, rng.SUITE):
            found.append(importance_weights(model, x, samples, chunk, q=q, prior_samples=prior_samples))
    before, after = found
    (log_p, variance), (best_log_p, best_variance) = (
        log_likelihood(weights.log_w, weights.shared) for weights in found
    )
    # An image whose encoder was better already keeps it.
    better = after.elbo > before.elbo
    return Split(
        before.elbo,
        torch.where(better, after.elbo, before.elbo),
        torch.where(better, best_log_p, log_p),
        torch.where(better, best_variance, variance),
    )


def figures(parts: Split) -> dict[str, float]:
    """Means over the images, and the standard error of their log p(x)."""
    elbo, best, log_p = (float(part.double().mean()) for part in (parts.elbo, parts.best_elbo, parts.log_p))
    return {
        "elbo": elbo,
        "best_elbo": best,
        "nll": -log_p,
        "nll_stderr": math.sqrt(float(parts.variance.double().sum())) / len(parts.log_p),
        "gap": log_p - elbo,
        "approximation_gap": log_p - best,
        "amortization_gap": best - elbo,
    }
