"""The waist: images become an Inference, and an objective turns an Inference into a loss per image.

    q = posterior(x);  p = prior(posterior);  z = q.rsample((K,));  likelihood(z) is p(x|z)

Shapes: ``B`` images, ``K`` samples per image, ``D`` latents. Densities are in nats per image.
"""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, nn
from torch.distributions import Distribution, kl_divergence


@dataclass
class Inference:
    """What a model knows of a batch; densities are computed when first asked for, and once.

    Args:
        x: images ``(B, 1, H, W)``.
        z: samples of q ``(K, B, D)``.
        q: posterior q(z|x), batch ``(B,)``, event ``(D,)``.
        p: prior p(z), batch ``()`` or ``(B,)``, event ``(D,)``.
        px: likelihood p(x|z), batch ``(K, B)``, event ``(1, H, W)``.
    """

    x: Tensor
    z: Tensor
    q: Distribution
    p: Distribution
    px: Distribution

    @cached_property
    def log_px(self) -> Tensor:
        """log p(x|z) ``(K, B)``."""
        return self.px.log_prob(self.x)

    @cached_property
    def log_ratio(self) -> Tensor:
        """log q(z|x) - log p(z) ``(K, B)``: its mean over q is the KL divergence."""
        return self.q.log_prob(self.z) - self.p.log_prob(self.z)

    @cached_property
    def kl(self) -> Tensor:
        """KL(q(z|x) ‖ p(z)): ``(B,)`` in closed form where torch knows one, else the estimate ``(K, B)``."""
        try:
            return kl_divergence(self.q, self.p)
        except NotImplementedError:
            return self.log_ratio


class LatentVariableModel(nn.Module):
    """p(x, z) = p(x|z) p(z) with an approximate posterior q(z|x); every named model is a choice of the three."""

    def __init__(self, posterior: nn.Module, likelihood: nn.Module, prior: nn.Module) -> None:
        super().__init__()
        self.posterior = posterior
        self.likelihood = likelihood
        self.prior = prior

    @property
    def has_bound(self) -> bool:
        """Whether an ELBO exists: a posterior without a density (a plain auto-encoder's) defines none."""
        return self.posterior.has_density

    def forward(self, x: Tensor, samples: int = 1) -> Inference:
        """Encode ``x`` ``(B, 1, H, W)``, draw ``samples`` codes per image, decode them."""
        q = self.encode(x)
        z = q.rsample((samples,))
        return Inference(x, z, q, self.prior(self.posterior), self.decode(z))

    def encode(self, x: Tensor) -> Distribution:
        """q(z|x) of images ``(B, 1, H, W)``."""
        return self.posterior(x)

    def decode(self, z: Tensor) -> Distribution:
        """p(x|z) of codes ``(..., D)``."""
        return self.likelihood(z)

    def sample(self, count: int) -> tuple[Tensor, Distribution]:
        """``count`` codes from the prior ``(count, D)``, and p(x|z) of each."""
        z = self.prior(self.posterior).sample((count,))
        return z, self.decode(z)
