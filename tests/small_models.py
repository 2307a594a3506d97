"""Models that are small enough to know exactly."""

import math

import numpy as np
import torch
from sklearn.decomposition import PCA

from vaelab.models.closed_form import ProbabilisticPCA
from vaelab.models.likelihoods import BernoulliLikelihood, GaussianLikelihood
from vaelab.models.networks import MLP
from vaelab.models.posteriors import GaussianPosterior
from vaelab.models.priors import StandardNormal
from vaelab.models.vae import LatentVariableModel

IMAGE = (1, 4, 4)
PIXELS = math.prod(IMAGE)
NETWORK = MLP(IMAGE, [8])
LINEAR = MLP(IMAGE, [])


def vae(latent: int = 3) -> LatentVariableModel:
    return LatentVariableModel(
        GaussianPosterior(NETWORK, latent), BernoulliLikelihood(NETWORK, latent), StandardNormal(latent)
    )


def probabilistic_pca(x: torch.Tensor, latent: int) -> tuple[ProbabilisticPCA, np.ndarray]:
    """The maximum-likelihood solution for ``x`` in float64, and scikit-learn's log p(x) per image."""
    model = ProbabilisticPCA(
        GaussianPosterior(LINEAR, latent),
        GaussianLikelihood(LINEAR, latent, mean="identity"),
        StandardNormal(latent),
    ).double()
    model.start_from_images(x, torch.Generator())
    pca = PCA(latent, svd_solver="full").fit(x.flatten(1).numpy())
    return model, pca.score_samples(x.flatten(1).numpy())


def grid(low: float, high: float, count: int) -> tuple[torch.Tensor, float]:
    """Points of a square ``(count², 2)`` in float64, for numerical integration, and the area of each."""
    axis = torch.linspace(low, high, count, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis), float(axis[1] - axis[0]) ** 2
