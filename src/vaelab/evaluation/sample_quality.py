"""How far samples of a model are from real images, in the features of a classifier of the same data."""

import math

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from vaelab.errors import InputError
from vaelab.evaluation import classifier
from vaelab.evaluation.evaluated_model import Evaluation
from vaelab.models.vae import sample_images

NEIGHBOURS = 3  # Kynkäänniemi et al. (2019), section 3.1
ROWS = 1_000  # of a matrix of distances in memory at a time
GENERATED = 1_000  # samples drawn at a time


def measure(evaluation: Evaluation) -> dict[str, object]:
    """The part ``samples``: samples against test images, and for comparison training images against test images."""
    data = evaluation.data
    real, labels = evaluation.first("test", evaluation.settings.generated)
    count = len(real)
    if count <= NEIGHBOURS:
        raise InputError(f"samples are compared with at least {NEIGHBOURS + 1} test images, got {count}")
    judge, accuracy = classifier.obtain(data, evaluation.device, evaluation.cache, evaluation.track)
    generated = _generate(evaluation, labels)
    train = data.image_set.train
    other = data.scale(train[torch.randperm(len(train))[:count]][0], drawn=True)
    (features, _), (found, log_p), (reference, _) = (judge.describe(images) for images in (real, generated, other))
    precision, recall = precision_recall(features, found)
    entropy, confusion = label_entropies(log_p)
    return {
        "frechet_distance": frechet_distance(features, found),
        "frechet_distance_of_training_images": frechet_distance(features, reference),
        "precision": precision,
        "recall": recall,
        "label_entropy": entropy,
        "label_confusion": confusion,
        "samples": count,
        "images": count,
        **({} if evaluation.model.has_bound else {"latents": "from N(0, I), on which this model was not trained"}),
        "features": f"vaelab's classifier of {data.image_set.name}: no FID",
        "classifier_accuracy": accuracy,
    }


def _generate(evaluation: Evaluation, labels: Tensor) -> Tensor:
    """A sample of the model for each of ``labels`` ``(N,)``: ``(N, C, H, W)``."""
    chunks = evaluation.track(torch.arange(len(labels)).split(GENERATED), "samples")
    is_binary = evaluation.data.is_binary
    return torch.cat([sample_images(evaluation.model, labels[chunk.to(labels.device)], is_binary) for chunk in chunks])


class _Identity(nn.Module):
    """The network that torchmetrics asks for: its inputs are features already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """‖m - m'‖² + tr(C + C' - 2 (C C')^½), of means and covariances of features ``(N, F)`` and ``(M, F)``.

    The estimate falls as the number of images grows: two of them are comparable at the same number only.

    **References**
        GANs Trained by a Two Time-Scale Update Rule (Heusel et al., 2017), there with the Inception network's features.
    """
    metric = FrechetInceptionDistance(feature=_Identity(real.shape[1]))
    metric.update(real.cpu().double(), real=True)
    metric.update(generated.cpu().double(), real=False)
    return float(metric.compute())


def precision_recall(real: Tensor, generated: Tensor, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """The share of generated features ``(M, F)`` near real ones ``(N, F)``, and of real ones near generated ones.

    Near a set means: within the distance of one of its points to that point's ``neighbours``-th nearest neighbour.

    **References**
        Improved Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi et al., 2019).
    """
    return _share_within(generated, real, neighbours), _share_within(real, generated, neighbours)


def _share_within(points: Tensor, centres: Tensor, neighbours: int) -> float:
    # A point is its own nearest neighbour, at distance 0.
    radii = torch.cat([torch.cdist(part, centres).kthvalue(neighbours + 1, 1).values for part in centres.split(ROWS)])
    within = [(torch.cdist(part, centres) <= radii).any(1) for part in points.split(ROWS)]
    return float(torch.cat(within).float().mean())


def label_entropies(log_p: Tensor) -> tuple[float, float]:
    """Entropy of the mean label distribution, and mean entropy of an image's label distribution, in nats.

    The first is log(classes) where every class is drawn equally often, the second 0 where every image is clearly of
    one class.

    **Arguments**
        log_p: the classifier's log probabilities ``(N, classes)``.
    """
    share = log_p.logsumexp(0) - math.log(len(log_p))
    return float(-(share.exp() * share).sum()), float(-(log_p.exp() * log_p).sum(1).mean())
