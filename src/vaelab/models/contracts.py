"""The contracts of the pieces: one abstract base class for each kind. All other code depends on these alone.

A `Network` makes encoders and decoders. A `Posterior` maps images to q(z|x), a `Likelihood` latents to p(x|z), a
`Prior` a posterior to p(z), a `Model` images to an `Inference`, an `Objective` that to a loss, a `Schedule` steps to β.

Shapes: ``B`` images of shape ``(C, H, W)`` in [0, 1], ``K`` samples per image, ``D`` latents. Densities are in nats.

A piece derives from its base class and implements the abstract methods; all other methods and attributes have defaults.
An attribute, set on the class or in ``__init__``, says what a piece can do, and so enables what needs it. A piece is
made once, in the process that trains it, after the seed is set: it may draw weights with torch's global generator.
"""

from abc import ABC, abstractmethod

from torch import Generator, Tensor, nn
from torch.distributions import Distribution

from vaelab.errors import InputError
from vaelab.models.inference import Inference


class Network(ABC):
    """Builds encoders and decoders of one architecture: plain tensors in, plain tensors out, no probability.

    It knows the image's shape and is no module itself. Every call returns a new module with its own weights. A result
    must not depend on the other images of a batch: no batch normalisation.
    """

    @abstractmethod
    def encoder(self, outputs: int) -> nn.Module:
        """A module that maps images ``(B, C, H, W)`` to ``(B, outputs)``."""

    @abstractmethod
    def decoder(self, latent: int, channels: int) -> nn.Module:
        """A module that maps latents ``(..., latent)``, with any leading dimensions, to ``(..., channels · C, H, W)``.

        ``channels`` counts the likelihood's parameters per value; the first C output channels are the first parameter.
        """


class Piece(nn.Module):
    """What posteriors, likelihoods, priors, models and their parts share.

    **Attributes**
        starts_from_images: ``start_from_images`` is called once before the training, and not when a run resumes.
    """

    starts_from_images: bool = False

    def start_from_images(self, images: Tensor, generator: Generator) -> None:
        """Set the first weights from all training images ``(N, C, H, W)``; draw random numbers with ``generator``."""

    def networks(self) -> list[nn.Module]:
        """Networks that ``trainer.compile`` compiles and ``model=multirate`` gates: the child ``network``, if any."""
        return [child for name, child in self.named_children() if name == "network"]


class Posterior(Piece, ABC):
    """q(z|x): maps images to a distribution of latents.

    The distribution needs ``rsample``, ``mean`` and ``variance``, and ``log_prob`` unless ``has_density`` is False.
    KL(q ‖ p) is ``torch.distributions.kl_divergence`` where that knows it (``register_kl``), else estimated by samples.

    **Attributes**
        has_density: without one there is no rate, ELBO or log-likelihood: train with loss=reconstruction.
        is_product: q(z|x) = prod_d q(z_d|x), and ``forward`` returns torch's ``Independent(..., 1)``. Needed for the
            total correlation and, with a prior that is a product too, for a KL term per latent and free bits.
        is_normal: ``forward`` returns ``Independent(Normal(...), 1)``. Needed for stacked runs and PCA.
        is_exact: q(z|x) = p(z|x), computed from likelihood and prior; then every loss trains the prior.
        has_exact_mean: ``mean`` and ``variance`` are exact and cheap; else they are estimates.
        has_outputs: q(z|x) is a function of one vector per image, ``outputs``. Needed for the amortization gap.
        layers: the sizes of the stochastic layers in z, where there are several: active units are counted for each.

    **Example**
        >>> from torch.distributions import Independent, Normal
        >>> class UnitPosterior(Posterior):  # q(z|x) = N(m(x), I)
        ...     is_product = is_normal = True
        ...     def __init__(self, network: Network, latent: int) -> None:
        ...         super().__init__()
        ...         self.network = network.encoder(latent)
        ...     def forward(self, x: Tensor) -> Distribution:
        ...         return Independent(Normal(self.network(x).to(x.dtype), 1.0), 1)
    """

    has_density: bool = True
    is_product: bool = False
    is_normal: bool = False
    is_exact: bool = False
    has_exact_mean: bool = True
    has_outputs: bool = False
    layers: tuple[int, ...] = ()

    @abstractmethod
    def forward(self, x: Tensor) -> Distribution:
        """q(z|x) of images ``(B, C, H, W)``: batch ``(B,)``, event ``(D,)``, in the precision of ``x``."""

    def outputs(self, x: Tensor) -> Tensor:
        """The vectors ``(B, n)`` that q(z|x) is a function of, where ``has_outputs``."""
        raise InputError(f"{type(self).__name__} sets has_outputs and lacks the method outputs(x)")

    def from_outputs(self, outputs: Tensor) -> Distribution:
        """q(z|x) of such vectors ``(B, n)``, where ``has_outputs``; ``forward(x)`` is ``from_outputs(outputs(x))``."""
        raise InputError(f"{type(self).__name__} sets has_outputs and lacks the method from_outputs(outputs)")

    @property
    def top(self) -> "Posterior":
        """q of the top layer alone, which a prior of that layer may be made of; itself, where there is one layer."""
        return self


class Likelihood(Piece, ABC):
    """p(x|z): maps latents to a distribution of images.

    The distribution needs ``log_prob`` of images in [0, 1], ``mean`` and ``sample``.

    **Attributes**
        is_cheap_in_pairs: `pairwise_log_prob` is a matrix product. Needed for mixtures and samples of the prior in nll.
        has_exact_mean: ``mean`` is that of the distribution, within one of 256 levels; else an approximation.
        levels: how many levels from 0 to 1 a value can have, where p(x|z) is a probability: gives bits per dimension.
    """

    is_cheap_in_pairs: bool = False
    has_exact_mean: bool = True
    levels: int | None = None

    @abstractmethod
    def forward(self, z: Tensor) -> Distribution:
        """p(x|z) of latents ``(..., D)``: batch ``(...)``, event ``(C, H, W)``, in the precision of ``z``."""

    @property
    def pixel_variance(self) -> float | None:
        """σ², where p(x|z) is N(f(z), σ²I) with one σ for all pixels; else None. Linear models have closed forms."""
        return None

    def set_pixel_variance(self, variance: Tensor) -> None:
        """Set the σ² of ``pixel_variance``, a scalar, where there is one."""
        raise InputError(f"{type(self).__name__} has no variance that all pixels share")

    def outputs_at(self, images: Tensor) -> Tensor | None:
        """The decoder outputs, in the shape of ``images``, at which the mean is about ``images``; None: unknown."""
        return None


class Prior(Piece, ABC):
    """p(z), called with the posterior, because some priors are made of it (the VampPrior is a mixture of posteriors).

    A prior that is configured with one would get a second encoder. The distribution needs ``log_prob`` and ``sample``.

    **Attributes**
        is_product: p(z) = prod_d p(z_d), and ``forward`` returns ``torch.distributions.Independent(..., 1)``.
        is_standard_normal: p(z) = N(0, I).
        is_discrete: ``forward`` returns ``torch.distributions.OneHotCategorical``: the prior of a mixture model.
    """

    is_product: bool = False
    is_standard_normal: bool = False
    is_discrete: bool = False

    @abstractmethod
    def forward(self, posterior: Posterior) -> Distribution:
        """p(z): batch ``()``, event ``(D,)``."""

    def images(self) -> Tensor | None:
        """Images ``(M, C, H, W)`` in [0, 1] that the prior is made of, for a plot; None: there are none."""
        return None


class Objective(ABC):
    """A loss per image: a function of an `Inference`, β and the training's progress, without state.

    ``infer`` makes the Inference: that of ``samples`` latent samples per image, unless an objective overrides it.

    **Attributes**
        samples: K, the latent samples per image that it needs.
        weighs_kl: the loss depends on β and the prior; else β is not reported.
        weighs_whole_kl: the loss is distortion + β rate, or tends to it: its optimum for linear models is known.
        criterion: the validation metric that chooses the weights: ``elbo`` or a name from ``metrics`` (higher is
            better), or ``distortion``. None: the last weights.
        first_part: the share of the training with another loss, whose end early stopping waits for.
        has_latent_gradients: the loss takes gradients with respect to z, which stacked runs do not support.
    """

    samples: int = 1
    weighs_kl: bool = True
    weighs_whole_kl: bool = False
    criterion: str | None = "elbo"
    first_part: float = 0.0
    has_latent_gradients: bool = False

    @abstractmethod
    def __call__(self, inference: Inference, beta: float | Tensor, progress: float = 1.0) -> Tensor:
        """The loss ``(B,)`` in nats per image.

        **Arguments**
            inference: a batch, from ``infer`` or from a call of the model with ``samples``.
            beta: the weight of the KL term at this step; ``(B,)`` only where ``weighs_whole_kl`` is set.
            progress: the share of the training that is done, from 0 to 1.
        """

    @property
    def infers_by_model(self) -> bool:
        """Whether ``infer`` is no more than a call of the model, which stacked runs can make themselves."""
        return type(self).infer is Objective.infer

    def infer(self, model: "Model", x: Tensor, beta: float | Tensor, progress: float = 1.0) -> Inference:
        """The `Inference` that the loss takes, of images ``x`` ``(B, C, H, W)`` and a ``model`` at ``beta``."""
        return model(x, self.samples)

    def check(self, model: "Model") -> None:  # noqa: B027 (optional)
        """Raise an InputError where ``model`` lacks what the loss needs; called before the training."""

    def set_training_images(self, count: int) -> None:  # noqa: B027 (optional)
        """Called before the training with the number of training images."""

    def metrics(self, inference: Inference) -> dict[str, Tensor]:
        """Further metrics ``(B,)``, at β = 1, which are logged beside rate, distortion and ELBO."""
        return {}


class Schedule(ABC):
    """A pure function of the step, so that a resumed run needs no state."""

    epochs: float | None = None  # the length of the training, set before it; None: unknown
    is_range: bool = False  # every image of a training step has a β of its own, which ``draw`` gives

    @abstractmethod
    def __call__(self, step: int, steps: int) -> float:
        """The value at ``step``, from 0 to ``steps``: β, or a factor on the learning rate."""

    def draw(self, count: int) -> Tensor:
        """β of each image ``(count,)``, drawn by torch's global generator, where ``is_range``."""
        raise InputError(f"{type(self).__name__} sets is_range and lacks the method draw(count)")

    @property
    def end(self) -> float:
        """The value at the end of the training."""
        return self(1, 1)


class Model(Piece, ABC):
    """p(x, z) = p(x|z) p(z) with a posterior q(z|x): what a run trains, evaluates and plots.

    **Attributes**
        posterior, likelihood, prior: the three pieces.
        has_continuous_latents: else they are one-hot vectors, and expectations over q are sums over all of them.
        classes: how many labels the model is conditioned on; None: it is not.
        visible: how many latents, the first ones, the image depends on directly; None: all.
        betas: the smallest and the largest β that ``at`` takes; None: the model was trained for one.
    """

    posterior: Posterior
    likelihood: Likelihood
    prior: Prior
    has_continuous_latents: bool = True
    classes: int | None = None
    visible: int | None = None
    betas: tuple[float, float] | None = None

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
        """The image ``(B, C, H, W)`` for a posterior, such as the likelihood's mean at the posterior's mean."""

    @property
    def has_bound(self) -> bool:
        """Whether q(z|x) has a density, without which there is no ELBO."""
        return self.posterior.has_density

    @property
    def has_kl_per_latent(self) -> bool:
        """Whether q(z|x) and p(z) are products over latents, so that each latent has its own KL term."""
        return self.posterior.is_product and self.prior.is_product

    @property
    def is_solved(self) -> bool:
        """Whether nothing is left to train, as in a model that has a closed form."""
        return not any(parameter.requires_grad for parameter in self.parameters())

    def given(self, labels: Tensor) -> "Model":
        """The model of images with these ``labels`` ``(B,)``: itself, unless it is conditioned on labels."""
        return self

    def at(self, beta: float | Tensor) -> "Model":
        """The model at ``beta``, a number or ``(B,)``: itself, unless one training made it for a range of β."""
        return self

    def encoder_input(self, x: Tensor) -> Tensor:
        """What the posterior is called with for images ``(B, C, H, W)``: the images, unless the model changes them."""
        return x

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
