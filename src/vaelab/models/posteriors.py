"""Posteriors q(z|x): an encoder and the distribution that its outputs are the parameters of.

A posterior builds its own encoder, because it alone knows how many outputs it needs. Networks may compute in bfloat16
under autocast; their outputs are converted back to the precision of the images, so densities never lose any.
"""

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent
from torch.nn.functional import normalize

from vaelab.checks import flag, interval, number, one_of, whole
from vaelab.errors import InputError
from vaelab.models.contracts import Network, Posterior
from vaelab.models.distributions import Chain, PointMass, diagonal_normal, normal_from_outputs
from vaelab.models.flows import Flow, MaskedAutoregressiveFlow
from vaelab.models.hierarchy import GaussianLayer, layer_sizes
from vaelab.models.layers import Style, check_widths
from vaelab.models.layers import activation as activation_named


class GaussianPosterior(Posterior):
    """q(z|x) = N(m(x), diag(exp s(x))), with s the log variance.

    **References**
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013), appendix C.2.

    **Arguments**
        clamp: the smallest and the largest s; None for -30 and 10.
    """

    is_product = True
    is_normal = True
    has_outputs = True

    def __init__(self, network: Network, latent: int, clamp: Sequence[float] | None = None) -> None:
        super().__init__()
        self.network = network.encoder(2 * whole("latent", latent))
        self.clamp = None if clamp is None else interval("posterior.clamp", clamp)

    def forward(self, x: Tensor) -> Independent:
        return self.from_outputs(self.outputs(x))

    def outputs(self, x: Tensor) -> Tensor:
        """Means and log variances ``(B, 2 D)``."""
        return self.network(x).to(x.dtype)

    def from_outputs(self, outputs: Tensor) -> Independent:
        return normal_from_outputs(outputs, self.clamp)


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


class _UnknownTop(Posterior):
    """q(z₂|x) = E_{q(z₁|x)} q(z₂|z₁), whose density is unknown."""

    def forward(self, x: Tensor) -> Distribution:
        raise InputError(
            "a prior made of posteriors needs the density q(z2|x) of the top layer, and q(z1|x) q(z2|z1) does not give "
            "it: take posterior.first=top"
        )


class ChainPosterior(Posterior):
    """q(z|x) over two stochastic layers z = (z₁, z₂), of which z₁ is next to the image; each is Gaussian.

        first=bottom:  q(z₁|x) q(z₂|z₁),  or with sees_x  q(z₁|x) q(z₂|x, z₁)
        first=top:     q(z₂|x) q(z₁|z₂),  or with sees_x  q(z₂|x) q(z₁|x, z₂)

    **References**
        Importance Weighted Autoencoders (Burda et al., 2016), section 2: the first of these.
        VAE with a VampPrior (Tomczak and Welling, 2018), section 4: the last.

    **Arguments**
        bottom: the size of z₁; None for two thirds of ``latent``.
        first: the layer that is drawn first, ``bottom`` or ``top``.
        sees_x: whether the layer that is drawn second depends on x too, by an encoder of its own.
        context: the number of that encoder's outputs.
        hidden: widths of the network of the layer that is drawn second.
        gated, init: of that network, whose activation is tanh where it is not gated.
        clamp: the smallest and the largest log variance in both; None for -30 and 10.
    """

    has_exact_mean = False

    def __init__(
        self,
        network: Network,
        latent: int,
        bottom: int | None = None,
        hidden: Sequence[int] = (100, 100),
        first: str = "bottom",
        sees_x: bool = False,
        context: int = 64,
        gated: bool = False,
        init: str = "torch",
        clamp: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.latent = latent
        self.layers = layer_sizes(latent, bottom)
        self.from_top = one_of("posterior.first", first, ("bottom", "top")) == "top"
        sizes = self.layers[::-1] if self.from_top else self.layers
        self.first = GaussianPosterior(network, sizes[0], clamp)
        self.context = (
            network.encoder(whole("posterior.context", context)) if flag("posterior.sees_x", sees_x) else None
        )
        inputs = sizes[0] + (context if sees_x else 0)
        self.second = GaussianLayer(inputs, sizes[1], Style("tanh", gated, init, "posterior"), hidden, clamp)

    def forward(self, x: Tensor) -> Chain:
        h = None if self.context is None else self.context(x).to(x.dtype)
        second = partial(self.second, context=h)
        return Chain(self.first(x), second, self.latent, self.from_top, is_markov=h is None)

    def networks(self) -> list[nn.Module]:
        return [] if self.context is None else [self.context]

    @property
    def top(self) -> Posterior:
        return self.first if self.from_top else _UnknownTop()


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
