"""How far samples are from real images, in the features of a small classifier of these data (classifier.py)."""

import math

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

NEIGHBOURS = 3  # Kynkäänniemi et al. (2019), section 3.1
ROWS = 1_000  # of a matrix of distances at a time


class _Given(nn.Module):
    """torchmetrics wants a network; the features are there already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """‖m - m'‖² + tr(C + C' - 2 (C C')^½), of means and covariances of features ``(N, F)`` and ``(M, F)``.

    GANs Trained by a Two Time-Scale Update Rule (Heusel et al., 2017), there of the Inception network's features. It
    falls with the number of images, so two of them compare at the same number only.
    """
    metric = FrechetInceptionDistance(feature=_Given(real.shape[1]))
    metric.update(real.cpu().double(), real=True)
    metric.update(generated.cpu().double(), real=False)
    return float(metric.compute())


def precision_recall(real: Tensor, generated: Tensor, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """The shares of generated features ``(M, F)`` within the real ones' ``(N, F)`` reach, and of real ones in theirs.

    A set reaches as far as its points do, each to its ``neighbours``-th nearest neighbour in the set. Improved
    Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi et al., 2019).
    """
    return _share_within(generated, real, neighbours), _share_within(real, generated, neighbours)


def _share_within(points: Tensor, centres: Tensor, neighbours: int) -> float:
    # A point is its own nearest neighbour, at distance 0.
    radii = torch.cat([torch.cdist(part, centres).kthvalue(neighbours + 1, 1).values for part in centres.split(ROWS)])
    within = [(torch.cdist(part, centres) <= radii).any(1) for part in points.split(ROWS)]
    return float(torch.cat(within).float().mean())


def label_entropies(log_p: Tensor) -> tuple[float, float]:
    """Entropy of the labels' share among all images, and mean entropy of an image's label, in nats.

    Of the classifier's log probabilities ``(N, classes)``. The first is log(classes) where every class is drawn equally
    often, the second 0 where every image is clearly of one.
    """
    share = log_p.logsumexp(0) - math.log(len(log_p))
    return float(-(share.exp() * share).sum()), float(-(log_p.exp() * log_p).sum(1).mean())
