"""Modules that map a tensor to a distribution: the posterior q(z|x) and the likelihood p(x|z).

A posterior builds its own encoder, since it alone knows how many outputs it needs; a likelihood its decoder.
Networks may compute in bfloat16 under autocast; what they put out is brought back to the precision of what
they were given, so densities are never computed in less.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, ContinuousBernoulli, Independent, Normal

from vaelab.checks import flag, number, one_of, whole
from vaelab.distributions import PointMass, diagonal_normal, joint
from vaelab.networks import activation_of

Encoder = Callable[[int], nn.Module]  # outputs -> module (B, C, H, W) -> (B, outputs)
Decoder = Callable[[int, int], nn.Module]  # latent, channels -> module (..., latent) -> (..., channels, H, W)

IMAGE_DIMS = 3


class GaussianPosterior(nn.Module):
    """q(z|x) = N(m(x), diag(exp s(x))), with s the log variance.

    Auto-Encoding Variational Bayes (Kingma and Welling, 2013), appendix C.2.
    """

    has_density = True

    def __init__(self, network: Encoder, latent: int) -> None:
        super().__init__()
        self.network = network(2 * whole("latent", latent))

    def forward(self, x: Tensor) -> Independent:
        """``x`` ``(B, C, H, W)`` -> batch ``(B,)``, event ``(latent,)``."""
        loc, log_variance = self.network(x).to(x.dtype).chunk(2, dim=-1)
        return diagonal_normal(loc, torch.exp(0.5 * log_variance))


class DiracPosterior(nn.Module):
    """The code of a plain auto-encoder: all mass at one point, ``activation`` applied to it."""

    has_density = False

    def __init__(self, network: Encoder, latent: int, activation: str = "identity") -> None:
        super().__init__()
        self.network = network(whole("latent", latent))
        self.activation = activation_of("posterior.activation", activation)

    def forward(self, x: Tensor) -> PointMass:
        """``x`` ``(B, C, H, W)`` -> batch ``(B,)``, event ``(latent,)``."""
        return PointMass(self.activation(self.network(x).to(x.dtype)))


class BernoulliLikelihood(nn.Module):
    """p(x|z) = prod_i p_i^{x_i} (1 - p_i)^{1 - x_i}, the network's output being the logit of p.

    On binary images this is a likelihood. On grey pixels it is the usual cross-entropy, which is not the
    log-likelihood of any distribution on [0, 1]: such nats must not stand beside those of binary images.
    """

    def __init__(self, network: Decoder, latent: int) -> None:
        super().__init__()
        self.network = network(whole("latent", latent), 1)

    def forward(self, z: Tensor) -> Independent:
        """``z`` ``(..., latent)`` -> batch ``(...)``, event ``(1, H, W)``."""
        # Unvalidated, torch's log_prob is the cross-entropy also between 0 and 1; validated, it raises there.
        return joint(Bernoulli(logits=self.network(z).to(z.dtype), validate_args=False), IMAGE_DIMS)


class ContinuousBernoulliLikelihood(nn.Module):
    """p(x|z) = prod_i C(p_i) p_i^{x_i} (1 - p_i)^{1 - x_i}: the Bernoulli normalised to a density on [0, 1].

    The continuous Bernoulli: fixing a pervasive error in variational autoencoders (Loaiza-Ganem and
    Cunningham, 2019).
    """

    def __init__(self, network: Decoder, latent: int) -> None:
        super().__init__()
        self.network = network(whole("latent", latent), 1)

    def forward(self, z: Tensor) -> Independent:
        """``z`` ``(..., latent)`` -> batch ``(...)``, event ``(1, H, W)``."""
        return joint(ContinuousBernoulli(logits=self.network(z).to(z.dtype), validate_args=False), IMAGE_DIMS)


class GaussianLikelihood(nn.Module):
    """p(x|z) = N(f(z), σ²I): log p = -sum_i (x_i - f_i)² / 2σ² - log σ√2π, with one σ for all pixels.

    With ``learnt`` true, σ starts at ``sigma`` and is trained; then the second term no longer is a constant.
    ``mean`` is what the network's output passes through: sigmoid keeps it in [0, 1], identity leaves it.
    """

    def __init__(
        self, network: Decoder, latent: int, sigma: float = 1.0, learnt: bool = False, mean: str = "sigmoid"
    ) -> None:
        super().__init__()
        self.network = network(whole("latent", latent), 1)
        self.mean = activation_of("likelihood.mean", one_of("likelihood.mean", mean, ("sigmoid", "identity")))
        log_sigma = torch.tensor(math.log(number("likelihood.sigma", sigma, above=True)))
        if flag("likelihood.learnt", learnt):
            self.log_sigma = nn.Parameter(log_sigma)
        else:
            self.register_buffer("log_sigma", log_sigma)

    def forward(self, z: Tensor) -> Independent:
        """``z`` ``(..., latent)`` -> batch ``(...)``, event ``(1, H, W)``."""
        mean = self.mean(self.network(z).to(z.dtype))
        return joint(Normal(mean, self.log_sigma.exp(), validate_args=False), IMAGE_DIMS)
