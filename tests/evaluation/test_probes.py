import pytest
import torch

from vaelab.evaluation.probes import accuracies, mutual_information_gap


def test_a_linear_probe_fails_where_neighbours_do_not():
    """Rings around the origin: no line parts them, the nearest neighbours do."""
    torch.manual_seed(0)
    labels = torch.arange(600) % 2
    angle = 6.283 * torch.rand(600)
    codes = (1.0 + 2.0 * labels)[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    found = accuracies(codes[:400], labels[:400], codes[400:], labels[400:])
    assert found["knn_probe"] > 0.98
    assert found["linear_probe"] < 0.7


def test_both_probes_name_what_lies_apart():
    torch.manual_seed(0)
    labels = torch.arange(300) % 3
    codes = 10.0 * torch.eye(3)[labels] + torch.randn(300, 3)
    assert accuracies(codes[:200], labels[:200], codes[200:], labels[200:]) == {"linear_probe": 1.0, "knn_probe": 1.0}


@pytest.mark.parametrize(("copies", "expected"), [(1, 1.0), (2, 0.0)])
def test_the_gap_is_one_where_a_single_latent_tells_the_factor_and_none_where_two_do(copies, expected):
    torch.manual_seed(0)
    factor = torch.randint(5, (4_000,))
    telling = [factor + 0.01 * torch.randn(4_000) for _ in range(copies)]
    codes = torch.stack([*telling, torch.randn(4_000)], 1)
    assert mutual_information_gap(codes, factor[:, None]) == pytest.approx(expected, abs=0.03)
