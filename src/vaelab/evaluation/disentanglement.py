"""The part ``disentanglement``: how well single latents represent single factors of variation, where these are known.

All metrics are computed from posterior means z ``(N, D)`` and factors v ``(N, F)``, whole numbers. Classifiers are
fitted to training images and scored on test images.
"""

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score, mutual_info_score
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor

from vaelab import rng
from vaelab.errors import InputError
from vaelab.evaluation.evaluated_model import Evaluation
from vaelab.evaluation.progress import Track, untracked

BINS = 20  # per latent, as in Locatello et al. (2019)
TREES, LEAF = 30, 3  # of a forest in DCI, and images in a leaf, at least
VOTES, TEST_VOTES, VOTE_IMAGES = 10_000, 5_000, 64  # of the FactorVAE score, as in Locatello et al. (2019)


def measure(evaluation: Evaluation) -> dict[str, object]:
    """The part ``disentanglement``: MIG, SAP, DCI and the FactorVAE score."""
    settings = evaluation.settings
    train, train_factors = _codes(evaluation, "train", settings.probe_images)
    test, test_factors = _codes(evaluation, "test", None)
    varies = [len(part.unique()) > 1 for part in train_factors.T]
    names = evaluation.data.image_set.factor_names or [f"factor {index}" for index in range(len(varies))]
    if not any(varies):
        raise InputError("disentanglement needs training images in which a factor has 2 values or more")
    train_factors, test_factors = train_factors[:, varies], test_factors[:, varies]
    metrics: dict[str, object] = {}
    if train.shape[1] > 1:
        is_active = active(train, settings.active_variance)
        metrics["mig"] = mutual_information_gap(test, test_factors)
        metrics["sap"] = separated_predictability(train, train_factors, test, test_factors, is_active)
    importance, accuracy = forests(train, train_factors, test, test_factors, evaluation.track)
    return {
        **metrics,
        "dci_disentanglement": disentanglement(importance),
        "dci_completeness": completeness(importance),
        "dci_informativeness": float(np.mean(accuracy)),
        "factor_vae_score": factor_vae_score(train, train_factors, test, test_factors, settings.active_variance),
        "factor_accuracy": accuracy,
        "factors": ", ".join(name for name, does in zip(names, varies, strict=True) if does),
        "train_images": len(train),
        "images": len(test),
    }


def _codes(evaluation: Evaluation, split: str, limit: int | None) -> tuple[Tensor, Tensor]:
    """Posterior means ``(N, D)`` in float64 and factors ``(N, F)`` of the images of a split, on the CPU."""
    factors = evaluation.data.factors(split)
    if factors is None:
        raise InputError("disentanglement needs images whose factors are known")
    means, _ = evaluation.posterior_means(split, limit or len(factors))
    return means.cpu().double(), factors[: len(means)]


def active(latents: Tensor, threshold: float) -> Tensor:
    """Which latents ``(D,)`` vary over images by more than ``threshold``."""
    return latents.var(0, correction=0) > threshold


def mutual_information_gap(latents: Tensor, labels: Tensor) -> float:
    """(I(z_1; v) - I(z_2; v)) / H(v), averaged over factors v; z_1 and z_2 have the most information about v.

    **References**
        Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., 2018), section 4.1.
        Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations (Locatello et al.,
        2019), for latents in ``BINS`` equal bins.

    **Arguments**
        latents: posterior means ``(N, D)``, D at least 2.
        labels: the factors, whole numbers ``(N, F)``; an MNIST-like data set has one.
    """
    binned = [np.digitize(z, np.histogram_bin_edges(z, BINS)[1:-1]) for z in latents.cpu().double().numpy().T]
    gaps = []
    for factor in labels.cpu().numpy().T:
        second, first = np.sort([mutual_info_score(z, factor) for z in binned])[-2:]
        gaps.append((first - second) / mutual_info_score(factor, factor))
    return float(np.mean(gaps))


def separated_predictability(
    latents: Tensor, factors: Tensor, test_latents: Tensor, test_factors: Tensor, is_active: Tensor
) -> float:
    """S_1 - S_2, averaged over factors (SAP); S_1 and S_2 are the two highest scores of a single latent for the factor.

    The score is the balanced accuracy on the test images with thresholds on the latent, one fewer than the factor has
    values, found by a decision tree. All factors are treated as categories. Latents that are not active score 0.

    **References**
        Variational Inference of Disentangled Latent Concepts from Unlabeled Observations (Kumar et al., 2018).
    """
    gaps = []
    for factor, test_factor in zip(factors.T.numpy(), test_factors.T.numpy(), strict=True):
        tree = DecisionTreeClassifier(
            max_leaf_nodes=len(np.unique(factor)), class_weight="balanced", random_state=rng.SUITE
        )
        scores = [
            balanced_accuracy_score(test_factor, tree.fit(z[:, None], factor).predict(test_z[:, None])) if used else 0.0
            for z, test_z, used in zip(latents.T.numpy(), test_latents.T.numpy(), is_active.tolist(), strict=True)
        ]
        second, first = np.sort(scores)[-2:]
        gaps.append(first - second)
    return float(np.mean(gaps))


def forests(
    latents: Tensor, factors: Tensor, test_latents: Tensor, test_factors: Tensor, track: Track = untracked
) -> tuple[np.ndarray, list[float]]:
    """How important each latent is for the prediction of each factor, and how accurate the prediction is, for DCI.

    A random forest predicts each factor from all latents. Every split may use every latent: where only some are
    offered, unimportant ones get a share.

    Returns the importance ``(D, F)``, each column with the sum 1, or 0 where no split helps, and the accuracy on the
    test images ``(F,)``.
    """
    importance, accuracy = [], []
    for index in track(range(factors.shape[1]), "DCI"):
        forest = RandomForestClassifier(TREES, min_samples_leaf=LEAF, max_features=None, random_state=rng.SUITE)
        forest.fit(latents.numpy(), factors[:, index].numpy())
        importance.append(forest.feature_importances_)
        accuracy.append(float(forest.score(test_latents.numpy(), test_factors[:, index].numpy())))
    return np.stack(importance, 1), accuracy


def disentanglement(importance: np.ndarray) -> float:
    """sum_d rho_d (1 - H_F(P_d)), P_df the share of factor f in the importance of latent d, rho_d that of d in all.

    It is 1 where each latent is important for one factor only. H_F is the entropy to the base F; with one factor the
    result is 1.

    **References**
        A Framework for the Quantitative Evaluation of Disentangled Representations (Eastwood and Williams, 2018),
        section 2.

    **Arguments**
        importance: of each latent for each factor ``(D, F)``, at least 0.
    """
    total = importance.sum()
    if not total:
        return 0.0
    return float((importance.sum(1) / total * (1 - _entropies(importance))).sum())


def completeness(importance: np.ndarray) -> float:
    """mean_f (1 - H_D(P_f)), P_fd the share of latent d in the importance for factor f: 1 where one latent has it all.

    A factor that no latent predicts counts as 0.

    **References**
        A Framework for the Quantitative Evaluation of Disentangled Representations (Eastwood and Williams, 2018),
        section 2.
    """
    is_predicted = importance.sum(0) > 0
    return float(((1 - _entropies(importance.T)) * is_predicted).mean())


def _entropies(rows: np.ndarray) -> np.ndarray:
    """The entropy of each row ``(R, C)``, as shares of its sum, to the base C."""
    shares = rows / np.maximum(rows.sum(1, keepdims=True), np.finfo(float).tiny)
    logs = np.log(np.where(shares > 0, shares, 1))
    return -(shares * logs).sum(1) / np.log(max(2, rows.shape[1]))


def factor_vae_score(
    latents: Tensor, factors: Tensor, test_latents: Tensor, test_factors: Tensor, threshold: float = 0.0
) -> float:
    """The accuracy with which the latent that varies least tells which factor was held fixed.

    A vote is of ``VOTE_IMAGES`` images that have one value of one factor in common: the latent with the smallest
    variance, relative to its variance over all images, votes for that factor. The factor that a latent mostly votes for
    in ``VOTES`` votes of training images is its prediction in ``TEST_VOTES`` votes of test images.

    **References**
        Disentangling by Factorising (Kim and Mnih, 2018), section 4.

    **Arguments**
        threshold: latents whose variance over the training images is not above it do not vote; with none the score is
            0.
    """
    is_active = active(latents, threshold)
    if not is_active.any():
        return 0.0
    generator = rng.generator(rng.SUITE)
    scale = latents[:, is_active].std(0)
    counts = _votes(latents[:, is_active] / scale, factors, VOTES, generator)
    predicted = counts.argmax(1)
    tested = _votes(test_latents[:, is_active] / scale, test_factors, TEST_VOTES, generator)
    return float(tested[torch.arange(len(tested)), predicted].sum()) / TEST_VOTES


def _votes(latents: Tensor, factors: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """How many of ``count`` votes each latent had for each factor ``(D, F)``."""
    number = factors.shape[1]
    votes = torch.zeros(latents.shape[1], number, dtype=torch.int64)
    fixed = torch.randint(number, (count,), generator=generator)
    for factor in range(number):
        values = factors[torch.randint(len(factors), (int((fixed == factor).sum()),), generator=generator), factor]
        for value, wanted in zip(*values.unique(return_counts=True), strict=True):
            same = (factors[:, factor] == value).nonzero().squeeze(1)
            chosen = same[torch.randint(len(same), (int(wanted), VOTE_IMAGES), generator=generator)]
            least = latents[chosen].var(1, correction=0).argmin(1)
            votes[:, factor] += least.bincount(minlength=len(votes))
    return votes
