"""Models composed of a posterior, a likelihood and a prior: the VAE, and the VAE conditioned on labels.

    q = posterior(x);  p = prior(posterior);  z = q.rsample((K,));  likelihood(z) is p(x|z)

Shapes: ``B`` images, ``K`` samples per image, ``D`` latents. Densities are in nats per image.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import one_hot

from vaelab.checks import whole
from vaelab.errors import InputError
from vaelab.models.contracts import Likelihood, Model, Piece, Posterior, Prior
from vaelab.models.inference import Inference


def check_piece(model: Model, piece: object, contract: type[Piece], usual: str) -> None:
    """Raise an InputError where ``piece`` of ``model`` does not derive from ``contract``, or is none.

    **Arguments**
        usual: the group's usual member, for the message.
    """
    if isinstance(piece, contract):
        if "_parameters" not in vars(piece):  # set by torch; without it every later use of the piece fails
            raise InputError(f"{type(piece).__name__}.__init__ must call super().__init__() first")
        return
    if isinstance(piece, nn.Module):
        raise InputError(f"{type(piece).__name__} must derive from vaelab.models.contracts.{contract.__name__}")
    group = contract.__name__.lower()
    raise InputError(f"{group}=none leaves {type(model).__name__} without a {group}: take {group}={usual}")


def check_decoder_is_free(model: Model, likelihood: Likelihood) -> None:
    """Raise an InputError where ``likelihood`` sets its first outputs itself, in a ``model`` that sets the decoder."""
    if likelihood.starts_from_images:
        raise InputError(
            f"{type(model).__name__} starts its decoder from the training images: leave likelihood.output_bias=mean out"
        )


class LatentVariableModel(Model):
    """p(x, z) = p(x|z) p(z) with an approximate posterior q(z|x).

    **References**
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013).

    **Arguments**
        posterior, likelihood, prior: the three pieces.
        visible: how many latents, the first ones, the image depends on; None for all. In a hierarchy
            p(z₂) p(z₁|z₂) p(x|z₁) they are z₁.

    **Raises**
        InputError: a piece is missing or of the wrong kind, or the prior is one of discrete latents.
    """

    def __init__(self, posterior: Posterior, likelihood: Likelihood, prior: Prior, visible: int | None = None) -> None:
        super().__init__()
        check_piece(self, posterior, Posterior, "gaussian")
        check_piece(self, likelihood, Likelihood, "bernoulli")
        check_piece(self, prior, Prior, "normal")
        if prior.is_discrete:
            raise InputError(
                f"{type(prior).__name__} is a prior of discrete latents (prior=categorical is for model=mixture): "
                "take prior=normal"
            )
        self.posterior = posterior
        self.likelihood = likelihood
        self.prior = prior
        self.visible = None if visible is None else whole("model.visible", visible)

    def forward(self, x: Tensor, samples: int = 1) -> Inference:
        q = self.encode(x)
        z = q.rsample((samples,))
        return Inference(x, z, q, self.prior_distribution(), self.decode(z))

    def encode(self, x: Tensor) -> Distribution:
        return self.posterior(self.encoder_input(x))

    def decode(self, z: Tensor) -> Distribution:
        return self.likelihood(z if self.visible is None else z[..., : self.visible])

    def reconstruct(self, q: Distribution) -> Tensor:
        return self.decode(q.mean).mean


class ConditionalModel(LatentVariableModel):
    """p(x, z|y) = p(x|z, y) p(z) with q(z|x, y): images given their labels y.

    The decoder gets the latents and the label as a one-hot vector. The encoder gets the sum of the image and a learnt
    image for the label. In a fully connected first layer that is the same as a one-hot vector beside the pixels, and it
    is possible for convolutions too.

    **References**
        Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014).
        Learning Structured Output Representation using Deep Conditional Generative Models (Sohn et al., 2015).

    **Arguments**
        likelihood: a function that makes the likelihood, called with ``latent`` = D + ``classes``.
        latent: the number of latents.
        classes: how many labels there are.
        image: the shape ``(C, H, W)``.
    """

    def __init__(
        self,
        posterior: Posterior,
        likelihood: Callable[..., Likelihood],
        prior: Prior,
        latent: int,
        classes: int,
        image: Sequence[int],
    ) -> None:
        classes = whole("model.classes", classes)
        super().__init__(posterior, likelihood(latent=whole("latent", latent) + classes), prior)
        self.classes = classes
        self.label_images = nn.Parameter(0.1 * torch.randn(classes, *image))
        self._labels: Tensor | None = None

    def given(self, labels: Tensor) -> "ConditionalModel":
        """A view of this model, with the same weights, for images with ``labels`` ``(B,)``."""
        view = copy.copy(self)
        view._labels = labels
        return view

    @property
    def labels(self) -> Tensor:
        """The labels ``(B,)`` of this view."""
        if self._labels is None:
            raise InputError("a conditional model needs labels: model.given(labels)")
        return self._labels

    def encoder_input(self, x: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` plus the learnt images of their labels."""
        return x + self.label_images[self.labels]

    def decode(self, z: Tensor) -> Distribution:
        """p(x|z, y) of latents ``(..., B, D)``."""
        labels = one_hot(self.labels, self.classes or 0).to(z.dtype)
        return self.likelihood(torch.cat([z, labels.expand(*z.shape[:-1], -1)], -1))


def sample_images(model: Model, labels: Tensor, pixel_noise: bool = False, temperature: float = 1.0) -> Tensor:
    """One image for each of ``labels`` ``(N,)``, with latents from the prior: ``(N, C, H, W)``.

    **Arguments**
        labels: only a conditional model uses their values.
        pixel_noise: draw the pixels from p(x|z); else take the mean of p(x|z).
        temperature: a factor on the latents; for the prior N(0, I) it is their standard deviation.
    """
    model = model.given(labels)
    px = model.decode(temperature * model.sample_latents(len(labels)))
    return px.sample() if pixel_noise else px.mean.clamp(0, 1)
