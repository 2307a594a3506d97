"""The contracts of the pieces: one abstract base class for each kind. Everything else asks these, never a class.

| kind | what it maps | shipped members |
|---|---|---|
| `Network` | sizes to an encoder or a decoder | `vaelab.models.networks` |
| `Posterior` | images to q(z|x) | `vaelab.models.posteriors` |
| `Likelihood` | latents to p(x|z) | `vaelab.models.likelihoods` |
| `Prior` | a posterior to p(z) | `vaelab.models.priors` |
| `Objective` | an `Inference` to a loss per image | `vaelab.models.objectives` |
| `Schedule` | a step to a weight or a rate | `vaelab.training.schedules` |
| `Model` | images to an `Inference` | `vaelab.models.vae`, `closed_form`, `mixture` |

Shapes: ``B`` images of shape ``(C, H, W)``, ``K`` samples per image, ``D`` latents. An attribute that is set on the
class says what a piece can do; each has a default, which promises nothing.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Generator, Tensor, nn
from torch.distributions import Distribution

from vaelab.errors import InputError
from vaelab.models.inference import Inference


class Network(ABC):
    """Builds encoders and decoders of one architecture: plain tensors in, plain tensors out, no probability."""

    @abstractmethod
    def encoder(self, outputs: int) -> nn.Module:
        """A module that maps images ``(B, C, H, W)`` to ``(B, outputs)``."""

    @abstractmethod
    def decoder(self, latent: int, channels: int) -> nn.Module:
        """A module that maps latents ``(..., latent)`` to ``(..., channels · C, H, W)``.

        **Arguments**
            latent: the number of inputs.
            channels: the likelihood's parameters per value of the image; they are blocks of ``C`` channels.
        """


class Piece(nn.Module):
    """What posteriors, likelihoods, priors and models share: they may start from the training images."""

    starts_from_images: ClassVar[bool] = False  # then ``start_from_images`` is called once, before the training

    def start_from_images(self, images: Tensor, generator: Generator) -> None:
        """Set the first weights from all training images ``(N, C, H, W)`` in [0, 1]; random choices by ``generator``."""

    def networks(self) -> list[nn.Module]:
        """What ``trainer.compile`` compiles: the child module that is called ``network``, if there is one."""
        return [child for name, child in self.named_children() if name == "network"]


class Posterior(Piece, ABC):
    """q(z|x): maps images to a distribution of latents."""

    has_density: ClassVar[bool] = True  # without one there is no rate and no ELBO: an auto-encoder
    is_product: ClassVar[bool] = False  # a product over latents: ``forward`` returns ``Independent(..., 1)``
    is_normal: ClassVar[bool] = False  # a product of normal distributions: ``Independent(Normal(...), 1)``
    has_exact_mean: ClassVar[bool] = True  # else ``.mean`` and ``.variance`` are Monte Carlo estimates
    has_outputs: ClassVar[bool] = False  # q(z|x) is a function of one vector per image: see ``outputs``

    @abstractmethod
    def forward(self, x: Tensor) -> Distribution:
        """q(z|x) of images ``(B, C, H, W)``: batch ``(B,)``, event ``(D,)``."""

    def outputs(self, x: Tensor) -> Tensor:
        """The vectors ``(B, n)`` that q(z|x) is a function of, where ``has_outputs``."""
        raise InputError(f"{type(self).__name__} sets has_outputs and lacks the method outputs(x)")

    def from_outputs(self, outputs: Tensor) -> Distribution:
        """q(z|x) of such vectors ``(B, n)``, where ``has_outputs``; ``forward(x)`` is ``from_outputs(outputs(x))``."""
        raise InputError(f"{type(self).__name__} sets has_outputs and lacks the method from_outputs(outputs)")


class Likelihood(Piece, ABC):
    """p(x|z): maps latents to a distribution of images."""

    # log p(x|z) of all pairs of images and latents is a matrix product (``distributions.pairwise_log_prob``), so that
    # the same latents can be weighed for many images.
    is_cheap_in_pairs: ClassVar[bool] = False

    @abstractmethod
    def forward(self, z: Tensor) -> Distribution:
        """p(x|z) of latents ``(..., D)``: batch ``(...)``, event ``(C, H, W)``."""

    @property
    def pixel_variance(self) -> float | None:
        """σ², where p(x|z) is N(f(z), σ²I) with one σ for all pixels; else None."""
        return None

    def set_pixel_variance(self, variance: Tensor) -> None:
        """Fix the σ² of ``pixel_variance``, where there is one."""
        raise InputError(f"{type(self).__name__} has no variance that all pixels share")

    def outputs_at(self, images: Tensor) -> Tensor | None:
        """The decoder's outputs, in the shape of ``images``, for which the mean is about ``images``; None: unknown."""
        return None


class Prior(Piece, ABC):
    """p(z): called with the posterior, because some priors are made of it (the VampPrior is a mixture of posteriors).

    As a part of the configuration a posterior would be a second one, with its own weights.
    """

    is_product: ClassVar[bool] = False  # a product over latents: ``forward`` returns ``Independent(..., 1)``
    is_standard_normal: ClassVar[bool] = False
    is_discrete: ClassVar[bool] = False  # latents are one-hot vectors, as in a mixture model

    @abstractmethod
    def forward(self, posterior: Posterior | None) -> Distribution:
        """p(z): batch ``()``, event ``(D,)``. A model without an encoder passes None."""

    def images(self) -> Tensor | None:
        """Images ``(M, C, H, W)`` in [0, 1] that the prior is made of, worth a plot; None: there are none."""
        return None


class Objective(ABC):
    """A loss per image, to be minimised.

    **Attributes**
        samples: K, the latent samples per image that it needs.
    """

    samples: int = 1
    weighs_kl: ClassVar[bool] = True  # the prior and β have a part in the loss
    weighs_whole_kl: ClassVar[bool] = False  # the loss is distortion + β rate, or tends to it
    criterion: ClassVar[str | None] = "elbo"  # the validation metric that chooses the weights; None: the last weights
    has_latent_gradients: bool = False  # it asks for gradients by z within the loss, which stacked runs cannot give

    @abstractmethod
    def __call__(self, inference: Inference, beta: float, progress: float = 1.0) -> Tensor:
        """The loss ``(B,)`` in nats per image.

        **Arguments**
            beta: the KL term's weight at this step.
            progress: how much of the training lies behind, from 0 to 1.
        """

    def check(self, model: "Model") -> None:
        """Raise an InputError where ``model`` lacks what the loss needs."""

    def set_training_images(self, count: int) -> None:
        """Called before the training with the number of training images."""

    def metrics(self, inference: Inference) -> dict[str, Tensor]:
        """Further metrics ``(B,)``, at β = 1, which are logged beside rate, distortion and ELBO."""
        return {}


class Schedule(ABC):
    """A pure function of the step, so that a resumed run needs no state."""

    @abstractmethod
    def __call__(self, step: int, steps: int) -> float:
        """The value at ``step`` of ``steps``: β, or a factor on the learning rate."""

    @property
    def end(self) -> float:
        """The value at the end of the training."""
        return self(1, 1)


class Model(Piece, ABC):
    """p(x, z) = p(x|z) p(z) with a posterior q(z|x): what a run trains, evaluates and plots."""

    has_continuous_latents: ClassVar[bool] = True
    classes: int | None = None  # how many labels the model is conditioned on; None: it is not
    visible: int | None = None  # how many latents, the first ones, the image depends on directly; None: all
    posterior: Posterior | None  # None where the posterior is exact and needs no encoder
    likelihood: Likelihood
    prior: Prior

    @property
    @abstractmethod
    def has_bound(self) -> bool:
        """Whether q(z|x) has a density, without which there is no ELBO."""

    @property
    @abstractmethod
    def has_kl_per_latent(self) -> bool:
        """Whether q(z|x) and p(z) are products over latents, so that each latent has its own KL term."""

    @abstractmethod
    def forward(self, x: Tensor, samples: int = 1) -> Inference:
        """Encode ``x`` ``(B, C, H, W)``, draw ``samples`` latents per image, decode them."""

    @abstractmethod
    def encode(self, x: Tensor) -> Distribution:
        """q(z|x) of images ``(B, C, H, W)``: batch ``(B,)``, event ``(D,)``."""

    @abstractmethod
    def decode(self, z: Tensor) -> Distribution:
        """p(x|z) of latents ``(..., D)``: batch ``(...)``, event ``(C, H, W)``."""

    @abstractmethod
    def reconstruct(self, q: Distribution) -> Tensor:
        """The image ``(B, C, H, W)`` for a posterior: the likelihood's mean at the posterior's mean."""

    @property
    def is_solved(self) -> bool:
        """Whether nothing is left to train, as in a model that has a closed form."""
        return not any(parameter.requires_grad for parameter in self.parameters())

    def given(self, labels: Tensor) -> "Model":
        """The model of images with these ``labels`` ``(B,)``: itself, unless it is conditioned on labels."""
        return self

    def prior_distribution(self) -> Distribution:
        """p(z): batch ``()``, event ``(D,)``."""
        return self.prior(self.posterior)

    def sample_latents(self, count: int) -> Tensor:
        """``count`` latents from the prior ``(count, D)``."""
        return self.prior_distribution().sample((count,))

    def sample(self, count: int) -> tuple[Tensor, Distribution]:
        """``count`` latents from the prior ``(count, D)``, and p(x|z) of each."""
        z = self.sample_latents(count)
        return z, self.decode(z)
