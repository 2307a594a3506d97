"""Distances between features, against closed forms and clusters whose overlap is known."""

import math

import pytest
import torch
from evaluations import evaluation

from vaelab.evaluation.sample_quality import frechet_distance, label_entropies, precision_recall
from vaelab.evaluation.suite import evaluate

pytestmark = pytest.mark.usefixtures("short_training")


def test_the_frechet_distance_is_that_of_the_gaussians():
    """Of commuting covariances: ‖m - m'‖² + sum (s - s')²."""
    torch.manual_seed(0)
    noise = torch.randn(20_000, 4, dtype=torch.float64)
    scales = torch.tensor([1.0, 2.0, 0.5, 1.0]), torch.tensor([2.0, 2.0, 1.0, 0.1])
    shift = torch.tensor([3.0, 0.0, 0.0, -1.0])
    found = frechet_distance(noise * scales[0], noise.flip(0) * scales[1] + shift)
    expected = float(shift.square().sum() + (scales[0] - scales[1]).square().sum())
    assert found == pytest.approx(expected, rel=0.02)
    assert frechet_distance(noise, noise) == pytest.approx(0, abs=1e-6)


def test_precision_and_recall_tell_bad_samples_from_missing_ones():
    torch.manual_seed(0)
    here, there = torch.randn(300, 5), torch.randn(300, 5) + 100
    both = torch.cat([here, there])
    assert precision_recall(both, here + 0.01 * torch.randn(300, 5)) == (1.0, pytest.approx(0.5, abs=0.02))
    assert precision_recall(here, torch.cat([here + 0.01, there])) == (pytest.approx(0.5, abs=0.02), 1.0)
    assert precision_recall(here, there) == (0.0, 0.0)


def test_label_entropies_of_balanced_and_of_undecided_labels():
    sure = torch.eye(10).repeat(30, 1).add(1e-30).log()
    assert label_entropies(sure) == (pytest.approx(math.log(10), abs=1e-5), pytest.approx(0, abs=1e-5))
    undecided = torch.full((50, 10), 0.1).log()
    assert label_entropies(undecided) == (pytest.approx(math.log(10)), pytest.approx(math.log(10)))
    one_class = torch.eye(10)[:1].repeat(20, 1).add(1e-30).log()
    assert label_entropies(one_class) == (pytest.approx(0, abs=1e-5), pytest.approx(0, abs=1e-5))


def test_real_images_are_nearer_to_test_images_than_samples_of_an_untrained_model(classifiers):
    metrics = evaluate("samples", evaluation(classifiers=classifiers))
    assert metrics["frechet_distance"] > 3 * metrics["frechet_distance_of_training_images"] > 0
    assert metrics["samples"] == metrics["images"] == 100
    assert 0 <= metrics["precision"] <= 1
    assert 0 <= metrics["label_entropy"] <= math.log(10)
