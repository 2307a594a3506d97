"""Priors p(z): modules that are called with the posterior and return a distribution."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Independent, OneHotCategorical

from vaelab.checks import one_of, whole
from vaelab.errors import InputError
from vaelab.models.contracts import Posterior, Prior
from vaelab.models.distributions import Chain, Mixture, diagonal_normal, unvalidated
from vaelab.models.flows import Flow, MaskedAutoregressiveFlow
from vaelab.models.hierarchy import GaussianLayer, layer_sizes
from vaelab.models.layers import Style, check_widths


class StandardNormal(Prior):
    """p(z) = N(0, I)."""

    is_product = True
    is_standard_normal = True
    loc: Tensor
    scale: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__()
        # Buffers that are not persistent: they move with the module and are in no checkpoint.
        self.register_buffer("loc", torch.zeros(whole("latent", latent)), persistent=False)
        self.register_buffer("scale", torch.ones(latent), persistent=False)

    def forward(self, posterior: Posterior) -> Independent:
        return diagonal_normal(self.loc, self.scale)


class GaussianMixture(Prior):
    """p(z) = sum_k w_k N(m_k, diag(s_k²)); weights, means and scales are learnt.

    **References**
        Approximate Inference for Deep Latent Gaussian Mixtures (Nalisnick et al., 2016).
    """

    def __init__(self, latent: int, components: int = 100) -> None:
        super().__init__()
        components = whole("prior.components", components)
        self.loc = nn.Parameter(torch.randn(components, whole("latent", latent)))
        self.log_scale = nn.Parameter(torch.zeros(components, latent))
        self.log_weights = nn.Parameter(torch.zeros(components))

    def forward(self, posterior: Posterior) -> Mixture:
        return Mixture(self.log_weights, diagonal_normal(self.loc, self.log_scale.exp()))


class VampPrior(Prior):
    """p(z) = 1/K sum_k q(z|u_k): the posteriors of K learnt pseudo-inputs u_k.

    A sigmoid keeps the pseudo-inputs in [0, 1].

    **References**
        VAE with a VampPrior (Tomczak and Welling, 2018).

    **Arguments**
        image: the shape ``(C, H, W)``.
        components: K.
        start: what the pseudo-inputs begin as: training ``images``, or ``random``: sigmoids of N(0, 1).
        latent: D, to be checked against the posterior's; None: not checked.
    """

    MARGIN = 0.02  # a pixel of 0 or 1 would have an infinite logit
    log_weights: Tensor

    def __init__(
        self, image: Sequence[int], components: int = 500, start: str = "images", latent: int | None = None
    ) -> None:
        super().__init__()
        components = whole("prior.components", components)
        self.starts_from_images = one_of("prior.start", start, ("images", "random")) == "images"
        self.latent = latent
        self.logits = nn.Parameter(torch.randn(components, *image))
        self.register_buffer("log_weights", torch.zeros(components), persistent=False)

    def images(self) -> Tensor:
        """The pseudo-inputs ``(K, C, H, W)`` in [0, 1]."""
        return torch.sigmoid(self.logits)

    def start_from_images(self, images: Tensor, generator: Generator) -> None:
        """Start with random training images, all different where there are enough of them; not if ``start=random``."""
        if not self.starts_from_images:
            return
        if images.shape[1:] != self.logits.shape[1:]:
            raise InputError(
                f"prior.image={list(self.logits.shape[1:])} is not the images' shape {list(images.shape[1:])}"
            )
        rounds = -(-len(self.logits) // len(images))
        chosen = torch.cat([torch.randperm(len(images), generator=generator) for _ in range(rounds)])
        start = images[chosen[: len(self.logits)]].clamp(self.MARGIN, 1 - self.MARGIN)
        with torch.no_grad():
            self.logits.copy_(torch.logit(start))

    def forward(self, posterior: Posterior) -> Mixture:
        components = posterior(self.images())
        if self.latent not in (None, components.event_shape[0]):
            raise InputError(
                f"{type(self).__name__} has {self.latent} latents, and the posterior that it is made of has "
                f"{components.event_shape[0]}: on top of a chain it needs posterior=chain with posterior.first=top"
            )
        return Mixture(self.log_weights, components)


class ChainPrior(Prior):
    """p(z) = p(z₂) p(z₁|z₂) over z = (z₁, z₂): p(z₂) is any prior, and p(z₁|z₂) is Gaussian.

    **References**
        Importance Weighted Autoencoders (Burda et al., 2016), section 2: with p(z₂) = N(0, I).
        VAE with a VampPrior (Tomczak and Welling, 2018), section 4: with a VampPrior.

    **Arguments**
        bottom: the size of z₁; None for two thirds of ``latent``.
        hidden: widths of the network of p(z₁|z₂).
        top: makes p(z₂); called with ``latent``, the size of z₂.
        gated, init: of the network of p(z₁|z₂), whose activation is tanh where it is not gated.
        clamp: the smallest and the largest log variance of p(z₁|z₂); None for -30 and 10.

    **Raises**
        InputError: ``top`` makes a prior of discrete latents.
    """

    def __init__(
        self,
        latent: int,
        bottom: int | None = None,
        hidden: Sequence[int] = (100, 100),
        top: Callable[..., Prior] = StandardNormal,
        gated: bool = False,
        init: str = "torch",
        clamp: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.latent = latent
        lower, upper = layer_sizes(latent, bottom)
        self.top = top(latent=upper)
        if self.top.is_discrete:
            raise InputError(f"prior.top must be a prior of continuous latents, got {type(self.top).__name__}")
        self.below = GaussianLayer(upper, lower, Style("tanh", gated, init, "prior"), hidden, clamp)

    def images(self) -> Tensor | None:
        return self.top.images()

    def forward(self, posterior: Posterior) -> Chain:
        return Chain(self.top(posterior.top), self.below, self.latent, first_last=True)


class FlowPrior(Prior):
    """p(z): N(0, I) through masked autoregressive maps, which are learnt.

    **References**
        Masked Autoregressive Flow for Density Estimation (Papamakarios et al., 2017).
        Variational Lossy Autoencoder (Chen et al., 2017), where such a flow is a VAE's prior.
    """

    def __init__(self, latent: int, transforms: int = 3, hidden: Sequence[int] = (64, 64)) -> None:
        super().__init__()
        self.flow = MaskedAutoregressiveFlow(
            whole("latent", latent), whole("prior.transforms", transforms), check_widths("prior.hidden", hidden)
        )

    def forward(self, posterior: Posterior) -> Flow:
        return self.flow()


class CategoricalPrior(Prior):
    """P(z = e_m) over ``latent`` one-hot vectors, learnt: the discrete latents of a mixture model."""

    is_discrete = True

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(whole("components", latent)))

    def forward(self, posterior: Posterior) -> OneHotCategorical:
        """Batch ``()``, event ``(latent,)``: one-hot vectors."""
        with unvalidated():
            return OneHotCategorical(logits=self.logits)
