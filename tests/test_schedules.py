import math

import pytest

from vaelab.schedules import Constant, ConstantRate, CosineRate, Linear


def test_warmup_is_a_fraction_up_to_one_and_steps_above():
    assert Linear(weight=2.0, warmup=0.1)(50, 1000) == Linear(weight=2.0, warmup=100)(50, 1000) == 1.0


@pytest.mark.parametrize("warmup", [0, 0.0])
def test_no_warmup_is_constant(warmup):
    assert Linear(weight=3.0, warmup=warmup)(0, 10) == Constant(3.0)(0, 10) == 3.0


def test_beta_stays_between_start_and_weight():
    beta = Linear(weight=4.0, warmup=0.5, start=1.0)
    values = [beta(step, 37) for step in range(60)]  # also beyond the end, as an evaluation may ask
    assert values == sorted(values)
    assert values[0] == 1.0
    assert values[-1] == 4.0


def test_cosine_rises_then_falls_to_its_end():
    rate = CosineRate(warmup=0.1, final=0.2)
    values = [rate(step, 100) for step in range(101)]
    assert max(values) == values[values.index(max(values))] <= 1.0
    assert values[:10] == sorted(values[:10])
    assert values[10:] == sorted(values[10:], reverse=True)
    assert math.isclose(values[-1], 0.2)
    assert rate(200, 100) == values[-1]


def test_constant_rate_is_one():
    assert ConstantRate()(5, 10) == 1.0


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf"), "four", None, True])
def test_weights_that_are_none_are_refused(weight):
    with pytest.raises(ValueError, match=r"beta\.weight must be a finite number of at least 0, got"):
        Constant(weight)
