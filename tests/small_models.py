"""Models that are small enough to know exactly."""

import math

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import nn

from vaelab.models.closed_form import ProbabilisticPCA
from vaelab.models.likelihoods import BernoulliLikelihood, GaussianLikelihood
from vaelab.models.networks import mlp_decoder, mlp_encoder
from vaelab.models.posteriors import GaussianPosterior
from vaelab.models.priors import StandardNormal
from vaelab.models.vae import LatentVariableModel

IMAGE = (1, 4, 4)
PIXELS = math.prod(IMAGE)


def encoder(outputs: int) -> nn.Module:
    return MLP(IMAGE, [8]).encoder(outputs)


def decoder(latent: int, channels: int) -> nn.Module:
    return MLP(IMAGE, [8]).decoder(latent, channels)


def vae(latent: int = 3) -> LatentVariableModel:
    return LatentVariableModel(
        GaussianPosterior(encoder, latent), BernoulliLikelihood(decoder, latent), StandardNormal(latent)
    )


def probabilistic_pca(x: torch.Tensor, latent: int) -> tuple[ProbabilisticPCA, np.ndarray]:
    """The maximum-likelihood solution for ``x`` in float64, and scikit-learn's log p(x) per image."""

    def linear_encoder(outputs: int) -> nn.Module:
        return MLP(IMAGE, []).encoder(outputs)

    def linear_decoder(latent: int, channels: int) -> nn.Module:
        return MLP(IMAGE, []).decoder(latent, channels)

    model = ProbabilisticPCA(
        GaussianPosterior(linear_encoder, latent),
        GaussianLikelihood(linear_decoder, latent, mean="identity"),
        StandardNormal(latent),
    ).double()
    model.start_from_images(x, torch.Generator())
    pca = PCA(latent, svd_solver="full").fit(x.flatten(1).numpy())
    return model, pca.score_samples(x.flatten(1).numpy())
