"""Projections of latents onto the plane."""

from typing import Protocol

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from vaelab.checks import one_of
from vaelab.errors import InputError
from vaelab.plots.style import latent_name

PROJECTIONS = ("pca", "tsne", "umap")
PERPLEXITY = 30.0  # of t-SNE; it must be lower than the number of points


class Projector(Protocol):
    """An estimator in the style of scikit-learn."""

    def fit_transform(self, points: np.ndarray) -> np.ndarray:
        """Map points ``(N, D)`` to ``(N, 2)``."""


def projector(projection: str, points: int | None = None) -> Projector:
    """The estimator for ``projection``: pca, tsne or umap.

    **Arguments**
        projection: the option `pictures.projection`.
        points: how many points it will get; few of them need another setting of t-SNE.

    **Raises**
        InputError: there is no such projection, or its package is not installed.
    """
    one_of("pictures.projection", projection, PROJECTIONS)
    if projection == "pca":
        return PCA(2)
    if projection == "tsne":
        return TSNE(random_state=0, perplexity=PERPLEXITY if points is None else min(PERPLEXITY, (points - 1) / 3))
    try:
        from umap import UMAP
    except ImportError as error:
        raise InputError(
            "pictures.projection=umap needs the package umap-learn: pip install umap-learn, or take tsne or pca"
        ) from error
    return UMAP(random_state=0, n_jobs=1)


def project(means: Tensor, labels: Tensor, projection: str) -> tuple[Tensor, tuple[str, str]]:
    """Latents as points in the plane ``(N, 2)``, and the names of the two axes.

    Two latents are the two coordinates. One latent is drawn against the labels. More are projected.

    **Arguments**
        means: posterior means ``(N, D)``.
        labels: ``(N,)``.
        projection: pca, tsne or umap, for more than two latents.
    """
    latents = means.shape[1]
    if latents == 2:
        return means, (latent_name(0), latent_name(1))
    if latents == 1:
        return torch.cat([means, labels[:, None].to(means.dtype)], 1), (latent_name(0), "label")
    found = projector(projection, len(means)).fit_transform(means.cpu().double().numpy())
    return torch.from_numpy(found).float(), (f"{projection} 1", f"{projection} 2")
