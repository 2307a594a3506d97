"""Objectives: a loss per image ``(B,)`` in nats, from an `Inference`, β and the progress of the training.

Free bits and the total correlation contain averages over the batch. With several processes, each averages over its own
share of the batch.
"""

import math

import torch
from torch import Tensor

from vaelab.checks import flag, number, one_of, share, whole
from vaelab.errors import InputError
from vaelab.models.aggregate import decompose_kl
from vaelab.models.contracts import Model, Objective
from vaelab.models.drawn_samples import PartOfSamples, draw_part
from vaelab.models.inference import Inference
from vaelab.models.vae import LatentVariableModel


class _BoundObjective(Objective):
    """An objective that needs a posterior with a density."""

    def check(self, model: Model) -> None:
        if not model.has_bound:
            raise InputError(
                f"{type(self).__name__} needs a posterior with a density, and {type(model.posterior).__name__} "
                "has none: take posterior=gaussian or loss=reconstruction"
            )


class ELBO(_BoundObjective):
    """The negative evidence lower bound with a weighted KL term: -mean_K(log p(x|z) - β KL(q(z|x) ‖ p(z))).

    **References**
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013).
        β-VAE (Higgins et al., 2017), for β ≠ 1.
        Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016), appendix C.8, for
        ``free_bits``.

    **Arguments**
        samples: K.
        free_bits: λ, in nats per latent: a latent whose KL term, averaged over the batch, is below λ costs λ, so its KL
            term has no gradient.
        kl: the KL term is ``closed`` where it has a closed form, or always ``sampled``: log q(z|x) - log p(z) of the
            latent samples, which has the same mean and more variance.
    """

    weighs_whole_kl = True

    def __init__(self, samples: int = 1, free_bits: float = 0.0, kl: str = "closed") -> None:
        self.samples = whole("loss.samples", samples)
        self.free_bits = number("loss.free_bits", free_bits)
        self.is_sampled = one_of("loss.kl", kl, ("closed", "sampled")) == "sampled"

    def check(self, model: Model) -> None:
        super().check(model)
        if self.free_bits and not model.has_kl_per_latent:
            raise InputError(
                f"loss.free_bits={self.free_bits:g} needs a KL term for every latent: "
                "take posterior=gaussian with prior=normal, or loss.free_bits=0"
            )

    def __call__(self, inference: Inference, beta: float | Tensor, progress: float = 1.0) -> Tensor:
        kl = inference.log_ratio if self.is_sampled else inference.kl
        loss = -(inference.log_px - beta * kl).mean(0)
        if self.free_bits:
            mean = inference.kl_per_latent.mean(0)
            loss = loss + beta * (mean.clamp_min(self.free_bits) - mean).sum()
        return loss


class Reconstruction(Objective):
    """The distortion alone: -mean_K log p(x|z). It does not depend on β or the prior."""

    weighs_kl = False
    criterion = "distortion"

    def __init__(self, samples: int = 1) -> None:
        self.samples = whole("loss.samples", samples)

    def check(self, model: Model) -> None:
        is_learnt = any(parameter.requires_grad for parameter in model.prior.parameters())
        if is_learnt and not model.posterior.is_exact:
            raise InputError(
                f"Reconstruction does not train the prior, and {type(model.prior).__name__} is learnt: "
                "take prior=normal or loss=elbo"
            )

    def __call__(self, inference: Inference, beta: float | Tensor, progress: float = 1.0) -> Tensor:
        return -inference.log_px.mean(0)


class IWAE(_BoundObjective):
    """The importance-weighted bound: log K - logsumexp_K(log p(x|z) - β (log q(z|x) - log p(z))).

    With one sample it is the ELBO with a sampled KL term. Its gradient is sum_k w_k d log w_k, where in front stand the
    weights divided by their sum. With ``gradient_samples`` M it is the mean of d log w_k over M samples, drawn with
    these probabilities: its expectation is the same, and only M samples per image are decoded with gradients. With
    ``dreg``, the encoder's gradient is the doubly reparameterised one, whose signal does not vanish as K grows. The
    loss is the same with both. With ``first_samples`` the training begins with a cheaper bound, and ends with that of
    K samples.

    **References**
        Importance Weighted Autoencoders (Burda et al., 2016), whose section 3 draws one sample for the gradient.
        Doubly Reparameterized Gradient Estimators (Tucker et al., 2019), for ``dreg``.

    **Arguments**
        samples: K.
        dreg: whether the encoder gets the doubly reparameterised gradient.
        gradient_samples: M, smaller than K; None: the gradient is that of all K samples. Where ``first_samples`` is
            not larger, the first part takes all of those.
        first_samples: the smaller K in the first part of the training; None: ``samples``, which validation and test
            always take.
        first_part: that part, a share of the training, where there are ``first_samples``.

    **Raises**
        InputError: ``gradient_samples`` or ``first_samples`` is not smaller than ``samples``, or a number is out of its
            range.
    """

    criterion = "iwae"
    weighs_whole_kl = True

    def __init__(
        self,
        samples: int = 5,
        dreg: bool = False,
        gradient_samples: int | None = None,
        first_samples: int | None = None,
        first_part: float = 0.7,
    ) -> None:
        self.samples = whole("loss.samples", samples)
        self.dreg = flag("loss.dreg", dreg)
        self.gradient_samples = self._fewer("gradient_samples", gradient_samples, "the gradient is that of all samples")
        self.first_samples = self._fewer(
            "first_samples", first_samples, "all of the training is on the bound of that many samples"
        )
        first_part = share("loss.first_part", first_part)
        self.first_part = first_part if self.first_samples else 0.0
        self.has_latent_gradients = self.dreg

    def _fewer(self, name: str, value: object, without: str) -> int | None:
        """The option ``name``, a number of samples below K, or None; ``without`` says what it then means."""
        if value is None:
            return None
        count = whole(f"loss.{name}", value)
        if count >= self.samples:
            raise InputError(
                f"loss.{name}={count} must be smaller than loss.samples={self.samples}: leave it out, and {without}"
            )
        return count

    @property
    def infers_by_model(self) -> bool:
        is_plain = self.gradient_samples is None and self.first_samples is None
        return is_plain and type(self).infer is IWAE.infer

    def check(self, model: Model) -> None:
        super().check(model)
        if (self.dreg or self.gradient_samples) and not model.has_continuous_latents:
            option = "dreg=true" if self.dreg else f"gradient_samples={self.gradient_samples}"
            raise InputError(
                f"loss.{option} differentiates by latents, and those of a mixture are discrete: leave it out"
            )
        if self.gradient_samples and type(model).forward is not LatentVariableModel.forward:
            raise InputError(
                f"loss.gradient_samples={self.gradient_samples} encodes and decodes without calling "
                f"{type(model).__name__}.forward: leave it out"
            )

    def infer(self, model: Model, x: Tensor, beta: float | Tensor, progress: float = 1.0) -> Inference:
        if not torch.is_grad_enabled():
            return model(x, self.samples)
        samples = self.first_samples if self.first_samples and progress < self.first_part else self.samples
        if not self.gradient_samples or self.gradient_samples >= samples:
            return model(x, samples)
        return draw_part(model, x, beta, samples, self.gradient_samples)

    def __call__(self, inference: Inference, beta: float | Tensor, progress: float = 1.0) -> Tensor:
        log_weights = inference.log_px - beta * inference.log_ratio
        bound = _log_mean_exp(log_weights)
        if isinstance(inference, PartOfSamples):
            part, weights = inference.drawn, inference.weights
            shares = torch.full_like(weights, 1 / len(weights))
        elif self.dreg and inference.z.requires_grad:
            part, weights = inference, log_weights.detach().softmax(0)
            shares = weights
        else:
            return -bound
        log_qz = part.log_qz
        if self.dreg and part.z.requires_grad:
            # E[w d log q/dφ] equals E[dw/dz dz/dφ]. So q's parameters are constant in the density, and the gradient
            # with respect to z gets another factor: for weights exp(log p(x|z) - β log_ratio) it is 1 - β + βw, which
            # is w at β = 1.
            part.z.register_hook(lambda gradient: gradient * (1 - beta + beta * weights).unsqueeze(-1))
            log_qz = _log_qz_through_z(part)
        surrogate = (shares * (part.log_px - beta * (log_qz - part.log_pz))).sum(0)
        return -(bound.detach() + surrogate - surrogate.detach())

    def metrics(self, inference: Inference) -> dict[str, Tensor]:
        return {"iwae": _log_mean_exp(inference.log_px - inference.log_ratio)}


def _log_mean_exp(log_weights: Tensor) -> Tensor:
    """log of the mean over samples: ``(K, B)`` -> ``(B,)``."""
    return log_weights.logsumexp(0) - math.log(len(log_weights))


def _log_qz_through_z(inference: Inference) -> Tensor:
    """log q(z|x) ``(K, B)`` with its gradient with respect to z, and none to q's parameters."""
    fixed = inference.z.detach().requires_grad_()
    (slope,) = torch.autograd.grad(inference.q.log_prob(fixed).sum(), fixed, retain_graph=True)
    return inference.log_qz.detach() + (slope * (inference.z - inference.z.detach())).sum(-1)


class Capacity(_BoundObjective):
    """distortion + β |KL(q(z|x) ‖ p(z)) - C|: the KL term of each image approaches C nats, and C rises to ``capacity``.

    Some implementations take the distance of the batch's mean KL term from C, whose gradient has the same sign for all
    images of the batch. At β = 100 that trains worse (docs/models.md).

    **References**
        Understanding disentangling in β-VAE (Burgess et al., 2018), where β is called γ and is large.

    **Arguments**
        capacity: the last C, in nats.
        warmup: the share of the training in which C rises from 0.
        samples: K.
    """

    criterion = None  # weights from before C has risen have another rate than ``capacity``

    def __init__(self, capacity: float = 25.0, warmup: float = 0.5, samples: int = 1) -> None:
        self.samples = whole("loss.samples", samples)
        self.capacity = number("loss.capacity", capacity)
        self.first_part = self.warmup = share("loss.warmup", warmup)

    def __call__(self, inference: Inference, beta: float | Tensor, progress: float = 1.0) -> Tensor:
        target = self.capacity * (min(1.0, progress / self.warmup) if self.warmup else 1.0)
        return beta * (inference.rate - target).abs() - inference.log_px.mean(0)


class TotalCorrelation(_BoundObjective):
    """distortion + I(x; z) + β TC(z) + sum_d KL(q(z_d) ‖ p(z_d)): β-TC, which weighs the total correlation alone.

    The three parts add up to log q(z|x) - log p(z), the KL term's sample:

        I = log q(z|x) - log q(z),   TC = log q(z) - sum_d log q(z_d),   sum_d log q(z_d) - log p(z)

    with q(z) = mean_n q(z|x_n) over the ``images`` training images, estimated from the batch (`decompose_kl`).

    **References**
        Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., 2018).

    **Arguments**
        samples: K.
        images: N; None for the number of training images.
    """

    def __init__(self, samples: int = 1, images: int | None = None) -> None:
        self.samples = whole("loss.samples", samples)
        self.images = None if images is None else whole("loss.images", images)

    def set_training_images(self, count: int) -> None:
        if self.images is None:
            self.images = count

    def check(self, model: Model) -> None:
        super().check(model)
        if not model.posterior.is_product:
            raise InputError(
                f"{type(self).__name__} needs a density for every latent, and {type(model.posterior).__name__} "
                "has none: take posterior=gaussian or loss=elbo"
            )

    def __call__(self, inference: Inference, beta: float | Tensor, progress: float = 1.0) -> Tensor:
        parts = self.metrics(inference)
        return sum(parts.values()) + (beta - 1) * parts["total_correlation"] - inference.log_px.mean(0)

    def metrics(self, inference: Inference) -> dict[str, Tensor]:
        """The three parts ``(B,)``, computed once for each Inference."""
        if inference.kl_parts is None:
            parts = decompose_kl(inference.q, inference.p, inference.z, self.images or 0)
            inference.kl_parts = {name: part.mean(0) for name, part in parts.items()}
        return inference.kl_parts
