"""How well the latents predict the labels, by scikit-learn's classifiers of the posterior means."""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from vaelab.errors import InputError
from vaelab.evaluation.disentanglement import mutual_information_gap
from vaelab.evaluation.evaluated_model import Evaluation

NEIGHBOURS = 5


def measure(evaluation: Evaluation) -> dict[str, object]:
    """The part ``probes``: accuracy of classifiers of the latents, and the mutual information gap."""
    train_means, train_labels = evaluation.posterior_means("train", evaluation.settings.probe_images)
    if len(train_labels.unique()) < 2:
        raise InputError("probes need training images with at least 2 different labels")
    means, labels = evaluation.posterior_means("test", len(evaluation.data.sets["test"]))
    metrics: dict[str, object] = dict(accuracies(train_means, train_labels, means, labels))
    if means.shape[1] > 1 and len(labels.unique()) > 1:
        metrics["mutual_information_gap"] = mutual_information_gap(means, labels.unsqueeze(1))
    return {**metrics, "train_images": len(train_means), "images": len(means)}


def accuracies(latents: Tensor, labels: Tensor, test_latents: Tensor, test_labels: Tensor) -> dict[str, float]:
    """Accuracy of a linear and of a nearest-neighbour classifier.

    **Arguments**
        latents, labels: what the classifiers are trained on ``(N, D)``, ``(N,)``.
        test_latents, test_labels: what they are tested on ``(M, D)``, ``(M,)``.
    """
    x, test_x = (part.cpu().double().numpy() for part in (latents, test_latents))
    y, test_y = (part.cpu().numpy() for part in (labels, test_labels))
    probes = {
        # Few Newton steps reach the optimum, for which the default solver needs hundreds of passes over the images.
        "linear_probe": make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cg")),
        "knn_probe": KNeighborsClassifier(min(NEIGHBOURS, len(x))),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the accuracy has settled by then
        return {name: float(probe.fit(x, y).score(test_x, test_y)) for name, probe in probes.items()}
