"""The plane of latents: where test images lie in it, which latent vector a point of it is, and paths through it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from vaelab import rng
from vaelab.errors import InputError
from vaelab.explore.session import ExploredRun
from vaelab.plots import latent_paths
from vaelab.plots.style import latent_name

PRIOR_POINTS = 300  # samples of a prior that has no contours here
CONTOURS = (1.0, 2.0, 3.0)  # standard deviations of N(0, I)
STEPS = 11  # images of a path
WAYS = ("pixels", "line", "arc", "decoder")


@dataclass(frozen=True)
class LatentMap:
    """A plane in the latent space, z = origin + a · directions, and the posterior means of test images in it.

    **Attributes**
        points: of the test images ``(N, 2)``.
        labels: ``(N,)``.
        axes: the names of the two directions.
        origin: ``(D,)``.
        directions: orthonormal ``(2, D)``; the second one is 0 where there is one latent.
        contours: (x, y, radius) of circles: the standard deviations 1, 2 and 3 of the prior N(0, I); none in a line.
        prior: samples of another prior ``(M, 2)``; None where there are contours, or no prior.
    """

    points: Tensor
    labels: Tensor
    axes: tuple[str, str]
    origin: Tensor
    directions: Tensor
    contours: list[tuple[float, float, float]]
    prior: Tensor | None

    def latents(self, at: Sequence[float]) -> Tensor:
        """The latent vector ``(D,)`` of the point ``at`` = (x, y)."""
        return self.origin + torch.tensor(at, dtype=torch.float32) @ self.directions

    def nearest(self, at: Sequence[float]) -> int:
        """The test image whose point is nearest to (x, y)."""
        return int((self.points - torch.tensor(at, dtype=torch.float32)).square().sum(1).argmin())


def planes(run: ExploredRun) -> list[tuple[int, int] | None]:
    """The planes that can be shown: None is that of PCA; else pairs of latents, those with the largest KL first."""
    visible = run.visible
    if visible <= 2:
        return [(0, visible - 1)]
    used = [latent for latent in run.order if latent < visible][:4]
    pairs = [(used[i], used[j]) for i in range(len(used)) for j in range(i + 1, len(used))]
    return [None, *pairs]


def latent_map(run: ExploredRun, plane: tuple[int, int] | None) -> LatentMap:
    """The plane of two latents, the others at their mean over test images, or for None the plane of the PCA of all.

    **Raises**
        InputError: the run's images are missing, or its latents are discrete.
    """
    if run.encoded is None or not run.model.has_continuous_latents:
        raise InputError(run.missing or "this model has no latent plane")
    means = run.encoded.means.float()
    origin, directions, axes = _pca(means, run.visible) if plane is None else _pair(means, plane)
    labels = run.encoded.labels
    points = (means - origin) @ directions.T
    if plane is not None and plane[0] == plane[1]:  # one latent: its values against the labels
        points[:, 1] = labels.to(points.dtype) + 0.6 * (torch.arange(len(points)) % 7 - 3) / 7
    contours, prior = _prior(run, origin, directions)
    return LatentMap(points, labels, axes, origin, directions, contours, prior)


def _pair(means: Tensor, plane: tuple[int, int]) -> tuple[Tensor, Tensor, tuple[str, str]]:
    first, second = plane
    origin, directions = means.mean(0), torch.zeros(2, means.shape[1])
    origin[[first, second]] = 0
    directions[0, first] = 1
    if first != second:
        directions[1, second] = 1
    return origin, directions, (latent_name(first), latent_name(second) if first != second else "label")


def _pca(means: Tensor, visible: int) -> tuple[Tensor, Tensor, tuple[str, str]]:
    """The two directions of largest variance among the latents that the image depends on."""
    found = PCA(2).fit(means[:, :visible].double().numpy())
    directions = torch.zeros(2, means.shape[1])
    directions[:, :visible] = torch.from_numpy(np.asarray(found.components_)).float()
    return means.mean(0), directions, ("PCA 1", "PCA 2")


def _prior(
    run: ExploredRun, origin: Tensor, directions: Tensor
) -> tuple[list[tuple[float, float, float]], Tensor | None]:
    """The contours of N(0, I) in the plane, or samples of another prior."""
    if not run.has_prior or not directions[1].any():
        return [], None
    if run.model.prior.is_standard_normal:
        x, y = (-origin @ directions.T).tolist()
        return [(x, y, radius) for radius in CONTOURS], None
    return [], (run.prior_latents(PRIOR_POINTS) - origin) @ directions.T


def paths(
    run: ExploredRun, first: int, last: int, label: int | None = None, ways: Sequence[str] = WAYS
) -> dict[str, Tensor]:
    """Images ``(STEPS, C, H, W)`` from one test image to another, by the number of each.

    ``pixels`` mixes the images; ``line`` and ``arc`` lead through the latents; ``decoder`` is the path along which the
    decoded image changes least, which takes longest.
    """
    if run.encoded is None or run.images is None:
        raise InputError(run.missing)
    start, end = run.encoded.means[first].float(), run.encoded.means[last].float()
    x = run.images[0]

    def image_path(way: str) -> Tensor:
        if way == "pixels":
            return torch.lerp(x[first], x[last], torch.linspace(0, 1, STEPS).view(-1, 1, 1, 1))
        if way == "decoder":
            return run.decode(shortest(run, start, end, label), label)
        return run.decode((latent_paths.linear if way == "line" else latent_paths.spherical)(start, end, STEPS), label)

    return {way: image_path(way) for way in ways}


def shortest(run: ExploredRun, start: Tensor, end: Tensor, label: int | None = None) -> Tensor:
    """The path ``(STEPS, D)`` along which the decoded image changes least."""
    model = run.model.given(torch.full((STEPS,), (label or 0) % (run.run.classes or 1), device=run.device))
    with rng.fixed_noise(run.device, rng.PLOTS):
        found = latent_paths.shortest(lambda z: model.decode(z).mean, start.to(run.device), end.to(run.device), STEPS)
    return found.cpu()
