"""Priors: modules called with the posterior that return the distribution p(z).

The posterior comes at call time because some priors are made of it (the VampPrior is a mixture of posteriors):
given as a part of the configuration, a prior would train against a second, silent copy of the encoder.

``factorised`` says whether p(z) is a product over latents.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Independent, OneHotCategorical

from vaelab.checks import whole
from vaelab.conditionals import GaussianLayer, layers
from vaelab.distributions import Chain, Mixture, diagonal_normal
from vaelab.flows import Flow, MaskedAutoregressiveFlow, unvalidated
from vaelab.networks import widths_of


class StandardNormal(nn.Module):
    """p(z) = N(0, I)."""

    factorised = True

    def __init__(self, latent: int) -> None:
        super().__init__()
        # Constants: on the module's device, but in no checkpoint.
        self.register_buffer("loc", torch.zeros(whole("latent", latent)), persistent=False)
        self.register_buffer("scale", torch.ones(latent), persistent=False)

    def forward(self, posterior: nn.Module) -> Independent:
        """Batch ``()``, event ``(latent,)``."""
        return diagonal_normal(self.loc, self.scale)


class GaussianMixture(nn.Module):
    """p(z) = sum_k w_k N(m_k, diag(s_k²)), weights, means and scales learnt.

    Approximate Inference for Deep Latent Gaussian Mixtures (Nalisnick et al., 2016).
    """

    factorised = False

    def __init__(self, latent: int, components: int = 100) -> None:
        super().__init__()
        components = whole("prior.components", components)
        self.loc = nn.Parameter(torch.randn(components, whole("latent", latent)))
        self.log_scale = nn.Parameter(torch.zeros(components, latent))
        self.log_weights = nn.Parameter(torch.zeros(components))

    def forward(self, posterior: nn.Module) -> Mixture:
        """Batch ``()``, event ``(latent,)``."""
        return Mixture(self.log_weights, diagonal_normal(self.loc, self.log_scale.exp()))


class Vamp(nn.Module):
    """p(z) = 1/K sum_k q(z|u_k): the posteriors of K learnt pseudo-inputs.

    VAE with a VampPrior (Tomczak and Welling, 2018). The pseudo-inputs begin as training images and stay within
    [0, 1] by a sigmoid.
    """

    factorised = False
    MARGIN = 0.02  # a pixel of 0 or 1 would be infinitely far out for the sigmoid

    def __init__(self, components: int = 500, image: Sequence[int] = (1, 28, 28)) -> None:
        super().__init__()
        components = whole("prior.components", components)
        self.logits = nn.Parameter(torch.randn(components, *image))
        self.register_buffer("log_weights", torch.zeros(components), persistent=False)

    @property
    def pseudo_inputs(self) -> Tensor:
        """Images ``(K, 1, H, W)`` in [0, 1]."""
        return torch.sigmoid(self.logits)

    def initialise(self, images: Tensor, generator: torch.Generator) -> None:
        """Begin with training images ``(N, 1, H, W)`` in [0, 1], drawn without repetition where there are enough."""
        rounds = -(-len(self.logits) // len(images))
        chosen = torch.cat([torch.randperm(len(images), generator=generator) for _ in range(rounds)])
        begin = images[chosen[: len(self.logits)]].clamp(self.MARGIN, 1 - self.MARGIN)
        with torch.no_grad():
            self.logits.copy_(torch.logit(begin))

    def forward(self, posterior: nn.Module) -> Mixture:
        """Batch ``()``, event ``(latent,)``."""
        return Mixture(self.log_weights, posterior(self.pseudo_inputs))


class ChainPrior(nn.Module):
    """p(z) = p(z₂) p(z₁|z₂) over z = (z₁, z₂): N(0, I) on top, a Gaussian given it below.

    Importance Weighted Autoencoders (Burda et al., 2016), section 2. ``bottom`` is the size of z₁.
    """

    factorised = False

    def __init__(self, latent: int, bottom: int | None = None, hidden: Sequence[int] = (100, 100)) -> None:
        super().__init__()
        self.latent = latent
        lower, upper = layers(latent, bottom)
        self.top = StandardNormal(upper)
        self.below = GaussianLayer(upper, lower, hidden)

    def forward(self, posterior: nn.Module) -> Chain:
        """Batch ``()``, event ``(latent,)``."""
        return Chain(self.top(posterior), self.below, self.latent, first_last=True)


class FlowPrior(nn.Module):
    """p(z): N(0, I) through masked autoregressive maps, learnt.

    Masked Autoregressive Flow for Density Estimation (Papamakarios et al., 2017); as a VAE's prior, Variational
    Lossy Autoencoder (Chen et al., 2017).
    """

    factorised = False

    def __init__(self, latent: int, transforms: int = 3, hidden: Sequence[int] = (64, 64)) -> None:
        super().__init__()
        self.flow = MaskedAutoregressiveFlow(
            whole("latent", latent), whole("prior.transforms", transforms), widths_of("prior.hidden", hidden)
        )

    def forward(self, posterior: nn.Module) -> Flow:
        """Batch ``()``, event ``(latent,)``."""
        return self.flow()


class Categorical(nn.Module):
    """P(z = e_m) over ``latent`` components, learnt: the discrete code of a mixture model."""

    factorised = False

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(whole("components", latent)))

    def forward(self, posterior: nn.Module | None) -> OneHotCategorical:
        """Batch ``()``, event ``(latent,)``: one-hot vectors."""
        with unvalidated():
            return OneHotCategorical(logits=self.logits)
