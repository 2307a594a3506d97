"""Models that are small enough to know exactly."""

import math

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import nn

from vaelab.conditionals import BernoulliLikelihood, GaussianLikelihood, GaussianPosterior
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


def probabilistic_pca(x: torch.Tensor, latent: int) -> tuple[LatentVariableModel, np.ndarray]:
    """The maximum-likelihood solution (Tipping and Bishop, 1999) as a composition, and log p(x) per image.

    x = Wz + mean + noise of variance v; W = U (L - v)^1/2, v the mean of the eigenvalues left out. Then W'W is
    diagonal, and so is the exact posterior N(M^-1 W'(x - mean), v M^-1) with M = W'W + v.
    """
    pca = PCA(latent, svd_solver="full").fit(x.flatten(1).numpy())
    variance = torch.tensor(pca.noise_variance_)
    axes = torch.from_numpy(pca.components_)  # (D, pixels)
    spread = torch.from_numpy(pca.explained_variance_) - variance  # diagonal of W'W
    mean = torch.from_numpy(pca.mean_)

    def linear_encoder(outputs: int) -> nn.Module:
        network = mlp_encoder(outputs, image=IMAGE, hidden=[]).double()
        layer = network[1][0]
        weight = spread.sqrt()[:, None] * axes / (spread + variance)[:, None]
        layer.weight.data = torch.cat([weight, torch.zeros_like(weight)])
        layer.bias.data = torch.cat([-weight @ mean, (variance / (spread + variance)).log()])
        return network

    def linear_decoder(latent: int, channels: int) -> nn.Module:
        network = mlp_decoder(latent, channels, image=IMAGE, hidden=[]).double()
        layer = network[0][0]
        layer.weight.data = (spread.sqrt()[:, None] * axes).T
        layer.bias.data = mean
        return network

    model = LatentVariableModel(
        GaussianPosterior(linear_encoder, latent),
        GaussianLikelihood(linear_decoder, latent, sigma=float(variance.sqrt()), mean="identity").double(),
        StandardNormal(latent).double(),
    )
    # float32 log_sigma would cost seven of the twelve digits
    model.likelihood.log_sigma = (0.5 * variance.log()).clone()
    return model, pca.score_samples(x.flatten(1).numpy())
