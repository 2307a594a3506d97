"""Objectives: callables (Inference, beta) -> loss per image ``(B,)`` in nats, to be minimised.

``samples`` is how many codes per image they want, ``needs_density`` whether q(z|x) must have a density, ``weighs_kl``
whether β has a part in them.
"""

from torch import Tensor

from vaelab.checks import whole
from vaelab.model import Inference


class ELBO:
    """The negative evidence lower bound, its KL term weighted: -mean_K(log p(x|z) - β KL(q(z|x) ‖ p(z))).

    Auto-Encoding Variational Bayes (Kingma and Welling, 2013); β-VAE (Higgins et al., 2017) for β ≠ 1.
    """

    needs_density = True
    weighs_kl = True

    def __init__(self, samples: int = 1) -> None:
        self.samples = whole("loss.samples", samples)

    def __call__(self, inference: Inference, beta: float) -> Tensor:
        return -(inference.log_px - beta * inference.kl).mean(0)


class Reconstruction:
    """The distortion alone: -mean_K log p(x|z); β has no part in it."""

    needs_density = False
    weighs_kl = False

    def __init__(self, samples: int = 1) -> None:
        self.samples = whole("loss.samples", samples)

    def __call__(self, inference: Inference, beta: float) -> Tensor:
        return -inference.log_px.mean(0)
