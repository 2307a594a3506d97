"""The two parts of the gap: what the posterior's family cannot fit, and what the encoder loses in addition.

    gap = log p(x) - ELBO(q) = [log p(x) - ELBO(q*)] + [ELBO(q*) - ELBO(q)]

q* is the best posterior of q's family for one image. The first bracket is the approximation gap, the second the
amortization gap: an encoder serves all images, and q* is optimised for one.

**References**
    Inference Suboptimality in Variational Autoencoders (Cremer et al., 2018).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab import rng
from vaelab.errors import InputError
from vaelab.evaluation.evaluated_model import Evaluation
from vaelab.evaluation.importance import (
    ImportanceWeights,
    importance_weights,
    log_likelihood,
    useful_prior_samples,
    variance_of_mean,
)
from vaelab.evaluation.progress import Track, untracked
from vaelab.models.contracts import Model
from vaelab.models.inference import Inference

LEARNING_RATE = 0.05  # of the family's parameters, such as means and log variances, which are of the order of one
SAMPLES = 8  # latent samples per image and step
MOST_SAMPLES = 1_000  # latent samples per image in the two ELBOs, at most


@dataclass
class GapTerms:
    """The terms of the gap for each image ``(B,)``, in nats.

    **Attributes**
        elbo: with the encoder's q.
        best_elbo: with q*.
        log_p: log p(x) by importance sampling from the better of the two.
        variances: the Monte Carlo variances of log p(x) (``nll``) and of the differences ``gap``,
            ``approximation_gap`` and ``amortization_gap``.
    """

    elbo: Tensor
    best_elbo: Tensor
    log_p: Tensor
    variances: dict[str, Tensor]


def measure(evaluation: Evaluation) -> dict[str, object]:
    """The part ``amortization``: the gap and its two parts."""
    settings = evaluation.settings
    x, labels = evaluation.first("test", settings.amortization_images)
    samples = min(MOST_SAMPLES, settings.nll_samples)
    terms = gap_terms(
        evaluation.model.given(labels), x, settings.amortization_steps, samples, settings.chunk,
        evaluation.prior_samples, evaluation.track,
    )  # fmt: skip
    return {**gap_metrics(terms), "nll_samples": samples, "steps": settings.amortization_steps, "images": len(x)}


def optimised(model: Model, x: Tensor, steps: int, track: Track = untracked) -> Distribution:
    """q*(z), batch ``(B,)``: the posterior of those outputs that maximise the ELBO of each image ``(B, C, H, W)``.

    Adam starts from the encoder's own outputs, with a cosine learning rate. A flow's maps stay as they are; what they
    are conditioned on is optimised.

    **Raises**
        InputError: the posterior is no function of one vector per image.
    """
    posterior = model.posterior
    if not posterior.has_outputs:
        raise InputError(f"{type(posterior).__name__} has no outputs that could be optimised for one image")
    with torch.no_grad():
        outputs = nn.Parameter(posterior.outputs(model.encoder_input(x)).clone())
        p = model.prior_distribution()
    optimizer = torch.optim.Adam([outputs], LEARNING_RATE)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in track(range(steps), "amortization"):
        with torch.enable_grad():
            q = posterior.from_outputs(outputs)
            z = q.rsample((SAMPLES,))
            inference = Inference(x, z, q, p, model.decode(z))
            loss = (inference.rate - inference.log_px.mean(0)).sum()
        (outputs.grad,) = torch.autograd.grad(loss, outputs)  # none for the model's own parameters
        optimizer.step()
        rate.step()
    return posterior.from_outputs(outputs.detach())


@torch.no_grad()
def gap_terms(
    model: Model,
    x: Tensor,
    steps: int,
    samples: int,
    chunk: int | None = None,
    prior_samples: int = 0,
    track: Track = untracked,
) -> GapTerms:
    """The terms of the gap for images ``(B, C, H, W)``.

    **Arguments**
        steps: of the optimisation.
        samples: latent samples per image in the two ELBOs and in log p(x).
        chunk, prior_samples: see `importance_weights`.
    """
    posteriors = model.encode(x), optimised(model, x, steps, track)
    prior_samples = useful_prior_samples(model, x, prior_samples)
    found = []
    for q in posteriors:  # with the same noise: of two equal ones neither is better by chance
        with rng.fixed_noise(x.device, rng.SUITE):
            found.append(importance_weights(model, x, samples, chunk, q=q, prior_samples=prior_samples))
    before, after = found
    # Where the optimisation did not help, q* is the encoder's own posterior.
    return _compare(before, _choose(after.elbo > before.elbo, after, before))


def _choose(first: Tensor, one: ImportanceWeights, other: ImportanceWeights) -> ImportanceWeights:
    """For each image the weights ``one`` where ``first`` ``(B,)`` is true, else the weights ``other``."""
    return ImportanceWeights(
        torch.where(first, one.log_w, other.log_w),
        torch.where(first, one.distortion, other.distortion),
        torch.where(first, one.rate, other.rate),
        torch.where(first, one.elbo_terms, other.elbo_terms),
        one.shared,
    )


def _compare(before: ImportanceWeights, best: ImportanceWeights) -> GapTerms:
    """The terms of the gap from two sets of weights that the same noise was drawn for.

    The differences have smaller errors than their parts: the k-th samples of q and q* differ by q and q* alone, and the
    ELBO and log p(x) are estimated from the same samples.
    """
    log_p, variance = log_likelihood(best.log_w, best.shared)
    variances = {
        "nll": variance,
        "gap": _variance_of_gap(best, log_p, before.elbo_terms),
        "approximation_gap": _variance_of_gap(best, log_p, best.elbo_terms),
        "amortization_gap": variance_of_mean(best.elbo_terms - before.elbo_terms),
    }
    return GapTerms(before.elbo, best.elbo, log_p, variances)


def _variance_of_gap(weights: ImportanceWeights, log_p: Tensor, elbo_terms: Tensor) -> Tensor:
    """The Monte Carlo variance of log p(x) - mean ``elbo_terms`` ``(B,)``, by the delta method."""
    terms = torch.exp(weights.log_w - log_p)
    own = len(elbo_terms)
    terms[:own] -= elbo_terms * (len(terms) / own)  # terms has the samples of the prior too
    return variance_of_mean(terms, weights.shared)


def gap_metrics(terms: GapTerms) -> dict[str, float]:
    """Means over the images, and their Monte Carlo standard errors."""
    elbo, best, log_p = (float(term.double().mean()) for term in (terms.elbo, terms.best_elbo, terms.log_p))
    metrics = {"elbo": elbo, "best_elbo": best}
    differences = {
        "nll": -log_p,
        "gap": log_p - elbo,
        "approximation_gap": log_p - best,
        "amortization_gap": best - elbo,
    }
    for name, value in differences.items():
        variance = terms.variances[name].double()
        metrics |= {name: value, f"{name}_stderr": math.sqrt(float(variance.sum())) / len(variance)}
    return metrics
