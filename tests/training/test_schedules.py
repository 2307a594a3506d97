import math

import pytest
from compositions import composed

from vaelab.runs.prepare import make_module
from vaelab.training.schedules import (
    Constant,
    ConstantRate,
    Cosine,
    CosineRate,
    CosineRateOf010,
    Cyclical,
    Linear,
    Sigmoid,
    StepRate,
)

WARMUPS = [Linear, Cosine, Sigmoid]


@pytest.mark.parametrize("kind", WARMUPS)
def test_warmup_is_a_fraction_up_to_one_and_steps_above(kind):
    for step in (0, 13, 50, 99, 100, 700):
        assert kind(weight=2.0, warmup=0.1)(step, 1000) == kind(weight=2.0, warmup=100)(step, 1000)
    assert kind(weight=2.0, warmup=100)(50, 1000) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", [*WARMUPS, Cyclical])
@pytest.mark.parametrize("warmup", [0, 0.0])
def test_no_warmup_is_constant(kind, warmup):
    assert kind(weight=3.0, warmup=warmup)(0, 10) == Constant(3.0)(0, 10) == 3.0


@pytest.mark.parametrize("kind", WARMUPS)
def test_beta_stays_between_start_and_weight(kind):
    beta = kind(weight=4.0, warmup=0.5, start=1.0)
    values = [beta(step, 37) for step in range(60)]  # also beyond the end, as an evaluation may ask
    assert values == sorted(values)
    assert values[0] == 1.0
    assert values[-1] == 4.0


@pytest.mark.parametrize("warmup", [0.0, 0.03, 0.1, 0.3, 0.9, 7, 8.5])
def test_cosine_rises_to_the_full_rate_then_falls_to_its_end(warmup):
    rate = CosineRate(warmup=warmup, final=0.2)
    values = [rate(step, 100) for step in range(101)]
    length = 100 * warmup if warmup <= 1 else warmup
    top = max(0, math.ceil(length) - 1)  # the last step of the warm-up
    assert values[top] == 1.0
    assert values[: top + 1] == pytest.approx([min(1.0, (step + 1) / (length or 1)) for step in range(top + 1)])
    assert values[top:] == sorted(values[top:], reverse=True)
    middle = rate(round(length + (100 - length) / 2), 100)
    assert middle == pytest.approx(0.6, abs=0.8 / (100 - length) + 1e-9)  # half of the way, at most a step beside it
    assert math.isclose(values[-1], 0.2)
    assert rate(200, 100) == values[-1]


def test_the_cosine_of_version_0_1_0_is_kept_for_its_runs():
    """Its values with warmup=0.3 and 100 steps, as that version computed them."""
    rate = CosineRateOf010(warmup=0.3)
    found = [rate(step, 100) for step in (0, 10, 29, 50, 90, 100)]
    assert found == pytest.approx([0.033333, 0.357694, 0.806454, 0.5, 0.024472, 0.0], abs=1e-6)
    assert max(rate(step, 100) for step in range(101)) < 0.81


def test_constant_rate_is_one():
    assert ConstantRate()(5, 10) == 1.0


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf"), "four", None, True])
def test_weights_that_are_none_are_refused(weight):
    with pytest.raises(ValueError, match=r"beta\.weight must be a finite number of at least 0, got"):
        Constant(weight)


def test_a_sigmoid_is_the_logistic_curve_between_its_ends():
    beta = Sigmoid(warmup=1.0, steepness=8.0)
    curve = [1 / (1 + math.exp(-8 * (step / 100 - 0.5))) for step in range(101)]
    for step, value in enumerate(curve):
        expected = (value - curve[0]) / (curve[-1] - curve[0])
        assert beta(step, 100) == pytest.approx(expected, abs=1e-12)


def test_cycles_repeat_and_the_last_step_has_the_weight():
    beta = Cyclical(weight=2.0, warmup=0.1, cycles=5)
    values = [beta(step, 1000) for step in range(1001)]
    assert values[:200] == values[200:400] == values[800:1000]
    assert values[0] == 0.0
    assert values[:101] == sorted(values[:101])
    assert set(values[100:200]) == {2.0}
    assert values[1000] == 2.0
    assert beta(5, 1000) == Cyclical(weight=2.0, warmup=100, cycles=5)(5, 1000)


def test_cycles_longer_than_the_training_are_refused():
    with pytest.raises(ValueError, match=r"beta\.warmup=0\.5 does not fit 4 times .* at most 0\.25"):
        Cyclical(warmup=0.5, cycles=4)


@pytest.mark.parametrize("steepness", [0, -1.0, float("inf")])
def test_a_steepness_that_is_none_is_refused(steepness):
    with pytest.raises(ValueError, match=r"beta\.steepness must be a finite number above 0"):
        Sigmoid(steepness=steepness)


def test_the_stepwise_rate_is_that_of_burda_at_its_edges():
    """10^(-i/7) for 3^i epochs: first and last step of every stage, in a training of 3,280 epochs of 7 steps."""
    rate, first = StepRate(), 0
    for stage in range(8):
        last = first + 7 * 3**stage - 1
        for step in (first, last):
            assert rate(step, 7 * 3280) == pytest.approx(10 ** (-stage / 7), rel=1e-12)
        first = last + 1
    assert first == 7 * 3280
    assert rate(first, 7 * 3280) == rate(first + 5, 7 * 3280) == pytest.approx(0.1)


def test_stages_scale_with_the_training():
    rate = StepRate(stages=3, growth=2, final=0.25)
    assert [rate(step, 7) for step in range(8)] == [1.0, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25]


@pytest.mark.parametrize("option", [{"stages": 1}, {"growth": 0}, {"final": 0}])
def test_stages_that_are_none_are_refused(option):
    with pytest.raises(ValueError, match=rf"lr\.{next(iter(option))} must be"):
        StepRate(**option)


@pytest.mark.parametrize("make", [lambda warmup: Linear(warmup=warmup), lambda warmup: CosineRate(warmup=warmup)])
@pytest.mark.parametrize("words", ["5 epochs", "5epochs", " 5 epochs"])
def test_a_warmup_in_epochs_is_that_number_of_steps(make, words):
    counted, in_steps = make(words), make(150)
    counted.epochs = 20
    assert [counted(step, 600) for step in range(0, 600, 7)] == [in_steps(step, 600) for step in range(0, 600, 7)]


def test_a_warmup_of_one_epoch_is_not_the_whole_training():
    beta = Linear(warmup="1 epoch")
    beta.epochs = 20
    assert [beta(step, 200) for step in (0, 5, 10, 200)] == [0.0, 0.5, 1.0, 1.0]
    assert beta.end == 1.0


def test_a_warmup_in_epochs_needs_their_number():
    with pytest.raises(ValueError, match="length of the training in epochs is unknown"):
        Linear(warmup="1 epoch")(0, 10)


def test_a_run_tells_its_schedules_the_number_of_epochs():
    module = make_module(composed("beta=linear", "beta.warmup=3 epochs", "epochs=12"))
    assert (module.beta.epochs, module.lr.epochs) == (12, 12)
    assert module.beta(10, 120) == pytest.approx(1 / 3)


@pytest.mark.parametrize("words", ["soon", "epochs", "-1 epochs", "3 steps", ""])
def test_words_that_are_no_length_are_refused(words):
    with pytest.raises(ValueError, match=r'beta\.warmup must be a number, or .* such as "10 epochs", got'):
        Linear(warmup=words)
