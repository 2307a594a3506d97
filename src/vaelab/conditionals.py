"""Modules that map a tensor to a distribution: the posterior q(z|x) and the likelihood p(x|z).

A posterior builds its own encoder, since it alone knows how many outputs it needs; a likelihood its decoder.
Networks may compute in bfloat16 under autocast; what they put out is brought back to the precision of what
they were given, so densities are never computed in less.

A posterior says of itself whether it has a density at all (``has_density``), and whether that is a product over
latents (``factorised``), for which there is a KL term for each.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import ContinuousBernoulli, Distribution, Independent, Laplace, Normal
from torch.nn.functional import normalize

from vaelab.checks import flag, number, one_of, whole
from vaelab.distributions import Chain, DiscretizedLogistic, JointBernoulli, PointMass, diagonal_normal, joint
from vaelab.flows import Flow, MaskedAutoregressiveFlow
from vaelab.networks import activation_of, mlp, widths_of

Encoder = Callable[[int], nn.Module]  # outputs -> module (B, C, H, W) -> (B, outputs)
Decoder = Callable[[int, int], nn.Module]  # latent, channels -> module (..., latent) -> (..., channels, H, W)

IMAGE_DIMS = 3
# A standard deviation of 3e-7. Where no KL term holds it up, as at β = 0, the variance falls until it underflows, and
# then 0 times an infinite rate is no number.
LEAST_LOG_VARIANCE = -30.0


# ---- q(z|x) ----------------------------------------------------------------------------------------------------


def _normal_of(outputs: Tensor) -> Independent:
    """N(m, diag(exp s)) of a network's outputs (m, s)."""
    loc, log_variance = outputs.chunk(2, dim=-1)
    return diagonal_normal(loc, torch.exp(0.5 * log_variance.clamp_min(LEAST_LOG_VARIANCE)))


class GaussianPosterior(nn.Module):
    """q(z|x) = N(m(x), diag(exp s(x))), with s the log variance.

    Auto-Encoding Variational Bayes (Kingma and Welling, 2013), appendix C.2.
    """

    has_density = True
    factorised = True

    def __init__(self, network: Encoder, latent: int) -> None:
        super().__init__()
        self.network = network(2 * whole("latent", latent))

    def forward(self, x: Tensor) -> Independent:
        """``x`` ``(B, C, H, W)`` -> batch ``(B,)``, event ``(latent,)``."""
        return self.of(self.network(x).to(x.dtype))

    def of(self, outputs: Tensor) -> Independent:
        """The posterior that the network's outputs ``(B, 2 latent)``, means and log variances, stand for."""
        return _normal_of(outputs)


class NoisyPosterior(nn.Module):
    """q(z|x) = N(√D f(x) / ‖f(x)‖, σ²I), σ fixed: an auto-encoder with noise on a code of fixed length.

    Without the normalisation (``normalize`` false) f grows until the noise is nothing beside it. With it, codes lie
    where those of N(0, I) do, and the rate is the same for every image: D (σ² - log σ²) / 2.
    """

    has_density = True
    factorised = True

    def __init__(self, network: Encoder, latent: int, sigma: float = 0.3, normalize: bool = True) -> None:
        super().__init__()
        self.network = network(whole("latent", latent))
        self.sigma = number("posterior.sigma", sigma, above=True)
        self.normalize = flag("posterior.normalize", normalize)
        if normalize and latent == 1:
            raise ValueError(
                "a code of one latent and fixed length is but a sign: take latent=2 or more for this model"
            )

    def forward(self, x: Tensor) -> Independent:
        """``x`` ``(B, C, H, W)`` -> batch ``(B,)``, event ``(latent,)``."""
        loc = self.network(x).to(x.dtype)
        if self.normalize:
            loc = math.sqrt(loc.shape[-1]) * normalize(loc, dim=-1)
        return diagonal_normal(loc, torch.full_like(loc, self.sigma))


class DiracPosterior(nn.Module):
    """The code of a plain auto-encoder: all mass at one point, ``activation`` applied to it."""

    has_density = False
    factorised = False

    def __init__(self, network: Encoder, latent: int, activation: str = "identity") -> None:
        super().__init__()
        self.network = network(whole("latent", latent))
        self.activation = activation_of("posterior.activation", activation)

    def forward(self, x: Tensor) -> PointMass:
        """``x`` ``(B, C, H, W)`` -> batch ``(B,)``, event ``(latent,)``."""
        return PointMass(self.activation(self.network(x).to(x.dtype)))


class GaussianLayer(nn.Module):
    """p(b|a) = N(m(a), diag(exp s(a))) between two layers of codes."""

    def __init__(self, inputs: int, outputs: int, hidden: Sequence[int], activation: str = "tanh") -> None:
        super().__init__()
        self.network = mlp([inputs, *widths_of("hidden", hidden), 2 * outputs], activation)

    def forward(self, a: Tensor) -> Independent:
        """``a`` ``(..., inputs)`` -> batch ``(...)``, event ``(outputs,)``."""
        return _normal_of(self.network(a).to(a.dtype))


def layers(latent: int, bottom: int | None) -> tuple[int, int]:
    """How many of ``latent`` codes are in the lower and the upper layer: ``bottom``, or two thirds, and the rest."""
    if whole("latent", latent) < 2:
        raise ValueError(f"two stochastic layers need at least 2 latents, got latent={latent}")
    bottom = min(-(-2 * latent // 3), latent - 1) if bottom is None else whole("bottom", bottom)
    if bottom >= latent:
        raise ValueError(f"bottom={bottom} leaves none of latent={latent} for the upper layer: take a smaller one")
    return bottom, latent - bottom


class ChainPosterior(nn.Module):
    """q(z|x) = q(z₁|x) q(z₂|z₁) over z = (z₁, z₂): two stochastic layers, each Gaussian given the one below.

    Importance Weighted Autoencoders (Burda et al., 2016), section 2. ``bottom`` is the size of z₁.
    """

    has_density = True
    factorised = False

    def __init__(
        self, network: Encoder, latent: int, bottom: int | None = None, hidden: Sequence[int] = (100, 100)
    ) -> None:
        super().__init__()
        self.latent = latent
        lower, upper = layers(latent, bottom)
        self.first = GaussianPosterior(network, lower)
        self.second = GaussianLayer(lower, upper, hidden)

    def forward(self, x: Tensor) -> Chain:
        """``x`` ``(B, C, H, W)`` -> batch ``(B,)``, event ``(latent,)``."""
        return Chain(self.first(x), self.second, self.latent)


class FlowPosterior(nn.Module):
    """q(z|x): N(0, I) through autoregressive affine maps whose coefficients depend on a ``context`` h(x).

    Variational Inference with Normalizing Flows (Rezende and Mohamed, 2015); Improving Variational Inference with
    Inverse Autoregressive Flow (Kingma et al., 2016). Each map splits the code in two (coupling), so that drawing
    takes two passes through its network whatever the latent size: Density Estimation Using Real NVP (Dinh et al.,
    2017).
    """

    has_density = True
    factorised = False

    def __init__(
        self,
        network: Encoder,
        latent: int,
        transforms: int = 3,
        hidden: Sequence[int] = (64,),
        context: int = 64,
    ) -> None:
        super().__init__()
        context = whole("posterior.context", context)
        self.network = network(context)
        self.flow = MaskedAutoregressiveFlow(
            whole("latent", latent),
            whole("posterior.transforms", transforms),
            widths_of("posterior.hidden", hidden),
            context,
            passes=2,
        )

    def forward(self, x: Tensor) -> Flow:
        """``x`` ``(B, C, H, W)`` -> batch ``(B,)``, event ``(latent,)``."""
        return self.of(self.network(x).to(x.dtype))

    def of(self, outputs: Tensor) -> Flow:
        """The posterior that the network's outputs ``(B, context)`` stand for."""
        return self.flow(outputs)


# ---- p(x|z) ----------------------------------------------------------------------------------------------------


def _logit(images: Tensor) -> Tensor:
    return torch.logit(images.clamp(0.02, 0.98))


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
        return JointBernoulli(self.network(z).to(z.dtype), IMAGE_DIMS)

    def output_at(self, images: Tensor) -> Tensor:
        """What the network has to put out for a mean of about ``images``."""
        return _logit(images)


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

    def output_at(self, images: Tensor) -> Tensor:
        """What the network has to put out for a mean of about ``images``."""
        return _logit(images)


class _LocationScaleLikelihood(nn.Module):
    """p(x|z): every pixel with a location f(z) and a scale, both from the decoder if asked for.

    Args:
        network: the decoder; it gets a second channel where the scale is ``per_pixel``.
        latent: size of the code.
        scale: of a pixel, in grey values from 0 to 1; where it is learnt, its start.
        learnt: False (fixed), True (one for all pixels), or ``per_pixel``: ``floor`` + ``scale`` exp(output).
        floor: the smallest scale per pixel; without one, the density of pixels that never change has no bound.
        mean: what the location passes through: sigmoid keeps it in [0, 1], identity leaves it.
    """

    option = "scale"  # as it is called on the command line
    family: Callable[..., Distribution]  # location, scale -> distribution of a pixel

    def __init__(
        self,
        network: Decoder,
        latent: int,
        scale: float = 0.1,
        learnt: bool | str = True,
        floor: float = 0.01,
        mean: str = "sigmoid",
    ) -> None:
        super().__init__()
        if not isinstance(learnt, bool) and learnt != "per_pixel":
            raise ValueError(f"likelihood.learnt must be true or false, or per_pixel, got {learnt!r}")
        self.per_pixel = learnt == "per_pixel"
        self.network = network(whole("latent", latent), 2 if self.per_pixel else 1)
        self.mean = activation_of("likelihood.mean", one_of("likelihood.mean", mean, ("sigmoid", "identity")))
        self.floor = number("likelihood.floor", floor)
        log_scale = torch.tensor(math.log(number(f"likelihood.{self.option}", scale, above=True)))
        if learnt is True:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    def forward(self, z: Tensor) -> Independent:
        """``z`` ``(..., latent)`` -> batch ``(...)``, event ``(1, H, W)``."""
        outputs = self.network(z).to(z.dtype)
        if self.per_pixel:
            outputs, log_scale = outputs.chunk(2, dim=-IMAGE_DIMS)
            scale = self.floor + (self.log_scale + log_scale).exp()
        else:
            scale = self.log_scale.exp()
        return joint(self.family(self.mean(outputs), scale, validate_args=False), IMAGE_DIMS)

    def output_at(self, images: Tensor) -> Tensor:
        """What the network has to put out for a mean of about ``images``."""
        return images if isinstance(self.mean, nn.Identity) else _logit(images)


class GaussianLikelihood(_LocationScaleLikelihood):
    """p(x|z) = N(f(z), σ²I): log p = -sum_i [(x_i - f_i)² / 2σ² + log σ√2π].

    With ``learnt`` true, one σ for all pixels starts at ``sigma`` and is trained; then the second term no longer is
    a constant. With ``per_pixel``, σ is the decoder's second output, at least ``floor``.
    """

    option = "sigma"
    family = Normal

    def __init__(
        self,
        network: Decoder,
        latent: int,
        sigma: float = 1.0,
        learnt: bool | str = False,
        floor: float = 0.01,
        mean: str = "sigmoid",
    ) -> None:
        super().__init__(network, latent, sigma, learnt, floor, mean)


class LaplaceLikelihood(_LocationScaleLikelihood):
    """p(x|z): log p = -sum_i [|x_i - f_i| / b + log 2b], an absolute error; ``scale`` is b."""

    family = Laplace


class DiscretizedLogisticLikelihood(_LocationScaleLikelihood):
    """P(x|z) over the 256 grey values that an 8-bit pixel has: probabilities, whose nats no density's can equal.

    Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016).
    """

    family = DiscretizedLogistic
