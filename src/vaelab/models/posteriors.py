"""Posteriors q(z|x): an encoder and the distribution that its outputs are the parameters of.

A posterior builds its own encoder, because it alone knows how many outputs it needs. Networks may compute in bfloat16
under autocast; their outputs are converted back to the precision of the images, so densities never lose any.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Independent
from torch.nn.functional import normalize

from vaelab.checks import flag, number, whole
from vaelab.errors import InputError
from vaelab.models.contracts import Network, Posterior
from vaelab.models.distributions import Chain, PointMass, diagonal_normal, normal_from_outputs
from vaelab.models.flows import Flow, MaskedAutoregressiveFlow
from vaelab.models.hierarchy import GaussianLayer, layer_sizes
from vaelab.models.networks import activation as activation_named
from vaelab.models.networks import check_widths


class GaussianPosterior(Posterior):
    """q(z|x) = N(m(x), diag(exp s(x))), with s the log variance.

    **References**
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013), appendix C.2.
    """

    is_product = True
    is_normal = True
    has_outputs = True

    def __init__(self, network: Network, latent: int) -> None:
        super().__init__()
        self.network = network.encoder(2 * whole("latent", latent))

    def forward(self, x: Tensor) -> Independent:
        return self.from_outputs(self.outputs(x))

    def outputs(self, x: Tensor) -> Tensor:
        """Means and log variances ``(B, 2 D)``."""
        return self.network(x).to(x.dtype)

    def from_outputs(self, outputs: Tensor) -> Independent:
        return normal_from_outputs(outputs)


class NoisyPosterior(Posterior):
    """q(z|x) = N(√D f(x) / ‖f(x)‖, σ²I), σ fixed: an auto-encoder with noise on latents of fixed length.

    Without the normalisation, f grows until the noise is negligible. With it, latents have about the length of those of
    N(0, I), and the rate is the same for every image: D (σ² - log σ²) / 2.

    **Arguments**
        sigma: σ.
        normalize: whether f(x) is normalised.
    """

    is_product = True
    is_normal = True

    def __init__(self, network: Network, latent: int, sigma: float = 0.3, normalize: bool = True) -> None:
        super().__init__()
        self.network = network.encoder(whole("latent", latent))
        self.sigma = number("posterior.sigma", sigma, above=True)
        self.normalize = flag("posterior.normalize", normalize)
        if normalize and latent == 1:
            raise InputError("one latent of fixed length has only a sign: take latent=2 or more for this model")

    def forward(self, x: Tensor) -> Independent:
        loc = self.network(x).to(x.dtype)
        if self.normalize:
            loc = math.sqrt(loc.shape[-1]) * normalize(loc, dim=-1)
        return diagonal_normal(loc, torch.full_like(loc, self.sigma))


class DiracPosterior(Posterior):
    """All mass at the point a(f(x)), with a the ``activation``: the latents of a plain auto-encoder."""

    has_density = False

    def __init__(self, network: Network, latent: int, activation: str = "identity") -> None:
        super().__init__()
        self.network = network.encoder(whole("latent", latent))
        self.activation = activation_named("posterior.activation", activation)

    def forward(self, x: Tensor) -> PointMass:
        return PointMass(self.activation(self.network(x).to(x.dtype)))


class ChainPosterior(Posterior):
    """q(z|x) = q(z₁|x) q(z₂|z₁) over z = (z₁, z₂): two stochastic layers, each Gaussian given the one below.

    **References**
        Importance Weighted Autoencoders (Burda et al., 2016), section 2.

    **Arguments**
        bottom: the size of z₁; None for two thirds of ``latent``.
        hidden: widths of the network of q(z₂|z₁).
    """

    has_exact_mean = False

    def __init__(
        self, network: Network, latent: int, bottom: int | None = None, hidden: Sequence[int] = (100, 100)
    ) -> None:
        super().__init__()
        self.latent = latent
        lower, upper = layer_sizes(latent, bottom)
        self.first = GaussianPosterior(network, lower)
        self.second = GaussianLayer(lower, upper, hidden)

    def forward(self, x: Tensor) -> Chain:
        return Chain(self.first(x), self.second, self.latent)


class FlowPosterior(Posterior):
    """q(z|x): N(0, I) through autoregressive affine maps whose coefficients depend on a vector h(x).

    Each map splits the latents in two parts (coupling), so a sample takes two passes through its network for any D.

    **References**
        Variational Inference with Normalizing Flows (Rezende and Mohamed, 2015).
        Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016).
        Density Estimation Using Real NVP (Dinh et al., 2017).

    **Arguments**
        transforms: the number of maps.
        hidden: widths of the network of each map.
        context: the size of h(x).
    """

    has_exact_mean = False
    has_outputs = True

    def __init__(
        self,
        network: Network,
        latent: int,
        transforms: int = 3,
        hidden: Sequence[int] = (64,),
        context: int = 64,
    ) -> None:
        super().__init__()
        context = whole("posterior.context", context)
        self.network = network.encoder(context)
        self.flow = MaskedAutoregressiveFlow(
            whole("latent", latent),
            whole("posterior.transforms", transforms),
            check_widths("posterior.hidden", hidden),
            context,
            passes=2,
        )

    def forward(self, x: Tensor) -> Flow:
        return self.from_outputs(self.outputs(x))

    def outputs(self, x: Tensor) -> Tensor:
        """h(x) ``(B, context)``."""
        return self.network(x).to(x.dtype)

    def from_outputs(self, outputs: Tensor) -> Flow:
        return self.flow(outputs)
