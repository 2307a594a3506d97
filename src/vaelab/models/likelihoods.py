"""Likelihoods p(x|z): a decoder and the distribution that its outputs are the parameters of.

A likelihood builds its own decoder, because it alone knows how many parameters a pixel needs. Networks may compute in
bfloat16 under autocast; their outputs are converted back to the precision of the latents, so densities never lose any.
"""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Distribution, Independent, Laplace, Normal

from vaelab.checks import image_shape, number, one_of, whole
from vaelab.errors import InputError
from vaelab.models.bernoulli import JointBernoulli
from vaelab.models.continuous_bernoulli import ContinuousBernoulli
from vaelab.models.contracts import Likelihood, Network
from vaelab.models.discretized_logistic import DiscretizedLogistic
from vaelab.models.distributions import joint
from vaelab.models.layers import activation
from vaelab.models.logistic_mixture import DiscretizedLogisticMixture

IMAGE_DIMS = 3  # C, H, W


BIAS_MARGIN = 1e-3  # a pixel that is black in all training images would have an infinite logit


def _logit(images: Tensor, margin: float = 0.02) -> Tensor:
    return torch.logit(images.clamp(margin, 1 - margin))


class _DecoderLikelihood(Likelihood):
    """A decoder, and the value at which its outputs start.

    **Arguments**
        network: builds the decoder.
        latent: D.
        parameters: how many the distribution has for each value of the image; the first is its location.
        output_bias: ``network`` leaves the decoder as it is made. ``mean`` adds to the location's outputs, for all z,
            those at which the mean is that of the training images: it is where the output bias begins in Importance
            Weighted Autoencoders (Burda et al., 2016).
    """

    offset: Tensor

    def __init__(self, network: Network, latent: int, parameters: int = 1, output_bias: str = "network") -> None:
        super().__init__()
        self.network = network.decoder(whole("latent", latent), parameters)
        bias = one_of("likelihood.output_bias", output_bias, ("network", "mean"))
        self.starts_from_images = bias == "mean"
        if self.starts_from_images:
            with torch.no_grad():
                self.register_buffer("offset", torch.zeros_like(self.network(torch.zeros(latent))))

    def outputs(self, z: Tensor) -> Tensor:
        """``(..., latent)`` -> ``(..., parameters · C, H, W)``, in the precision of ``z``."""
        outputs = self.network(z).to(z.dtype)
        return outputs + self.offset if self.starts_from_images else outputs

    def start_from_images(self, images: Tensor, generator: Generator) -> None:
        """Let the outputs begin at the mean of training images ``(N, C, H, W)``, where ``output_bias`` is ``mean``."""
        if self.starts_from_images:
            self.offset[: images.shape[1]] = self.location_at(images.mean(0), BIAS_MARGIN)

    def outputs_at(self, images: Tensor) -> Tensor:
        return self.location_at(images)

    def location_at(self, images: Tensor, margin: float = 0.02) -> Tensor:
        """`outputs_at`, with pixels at least ``margin`` from 0 and 1."""
        return _logit(images, margin)


class _LogitLikelihood(_DecoderLikelihood):
    """One output per pixel, the logit of its mean (Bernoulli) or of its parameter (continuous Bernoulli)."""

    is_cheap_in_pairs = True

    def __init__(self, network: Network, latent: int, output_bias: str = "network") -> None:
        super().__init__(network, latent, 1, output_bias)


class BernoulliLikelihood(_LogitLikelihood):
    """p(x|z) = prod_i p_i^{x_i} (1 - p_i)^{1 - x_i}; the decoder's output is the logit of p.

    On binary images this is a likelihood. On grey pixels it is the usual cross-entropy, which is not the likelihood of
    any distribution on [0, 1]: such nats are not comparable with those of binary images.
    """

    def forward(self, z: Tensor) -> Independent:
        return JointBernoulli(self.outputs(z), IMAGE_DIMS)


class ContinuousBernoulliLikelihood(_LogitLikelihood):
    """p(x|z) = prod_i C(p_i) p_i^{x_i} (1 - p_i)^{1 - x_i}: the Bernoulli normalised to a density on [0, 1].

    The decoder's output is the logit of p_i. It may have any size: no probability is computed.

    **References**
        The continuous Bernoulli: fixing a pervasive error in variational autoencoders (Loaiza-Ganem and Cunningham,
        2019).
    """

    def forward(self, z: Tensor) -> Independent:
        return joint(ContinuousBernoulli(logits=self.outputs(z), validate_args=False), IMAGE_DIMS)


class _LocationScaleLikelihood(_DecoderLikelihood):
    """Each pixel has a location f(z) and a scale; the scale is fixed, learnt, or a second output of the decoder.

    **Arguments**
        network: builds the decoder, with a second block of channels where the scale is ``per_pixel``.
        latent: D.
        scale: of a pixel, in grey values from 0 to 1; where it is learnt, its first value.
        learnt: False (fixed), True (one for all pixels), or ``per_pixel``: ``floor`` + ``scale`` exp(output).
        floor: the smallest scale per pixel; without it the density of pixels that never change has no upper bound.
        mean: the activation of the location: sigmoid (in [0, 1]) or identity.
        output_bias: see `_DecoderLikelihood`.
    """

    option: ClassVar[str] = "scale"  # the name of the scale on the command line
    family: ClassVar[Callable[..., Distribution]]  # location, scale -> distribution of a pixel
    log_scale: Tensor

    def __init__(
        self,
        network: Network,
        latent: int,
        scale: float = 0.1,
        learnt: bool | str = True,
        floor: float = 0.01,
        mean: str = "sigmoid",
        output_bias: str = "network",
    ) -> None:
        if not isinstance(learnt, bool) and learnt != "per_pixel":
            raise InputError(f"likelihood.learnt must be true or false, or per_pixel, got {learnt!r}")
        per_pixel = learnt == "per_pixel"
        super().__init__(network, latent, 2 if per_pixel else 1, output_bias)
        self.per_pixel = per_pixel
        self.mean = activation("likelihood.mean", one_of("likelihood.mean", mean, ("sigmoid", "identity")))
        self.floor = number("likelihood.floor", floor)
        log_scale = torch.tensor(math.log(number(f"likelihood.{self.option}", scale, above=True)))
        if learnt is True:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    def forward(self, z: Tensor) -> Independent:
        outputs = self.outputs(z)
        if self.per_pixel:
            outputs, log_scale = outputs.chunk(2, dim=-IMAGE_DIMS)
            scale = self.floor + (self.log_scale + log_scale).exp()
        else:
            scale = self.log_scale.exp()
        return joint(type(self).family(self.mean(outputs), scale, validate_args=False), IMAGE_DIMS)

    def location_at(self, images: Tensor, margin: float = 0.02) -> Tensor:
        return images if isinstance(self.mean, nn.Identity) else super().location_at(images, margin)


class GaussianLikelihood(_LocationScaleLikelihood):
    """p(x|z) = N(f(z), σ²I): log p = -sum_i [(x_i - f_i)² / 2σ² + log σ√2π].

    With ``learnt`` true, one σ for all pixels starts at ``sigma`` and is trained; then the second term is no constant.
    With ``per_pixel``, σ is the decoder's second output, at least ``floor``.
    """

    option = "sigma"
    family = Normal
    is_cheap_in_pairs = True

    def __init__(
        self,
        network: Network,
        latent: int,
        sigma: float = 1.0,
        learnt: bool | str = False,
        floor: float = 0.01,
        mean: str = "sigmoid",
        output_bias: str = "network",
    ) -> None:
        super().__init__(network, latent, sigma, learnt, floor, mean, output_bias)

    @property
    def pixel_variance(self) -> float | None:
        return None if self.per_pixel else float(self.log_scale.detach().exp().square())

    def set_pixel_variance(self, variance: Tensor) -> None:
        with torch.no_grad():
            self.log_scale.copy_(0.5 * variance.log())


class LaplaceLikelihood(_LocationScaleLikelihood):
    """p(x|z): log p = -sum_i [|x_i - f_i| / b + log 2b], an absolute error; ``scale`` is b."""

    family = Laplace


class DiscretizedLogisticLikelihood(_LocationScaleLikelihood):
    """P(x|z) over the 256 grey values of an 8-bit pixel: probabilities, not comparable with a density.

    **References**
        Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016).
    """

    family = DiscretizedLogistic
    levels = 256


class LogisticMixtureLikelihood(Likelihood):
    """P(x|z) over the 256 levels of every value, with dependent channels: a mixture of discretized logistics per pixel.

    Of one channel it is a mixture of logistics. Of several, the channels after the first are linear in those before.

    **References**
        PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and Other Modifications
        (Salimans et al., 2017), section 2.

    **Arguments**
        network: builds the decoder. Its outputs for each pixel are M logits, then M C locations, M C logarithms of
            scales and M C (C-1)/2 slopes, as in the reference, in units in which x goes from -1 to 1. Outputs come in
            multiples of C, and up to C - 1 of them are unused. Where they are 0, as they nearly are at the start, the
            components are spread evenly over the levels; with equal ones the latents are used later.
        latent: D.
        image: the shape ``(C, H, W)``.
        components: M.
    """

    levels = 256
    has_exact_mean = False
    # Of the logarithm of a scale. The lower one is the reference's; a narrower distribution is one level wide anyway.
    # The upper one is beyond all that makes a difference, and keeps gradients finite.
    LOG_SCALES = (-7.0, 30.0)
    centres: Tensor

    def __init__(self, network: Network, latent: int, image: Sequence[int], components: int = 10) -> None:
        super().__init__()
        channels = image_shape("likelihood.image", image)[0]
        self.components = whole("likelihood.components", components)
        self.sizes = [self.components * count for count in (1, channels, channels, channels * (channels - 1) // 2)]
        self.network = network.decoder(whole("latent", latent), -(-sum(self.sizes) // channels))
        centres = (torch.arange(self.components) + 0.5) / self.components
        self.register_buffer("centres", centres.view(-1, 1, 1, 1), persistent=False)

    def forward(self, z: Tensor) -> DiscretizedLogisticMixture:
        outputs = self.network(z).to(z.dtype).narrow(-IMAGE_DIMS, 0, sum(self.sizes))
        logits, *parts = outputs.split(self.sizes, -IMAGE_DIMS)
        loc, log_scale, slopes = (
            part.unflatten(-IMAGE_DIMS, (self.components, part.shape[-IMAGE_DIMS] // self.components)) for part in parts
        )
        scale = 0.5 * (log_scale - math.log(self.components)).clamp(*self.LOG_SCALES).exp()
        return DiscretizedLogisticMixture(logits, self.centres + 0.5 * loc, scale, slopes.tanh(), self.levels)
