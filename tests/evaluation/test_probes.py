"""Classifiers of the latents, on latents whose relation to the labels is known."""

import pytest
import torch

from vaelab.evaluation.probes import accuracies, mutual_information_gap


def test_a_linear_probe_fails_where_neighbours_do_not():
    """Rings around the origin: no line separates them, the nearest neighbours do."""
    torch.manual_seed(0)
    labels = torch.arange(600) % 2
    angle = 6.283 * torch.rand(600)
    z = (1.0 + 2.0 * labels)[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    found = accuracies(z[:400], labels[:400], z[400:], labels[400:])
    assert found["knn_probe"] > 0.98
    assert found["linear_probe"] < 0.7


def test_both_probes_are_right_where_the_classes_are_far_apart():
    torch.manual_seed(0)
    labels = torch.arange(300) % 3
    z = 10.0 * torch.eye(3)[labels] + torch.randn(300, 3)
    assert accuracies(z[:200], labels[:200], z[200:], labels[200:]) == {"linear_probe": 1.0, "knn_probe": 1.0}


@pytest.mark.parametrize(("copies", "expected"), [(1, 1.0), (2, 0.0)])
def test_the_gap_is_one_where_a_single_latent_has_the_label_and_zero_where_two_have_it(copies, expected):
    torch.manual_seed(0)
    factor = torch.randint(5, (4_000,))
    informative = [factor + 0.01 * torch.randn(4_000) for _ in range(copies)]
    z = torch.stack([*informative, torch.randn(4_000)], 1)
    assert mutual_information_gap(z, factor[:, None]) == pytest.approx(expected, abs=0.03)
