"""The `Inference` of a batch: what objectives and the evaluation compute with."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from vaelab.models.distributions import factors

CPU_CHUNK, GPU_CHUNK = 1_000, 20_000  # latents decoded at a time: the images of more do not fit in a CPU's cache


def decoded_at_once(device: torch.device) -> int:
    """How many latents are best decoded at a time where no gradients are needed."""
    return CPU_CHUNK if device.type == "cpu" else GPU_CHUNK


def closed_form_kl(q: Distribution, p: Distribution) -> Tensor | None:
    """KL(q ‖ p) in the batch shape of q; None where torch knows no closed form."""
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return None


@dataclass
class Inference:
    """A batch of images with their latent samples and the three distributions of the model.

    Each density is computed at its first use and kept. All are in nats per image.

    **Arguments**
        x: images ``(B, C, H, W)``.
        z: samples of q ``(K, B, D)``.
        q: the posterior q(z|x), batch ``(B,)``, event ``(D,)``.
        p: the prior p(z), batch ``()`` or ``(B,)``, event ``(D,)``.
        px: the likelihood p(x|z), batch ``(K, B)``, event ``(C, H, W)``.
    """

    x: Tensor
    z: Tensor
    q: Distribution
    p: Distribution
    px: Distribution
    kl_parts: dict[str, Tensor] | None = field(
        default=None, init=False
    )  # filled by an objective that decomposes the KL term

    @cached_property
    def log_px(self) -> Tensor:
        """log p(x|z) ``(K, B)``."""
        return self.px.log_prob(self.x)

    @cached_property
    def log_qz(self) -> Tensor:
        """log q(z|x) ``(K, B)``."""
        return self.q.log_prob(self.z)

    @cached_property
    def log_pz(self) -> Tensor:
        """log p(z) ``(K, B)``."""
        return self.p.log_prob(self.z)

    @cached_property
    def log_ratio(self) -> Tensor:
        """log q(z|x) - log p(z) ``(K, B)``; its mean over q is the KL divergence."""
        return self.log_qz - self.log_pz

    @cached_property
    def kl(self) -> Tensor:
        """KL(q(z|x) ‖ p(z)): in closed form ``(B,)`` where torch knows one, else the sample estimate ``(K, B)``."""
        closed = closed_form_kl(self.q, self.p)
        return self.log_ratio if closed is None else closed

    @property
    def rate(self) -> Tensor:
        """KL(q(z|x) ‖ p(z)) of each image ``(B,)``: ``kl``, averaged over samples where it is an estimate."""
        return self.kl.mean(0) if self.kl.dim() == 2 else self.kl

    @cached_property
    def kl_per_latent(self) -> Tensor:
        """KL(q(z_d|x) ‖ p(z_d)) ``(B, D)``, where posterior and prior are products over latents."""
        return kl_divergence(factors(self.q), factors(self.p))
