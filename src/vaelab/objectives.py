"""Objectives: callables (Inference, beta, progress) -> loss per image ``(B,)`` in nats, to be minimised.

``progress`` is the share of the training that lies behind, from 0 to 1. ``samples`` is how many codes per image they
want; ``weighs_kl`` whether the prior and β have a part in them; ``check(model)`` raises a ValueError where the model
lacks what they need; ``criterion`` is the figure by which validation chooses weights, None for the last ones;
``parts(inference)`` are figures ``(B,)`` of their own, at β = 1, which are logged beside the bound's.

What is averaged over a batch before it is used (free bits, total correlation) is averaged over a process's share of it
where there are several.
"""

import math

import torch
from torch import Tensor

from vaelab.aggregate import stratified
from vaelab.checks import flag, number, whole
from vaelab.model import Inference, LatentVariableModel


def _require_bound(objective: object, model: LatentVariableModel) -> None:
    if not model.has_bound:
        raise ValueError(
            f"{type(objective).__name__} needs a posterior with a density, and {type(model.posterior).__name__} "
            "has none: take posterior=gaussian or loss=reconstruction"
        )


class ELBO:
    """The negative evidence lower bound, its KL term weighted: -mean_K(log p(x|z) - β KL(q(z|x) ‖ p(z))).

    Auto-Encoding Variational Bayes (Kingma and Welling, 2013); β-VAE (Higgins et al., 2017) for β ≠ 1.

    ``free_bits`` λ > 0, in nats per latent: a latent whose KL term, averaged over the batch, is below λ is charged λ,
    so that nothing pulls it to the prior any further. Improving Variational Inference with Inverse Autoregressive
    Flow (Kingma et al., 2016), appendix C.8.
    """

    weighs_kl = True
    criterion = "elbo"

    def __init__(self, samples: int = 1, free_bits: float = 0.0) -> None:
        self.samples = whole("loss.samples", samples)
        self.free_bits = number("loss.free_bits", free_bits)

    def check(self, model: LatentVariableModel) -> None:
        _require_bound(self, model)
        if self.free_bits and not model.has_kl_per_latent:
            raise ValueError(
                f"loss.free_bits={self.free_bits:g} needs a KL term for every latent: "
                "take posterior=gaussian with prior=normal, or loss.free_bits=0"
            )

    def __call__(self, inference: Inference, beta: float, progress: float = 1.0) -> Tensor:
        loss = -(inference.log_px - beta * inference.kl).mean(0)
        if self.free_bits:
            mean = inference.kl_per_latent.mean(0)
            loss = loss + beta * (mean.clamp_min(self.free_bits) - mean).sum()
        return loss

    def parts(self, inference: Inference) -> dict[str, Tensor]:
        return {}


class Reconstruction:
    """The distortion alone: -mean_K log p(x|z); neither β nor the prior has a part in it."""

    weighs_kl = False
    criterion = "distortion"

    def __init__(self, samples: int = 1) -> None:
        self.samples = whole("loss.samples", samples)

    def check(self, model: LatentVariableModel) -> None:
        learnt = [parameter for parameter in model.prior.parameters() if parameter.requires_grad]
        if learnt and model.posterior is not None:
            raise ValueError(
                f"Reconstruction does not train the prior, and {type(model.prior).__name__} is learnt: "
                "take prior=normal or loss=elbo"
            )

    def __call__(self, inference: Inference, beta: float, progress: float = 1.0) -> Tensor:
        return -inference.log_px.mean(0)

    def parts(self, inference: Inference) -> dict[str, Tensor]:
        return {}


class IWAE:
    """The importance-weighted bound: log K - logsumexp_K(log p(x|z) - β (log q(z|x) - log p(z))).

    Importance Weighted Autoencoders (Burda et al., 2016). With one sample it is the ELBO whose KL term is sampled.

    With ``dreg``, the encoder's gradient is the doubly reparameterised one, whose signal does not vanish with K:
    Doubly Reparameterized Gradient Estimators (Tucker et al., 2019). The value stays the bound's.
    """

    weighs_kl = True
    criterion = "iwae"

    def __init__(self, samples: int = 5, dreg: bool = False) -> None:
        self.samples = whole("loss.samples", samples)
        self.dreg = flag("loss.dreg", dreg)

    def check(self, model: LatentVariableModel) -> None:
        _require_bound(self, model)
        if self.dreg and not model.has_continuous_code:
            raise ValueError(
                "loss.dreg=true differentiates through the code, and a mixture's is discrete: leave it out"
            )

    def __call__(self, inference: Inference, beta: float, progress: float = 1.0) -> Tensor:
        log_weights = inference.log_px - beta * inference.log_ratio
        bound = _log_mean_exp(log_weights)
        if not (self.dreg and inference.z.requires_grad):
            return -bound
        weights = log_weights.detach().softmax(0)
        # E[w d log q/dφ] equals E[dw/dz dz/dφ], so q's own parameters are held still and z's gradient is weighted
        # anew. For weights exp(log p(x|z) - β log_ratio) that factor is 1 - β + βw, which is w at β = 1.
        z = inference.z
        z.register_hook(lambda gradient: gradient * (1 - beta + beta * weights).unsqueeze(-1))
        log_weights = inference.log_px - beta * (_through_z_alone(inference) - inference.log_pz)
        surrogate = (weights * log_weights).sum(0)
        return -(bound.detach() + surrogate - surrogate.detach())

    def parts(self, inference: Inference) -> dict[str, Tensor]:
        return {"iwae": _log_mean_exp(inference.log_px - inference.log_ratio)}


def _log_mean_exp(log_weights: Tensor) -> Tensor:
    """``(K, B)`` -> ``(B,)``."""
    return log_weights.logsumexp(0) - math.log(len(log_weights))


def _through_z_alone(inference: Inference) -> Tensor:
    """log q(z|x), with the gradient that it has by z, and none by q's parameters: ``(K, B)``."""
    fixed = inference.z.detach().requires_grad_()
    (slope,) = torch.autograd.grad(inference.q.log_prob(fixed).sum(), fixed, retain_graph=True)
    return inference.log_qz.detach() + (slope * (inference.z - inference.z.detach())).sum(-1)


class Capacity:
    """distortion + β |KL(q(z|x) ‖ p(z)) - C|: every image's KL term is held at C nats, which rise to ``capacity``.

    Understanding disentangling in β-VAE (Burgess et al., 2018), where β is called γ and is large. Other
    code takes the distance of the batch's mean from C, whose gradient has one sign for all its images; at γ = 100 that
    trains worse (docs/ladder.md). ``warmup`` is the share of the training after which C stays.
    """

    weighs_kl = True
    criterion = None  # weights from before C has risen have another rate than was asked for

    def __init__(self, capacity: float = 25.0, warmup: float = 0.5, samples: int = 1) -> None:
        self.samples = whole("loss.samples", samples)
        self.capacity = number("loss.capacity", capacity)
        self.warmup = number("loss.warmup", warmup)
        if self.warmup > 1:
            raise ValueError(f"loss.warmup is a share of the training, from 0 to 1, got {warmup:g}")

    def check(self, model: LatentVariableModel) -> None:
        _require_bound(self, model)

    def __call__(self, inference: Inference, beta: float, progress: float = 1.0) -> Tensor:
        target = self.capacity * (min(1.0, progress / self.warmup) if self.warmup else 1.0)
        return beta * (inference.rate - target).abs() - inference.log_px.mean(0)

    def parts(self, inference: Inference) -> dict[str, Tensor]:
        return {}


class TotalCorrelation:
    """distortion + I(x; z) + β TC(z) + sum_d KL(q(z_d) ‖ p(z_d)): β-TC, which weighs the total correlation alone.

    Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., 2018). The three parts add up to
    log q(z|x) - log p(z), the KL term's sample:

        I = log q(z|x) - log q(z),   TC = log q(z) - sum_d log q(z_d),   sum_d log q(z_d) - log p(z)

    with q(z) = mean_n q(z|x_n) over the ``images`` training images, estimated from the batch (aggregate.stratified).
    """

    weighs_kl = True
    criterion = "elbo"

    def __init__(self, samples: int = 1, images: int | None = None) -> None:
        self.samples = whole("loss.samples", samples)
        self.images = None if images is None else whole("loss.images", images)

    def check(self, model: LatentVariableModel) -> None:
        _require_bound(self, model)
        if not (model.posterior is not None and model.posterior.factorised):
            raise ValueError(
                f"{type(self).__name__} needs a density for every latent, and {type(model.posterior).__name__} "
                "has none: take posterior=gaussian or loss=elbo"
            )

    def __call__(self, inference: Inference, beta: float, progress: float = 1.0) -> Tensor:
        parts = self.parts(inference)
        return sum(parts.values()) + (beta - 1) * parts["total_correlation"] - inference.log_px.mean(0)

    def parts(self, inference: Inference) -> dict[str, Tensor]:
        """The three parts ``(B,)``, computed once per Inference."""
        if not hasattr(inference, "decomposition"):
            parts = stratified(inference.q, inference.p, inference.z, self.images or 0)
            inference.decomposition = {name: part.mean(0) for name, part in parts.items()}
        return inference.decomposition
