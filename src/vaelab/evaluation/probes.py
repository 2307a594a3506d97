"""What the codes tell of the labels, by scikit-learn's classifiers on the posterior means."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

NEIGHBOURS = 5
BINS = 20  # per latent: Locatello et al. (2019)


def accuracies(codes: Tensor, labels: Tensor, test_codes: Tensor, test_labels: Tensor) -> dict[str, float]:
    """Accuracy on ``test_codes`` ``(M, D)`` of a linear probe and of k-NN that saw ``codes`` ``(N, D)``."""
    x, y, test_x, test_y = (part.cpu().numpy() for part in (codes, labels, test_codes, test_labels))
    probes = {
        "linear_probe": make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)),
        "knn_probe": KNeighborsClassifier(min(NEIGHBOURS, len(x))),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # after 200 iterations its accuracy has settled
        return {name: float(probe.fit(x, y).score(test_x, test_y)) for name, probe in probes.items()}


def mutual_information_gap(codes: Tensor, factors: Tensor) -> float:
    """(I(z_1; v) - I(z_2; v)) / H(v), averaged over factors v: z_1 and z_2 tell most and second most of v.

    Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., 2018), section 4.1, with latents in
    ``BINS`` equal bins as in Challenging Common Assumptions in the Unsupervised Learning of Disentangled
    Representations (Locatello et al., 2019).

    Args:
        codes: posterior means ``(N, D)``, D at least 2.
        factors: whole numbers ``(N, F)``; of MNIST-like data there is one, the label.
    """
    binned = [np.digitize(code, np.histogram_bin_edges(code, BINS)[1:-1]) for code in codes.cpu().double().numpy().T]
    gaps = []
    for factor in factors.cpu().numpy().T:
        second, first = np.sort([mutual_info_score(code, factor) for code in binned])[-2:]
        gaps.append((first - second) / mutual_info_score(factor, factor))
    return float(np.mean(gaps))
