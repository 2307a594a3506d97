"""Models that are small enough to know exactly."""

import math

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import nn

from vaelab.conditionals import BernoulliLikelihood, GaussianLikelihood, GaussianPosterior
from vaelab.exact import ProbabilisticPCA
from vaelab.model import LatentVariableModel
from vaelab.networks import mlp_decoder, mlp_encoder
from vaelab.priors import StandardNormal

IMAGE = (1, 4, 4)
PIXELS = math.prod(IMAGE)


def encoder(outputs: int) -> nn.Module:
    return mlp_encoder(outputs, image=IMAGE, hidden=[8])


def decoder(latent: int, channels: int) -> nn.Module:
    return mlp_decoder(latent, channels, image=IMAGE, hidden=[8])


def vae(latent: int = 3) -> LatentVariableModel:
    return LatentVariableModel(
        GaussianPosterior(encoder, latent), BernoulliLikelihood(decoder, latent), StandardNormal(latent)
    )


def probabilistic_pca(x: torch.Tensor, latent: int) -> tuple[ProbabilisticPCA, np.ndarray]:
    """The maximum-likelihood solution for ``x`` in float64, and scikit-learn's log p(x) per image."""

    def linear_encoder(outputs: int) -> nn.Module:
        return mlp_encoder(outputs, image=IMAGE, hidden=[])

    def linear_decoder(latent: int, channels: int) -> nn.Module:
        return mlp_decoder(latent, channels, image=IMAGE, hidden=[])

    model = ProbabilisticPCA(
        GaussianPosterior(linear_encoder, latent),
        GaussianLikelihood(linear_decoder, latent, mean="identity"),
        StandardNormal(latent),
    ).double()
    model.initialise(x, torch.Generator())
    pca = PCA(latent, svd_solver="full").fit(x.flatten(1).numpy())
    return model, pca.score_samples(x.flatten(1).numpy())
