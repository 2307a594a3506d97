"""The waist: images become an Inference, and an objective turns an Inference into a loss per image.

    q = posterior(x);  p = prior(posterior);  z = q.rsample((K,));  likelihood(z) is p(x|z)

Shapes: ``B`` images, ``K`` samples per image, ``D`` latents. Densities are in nats per image.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, kl_divergence
from torch.nn.functional import one_hot

from vaelab.checks import whole
from vaelab.priors import Categorical


def closed_form_kl(q: Distribution, p: Distribution) -> Tensor | None:
    """KL(q ‖ p) in the batch shape of q; None where torch knows no closed form."""
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return None


@dataclass
class Inference:
    """What a model knows of a batch; densities are computed when first asked for, and once.

    Args:
        x: images ``(B, 1, H, W)``.
        z: samples of q ``(K, B, D)``.
        q: posterior q(z|x), batch ``(B,)``, event ``(D,)``.
        p: prior p(z), batch ``()`` or ``(B,)``, event ``(D,)``.
        px: likelihood p(x|z), batch ``(K, B)``, event ``(1, H, W)``.
    """

    x: Tensor
    z: Tensor
    q: Distribution
    p: Distribution
    px: Distribution

    @cached_property
    def log_px(self) -> Tensor:
        """log p(x|z) ``(K, B)``."""
        return self.px.log_prob(self.x)

    @cached_property
    def log_qz(self) -> Tensor:
        """log q(z|x) ``(K, B)``."""
        return self.q.log_prob(self.z)

    @cached_property
    def log_pz(self) -> Tensor:
        """log p(z) ``(K, B)``."""
        return self.p.log_prob(self.z)

    @cached_property
    def log_ratio(self) -> Tensor:
        """log q(z|x) - log p(z) ``(K, B)``: its mean over q is the KL divergence."""
        return self.log_qz - self.log_pz

    @cached_property
    def kl(self) -> Tensor:
        """KL(q(z|x) ‖ p(z)): ``(B,)`` in closed form where torch knows one, else the estimate ``(K, B)``."""
        closed = closed_form_kl(self.q, self.p)
        return self.log_ratio if closed is None else closed

    @property
    def rate(self) -> Tensor:
        """The KL term of each image ``(B,)``, its samples averaged where it is an estimate."""
        return self.kl.mean(0) if self.kl.dim() == 2 else self.kl

    @cached_property
    def kl_per_latent(self) -> Tensor:
        """KL(q(z_d|x) ‖ p(z_d)) ``(B, D)``, of posteriors and priors that are products over latents."""
        return kl_divergence(self.q.base_dist, self.p.base_dist)


class LatentVariableModel(nn.Module):
    """p(x, z) = p(x|z) p(z) with an approximate posterior q(z|x); every named model is a choice of the three.

    ``visible``: how many of the code's components, the first ones, the image depends on; None for all. In a
    hierarchy p(z₂) p(z₁|z₂) p(x|z₁) they are the lower layer.
    """

    has_continuous_code = True
    classes: int | None = None  # of labels that it depends on

    def __init__(
        self, posterior: nn.Module, likelihood: nn.Module, prior: nn.Module, visible: int | None = None
    ) -> None:
        super().__init__()
        if not callable(posterior):
            raise ValueError("posterior=none leaves this model without q(z|x): take posterior=gaussian")
        if isinstance(prior, Categorical):
            raise ValueError("prior=categorical is one of discrete codes (model=mixture): take prior=normal")
        self.posterior = posterior
        self.likelihood = likelihood
        self.prior = prior
        self.visible = None if visible is None else whole("model.visible", visible)

    @property
    def has_bound(self) -> bool:
        """Whether an ELBO exists: a posterior without a density (a plain auto-encoder's) defines none."""
        return self.posterior.has_density

    @property
    def has_kl_per_latent(self) -> bool:
        return self.posterior.factorised and self.prior.factorised

    def forward(self, x: Tensor, samples: int = 1) -> Inference:
        """Encode ``x`` ``(B, 1, H, W)``, draw ``samples`` codes per image, decode them."""
        q = self.encode(x)
        z = q.rsample((samples,))
        return Inference(x, z, q, self.prior(self.posterior), self.decode(z))

    def given(self, labels: Tensor) -> "LatentVariableModel":
        """The model of images with these ``labels`` ``(B,)``: itself, unless it is a conditional one."""
        return self

    def encoder_input(self, x: Tensor) -> Tensor:
        """What the posterior's network sees of images ``(B, 1, H, W)``."""
        return x

    def encode(self, x: Tensor) -> Distribution:
        """q(z|x), or q(z|x, y), of images ``(B, 1, H, W)``."""
        return self.posterior(self.encoder_input(x))

    def decode(self, z: Tensor) -> Distribution:
        """p(x|z) of codes ``(..., D)``."""
        return self.likelihood(z if self.visible is None else z[..., : self.visible])

    def reconstruct(self, q: Distribution) -> Tensor:
        """The image ``(B, 1, H, W)`` for a posterior: the likelihood's mean at the posterior's."""
        return self.decode(q.mean).mean

    def sample_codes(self, count: int) -> Tensor:
        """``count`` codes from the prior ``(count, D)``."""
        return self.prior(self.posterior).sample((count,))

    def sample(self, count: int) -> tuple[Tensor, Distribution]:
        """``count`` codes from the prior ``(count, D)``, and p(x|z) of each."""
        z = self.sample_codes(count)
        return z, self.decode(z)


class ConditionalModel(LatentVariableModel):
    """p(x, z|y) = p(x|z, y) p(z) with q(z|x, y): images given their labels y.

    Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014); Learning Structured Output
    Representation using Deep Conditional Generative Models (Sohn et al., 2015).

    The decoder gets the label as a one-hot vector behind the code. The encoder gets a learnt image for each label
    added to x: in its first layer that is a learnt vector per label, as a one-hot vector behind the pixels would be,
    and it serves convolutions too.

    ``likelihood``: latent -> likelihood, for it is made here, where it is known how long a code with its label is.
    """

    def __init__(
        self,
        posterior: nn.Module,
        likelihood: Callable[..., nn.Module],
        prior: nn.Module,
        latent: int,
        classes: int,
        image: Sequence[int] = (1, 28, 28),
    ) -> None:
        classes = whole("model.classes", classes)
        super().__init__(posterior, likelihood(latent=whole("latent", latent) + classes), prior)
        self.classes = classes
        self.label_images = nn.Parameter(0.1 * torch.randn(classes, *image))
        self.labels: Tensor | None = None

    def given(self, labels: Tensor) -> "ConditionalModel":
        """A view of this model, the same weights, for images with ``labels`` ``(B,)``."""
        view = copy.copy(self)
        view.labels = labels
        return view

    def _labels(self) -> Tensor:
        if self.labels is None:
            raise ValueError("a conditional model needs labels: model.given(labels)")
        return self.labels

    def encoder_input(self, x: Tensor) -> Tensor:
        """Images ``(B, 1, H, W)`` with their labels' learnt images added."""
        return x + self.label_images[self._labels()]

    def decode(self, z: Tensor) -> Distribution:
        """p(x|z, y) of codes ``(..., B, D)``."""
        labels = one_hot(self._labels(), self.classes).to(z.dtype)
        return self.likelihood(torch.cat([z, labels.expand(*z.shape[:-1], -1)], -1))
