"""Means over images against torch's own, over batches and processes of different sizes."""

import math

import torch

from vaelab.evaluation.means import Mean, numbers, vectors


def test_the_mean_gives_each_image_the_same_weight():
    values = torch.rand(10)
    mean = Mean()
    for part in (values[:7], values[7:7], values[7:]):
        mean.add({"metric": part})
    assert math.isclose(mean.compute(lambda sums: sums)["metric"], float(values.double().mean()), rel_tol=1e-6)


def test_the_mean_of_two_processes_adds_sums_before_it_divides():
    mean = Mean()
    mean.add({"metric": torch.tensor([1.0, 3.0])})
    other = torch.tensor([8.0, 1.0], dtype=torch.float64)  # sum and count of the other process
    assert mean.compute(lambda sums: sums + other) == {"metric": 4.0}


def test_means_of_numbers_and_of_vectors_are_told_apart_by_their_shape():
    values = torch.rand(6, 3)
    mean = Mean()
    mean.add({"number": values[:, 0], "vector": values})
    found = mean.compute()
    assert numbers(found) == {"number": found["number"]}
    assert vectors(found) == {"vector": found["vector"]}
    torch.testing.assert_close(torch.tensor(found["vector"]), values.mean(0))
    assert mean.total == 6
