"""Metrics of disentanglement on codes whose values are known: a perfect, a rotated, a random one, and some between."""

import math

import numpy as np
import pytest
import torch
from evaluations import QUICK, evaluation, evaluation_of_shapes
from torch import Tensor

from vaelab.evaluation import disentanglement as metrics
from vaelab.evaluation.suite import evaluate, settings_of

VALUES = (2, 3, 4)  # of three factors


def grid(*values: int, copies: int = 40) -> Tensor:
    """Every combination of factors, ``copies`` times: ``(N, F)``."""
    return torch.cartesian_prod(*(torch.arange(count) for count in values)).repeat(copies, 1)


def scores(latents: Tensor, factors: Tensor) -> dict[str, float]:
    """All scores, with the same images for training and test."""
    four = (latents, factors, latents, factors)
    importance, accuracy = metrics.forests(*four)
    return {
        "mig": metrics.mutual_information_gap(latents, factors),
        "sap": metrics.separated_predictability(*four, metrics.active(latents, 0.01)),
        "disentanglement": metrics.disentanglement(importance),
        "completeness": metrics.completeness(importance),
        "informativeness": float(np.mean(accuracy)),
        "factor_vae": metrics.factor_vae_score(*four, 0.01),
    }


@pytest.mark.parametrize("unused", [0, 2])
def test_a_perfect_code_has_the_highest_scores(unused):
    """Also in another order, with other signs and scales, and beside latents that do not vary.

    S_2 of SAP is the accuracy without information, 1 / values, where another latent is active. Bins of a latent that is
    noise seem to have some information about a factor, (bins - 1) (values - 1) / 2N nats.
    """
    torch.manual_seed(0)
    factors = grid(*VALUES)
    code = factors[:, [2, 0, 1]].double() * torch.tensor([-1.0, 3.0, 0.5])
    found = scores(torch.cat([code, 1e-3 * torch.randn(len(code), unused)], 1), factors)
    expected = dict.fromkeys(found, 1.0) | {"sap": 1 - (1 / 2 + 1 / 3 + 1 / 4) / 3}
    bias = (metrics.BINS - 1) * 2 / (2 * len(factors)) if unused else 0
    assert found.pop("mig") == pytest.approx(expected.pop("mig") - bias / math.log(3), abs=0.01 if unused else 1e-9)
    assert found == pytest.approx(expected)


def test_a_code_that_is_rotated_by_45_degrees_has_the_lowest_scores_though_it_knows_all():
    """Both latents say the same about both factors; which of them votes is chance."""
    torch.manual_seed(0)
    factors = grid(8, 8)
    v = factors.double() - 3.5
    z = torch.stack([v[:, 0] + v[:, 1], v[:, 0] - v[:, 1]], 1) + 0.01 * torch.randn(len(v), 2, dtype=torch.float64)
    found = scores(z, factors)
    assert found["mig"] == pytest.approx(0, abs=0.02)
    assert found["sap"] == pytest.approx(0, abs=0.02)
    assert found["disentanglement"] == pytest.approx(0, abs=0.05)
    assert found["completeness"] == pytest.approx(0, abs=0.05)
    assert found["informativeness"] == pytest.approx(1)
    assert found["factor_vae"] == pytest.approx(1 / 2, abs=0.03)


def test_a_random_code_scores_as_chance_does():
    torch.manual_seed(0)
    factors = grid(*VALUES, copies=80)
    z, test = torch.randn(2, len(factors), 5, dtype=torch.float64)
    importance, accuracy = metrics.forests(z, factors, test, factors)
    chance = [1 / count for count in VALUES]
    assert metrics.mutual_information_gap(z, factors) == pytest.approx(0, abs=0.02)
    is_active = torch.ones(5, dtype=torch.bool)
    assert metrics.separated_predictability(z, factors, test, factors, is_active) == pytest.approx(0, abs=0.04)
    assert metrics.disentanglement(importance) == pytest.approx(0, abs=0.04)
    assert metrics.completeness(importance) == pytest.approx(0, abs=0.04)
    assert accuracy == pytest.approx(chance, abs=0.04)
    assert metrics.factor_vae_score(z, factors, test, factors) == pytest.approx(1 / 3, abs=0.05)


def test_a_second_latent_with_half_of_the_information_halves_the_gaps():
    """v in 0..3, z_1 = v, z_2 = v // 2: I = log 4 and log 2, accuracies 1 and 1/2."""
    factors = grid(4, copies=50)[:, None].reshape(-1, 1)
    z = torch.cat([factors, factors // 2], 1).double()
    found = scores(z, factors)
    assert found["mig"] == pytest.approx(1 - math.log(2) / math.log(4))
    assert found["sap"] == pytest.approx(1 / 2)


def test_dci_of_an_importance_that_is_known():
    """P_1 = (1, 0) and P_2 = (1/2, 1/2), rho = (1/2, 1/2); by columns (2/3, 1/3) and (0, 1)."""
    importance = np.array([[1.0, 0.0], [0.5, 0.5]])
    assert metrics.disentanglement(importance) == pytest.approx(0.5 * 1 + 0.5 * 0)
    entropy = -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3))
    assert metrics.completeness(importance) == pytest.approx(((1 - entropy) + 1) / 2)
    assert metrics.disentanglement(np.zeros((2, 2))) == metrics.completeness(np.zeros((2, 2))) == 0
    assert metrics.completeness(np.array([[1.0, 0.0], [0.0, 0.0]])) == pytest.approx(1 / 2)


def test_latents_that_do_not_vary_neither_vote_nor_predict():
    factors = grid(2, 2)
    z = 1e-3 * factors.double()
    assert metrics.factor_vae_score(z, factors, z, factors, 0.01) == 0
    assert metrics.separated_predictability(z, factors, z, factors, metrics.active(z, 0.01)) == 0
    assert metrics.factor_vae_score(z, factors, z, factors, 0.0) == 1


@pytest.mark.parametrize("latent", [1, 3])
def test_the_part_evaluates_a_model_of_images_with_factors(latent):
    found = evaluate("disentanglement", evaluation_of_shapes(f"latent={latent}"))
    assert found["asked"] == settings_of("disentanglement", QUICK)
    assert ("mig" in found) == ("sap" in found) == (latent > 1)
    assert found["factors"] == "shape, colour, scale, rotation, x, y"
    assert len(found["factor_accuracy"]) == 6
    assert (found["train_images"], found["images"]) == (200, 100)
    assert all(0 <= found[name] <= 1 for name in metrics_of(found))


def metrics_of(found: dict[str, object]) -> list[str]:
    return [name for name, value in found.items() if isinstance(value, float) and name != "time_s"]


def test_images_without_factors_and_an_encoder_with_labels_lack_the_part():
    assert "no known factors" in evaluate("disentanglement", evaluation())["lacking"]
    found = evaluate("disentanglement", evaluation_of_shapes("model=cvae", "model.classes=3"))
    assert found["lacking"] == "the encoder gets the label as an input"
