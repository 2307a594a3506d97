"""Schedules: pure functions of the step, so that resuming a run needs no state.

A schedule of β is called with (step, steps) and returns the KL term's weight at that step; a schedule of the
learning rate returns the factor on the optimizer's own rate. ``steps`` is the length of the training.
"""

import math
import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from vaelab.checks import number, whole
from vaelab.errors import InputError
from vaelab.models.contracts import Schedule
from vaelab.models.multirate import beta_range


@dataclass(frozen=True)
class Length:
    """A part of a training: up to 1 a fraction of it, above 1 a number of steps, or a number of epochs.

    >>> Length.read("beta.warmup", 0.25).steps(1000, epochs=None)
    250.0
    >>> Length.read("beta.warmup", "10 epochs").steps(1000, epochs=50)
    200.0
    """

    value: float
    in_epochs: bool = False

    @classmethod
    def read(cls, option: str, value: object) -> "Length":
        """The length that ``value`` stands for: a number, or words such as "10 epochs"."""
        words = re.fullmatch(r"(\d+(?:\.\d+)?) ?epochs?", value.strip()) if isinstance(value, str) else None
        if words:
            return cls(float(words[1]), in_epochs=True)
        if isinstance(value, str):
            raise InputError(f'{option} must be a number, or a number of epochs such as "10 epochs", got {value!r}')
        return cls(number(option, value))

    def steps(self, steps: int, epochs: float | None) -> float:
        """This length in steps, for a training of ``steps`` steps and ``epochs`` epochs."""
        if not self.in_epochs:
            return self.value * steps if self.value <= 1 else self.value
        if epochs is None:
            raise InputError(f"{self.value:g} epochs: the length of the training in epochs is unknown")
        return self.value * steps / epochs


class Constant(Schedule):
    """β = ``weight`` throughout."""

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = number("beta.weight", weight)

    def __call__(self, step: int, steps: int) -> float:
        return self.weight


EACH = 8  # images of a batch with the same β


class Range(Schedule):
    """For ``model=multirate``: β differs within a batch, log-uniform from ``low / margin`` to ``high · margin``.

    ``EACH`` consecutive images share a β, so that the gates of a batch cost an eighth. The draws are stratified: of n
    values each is in another n-th part of the range. Validation and test are at β = 1.

    **Arguments**
        low, high: the range of β that the model is for.
        margin: how far beyond it the training goes, because the ends of a range are learnt worst.
    """

    is_range = True

    def __init__(self, low: float = 0.25, high: float = 4.0, margin: float = 1.5) -> None:
        low, high = beta_range(low, high)
        self.margin = number("beta.margin", margin)
        if self.margin < 1:
            raise InputError(f"beta.margin must be at least 1, got {margin}")
        self.logs = math.log(low / self.margin), math.log(high * self.margin)

    def __call__(self, step: int, steps: int) -> float:
        return 1.0

    def draw(self, count: int) -> Tensor:
        values = -(-count // EACH)
        share = (torch.randperm(values) + torch.rand(values)) / values
        betas = (self.logs[0] + share * (self.logs[1] - self.logs[0])).exp()
        return betas.repeat_interleave(EACH)[:count]


class Linear(Schedule):
    """β rises in a straight line from ``start`` to ``weight`` during the warm-up, then stays.

    Ladder Variational Autoencoders (Sønderby et al., 2016). ``warmup``: a fraction of the training up to 1,
    a number of steps above 1, or words such as "10 epochs".

    >>> beta = Linear(weight=4.0, warmup=0.5)
    >>> [beta(step, 100) for step in (0, 25, 50, 100)]
    [0.0, 2.0, 4.0, 4.0]
    """

    def __init__(self, weight: float = 1.0, warmup: float | str = 0.25, start: float = 0.0) -> None:
        self.weight = number("beta.weight", weight)
        self.warmup = Length.read("beta.warmup", warmup)
        self.start = number("beta.start", start)

    def __call__(self, step: int, steps: int) -> float:
        length = self.warmup.steps(steps, self.epochs)
        share = min(1.0, step / length) if length else 1.0
        return self.start + self.shape(share) * (self.weight - self.start)

    def shape(self, share: float) -> float:
        """The share of the rise, from 0 to 1, after this share of the warm-up."""
        return share


class Cosine(Linear):
    """A warm-up along half a cosine, flat at both ends: Cyclical Annealing Schedule (Fu et al., 2019).

    >>> beta = Cosine(weight=4.0, warmup=0.5)
    >>> [round(beta(step, 100), 3) for step in (0, 25, 50, 100)]
    [0.0, 2.0, 4.0, 4.0]
    """

    def shape(self, share: float) -> float:
        return 0.5 * (1 - math.cos(math.pi * share))


class Sigmoid(Linear):
    """A warm-up along a logistic curve, cut off and stretched to meet both ends.

    Generating Sentences from a Continuous Space (Bowman et al., 2016). ``steepness`` is that of the uncut curve,
    1/(1 + exp(-steepness · share)).

    >>> beta = Sigmoid(weight=4.0, warmup=0.5)
    >>> [round(beta(step, 100), 3) for step in (0, 25, 50, 100)]
    [0.0, 2.0, 4.0, 4.0]
    """

    def __init__(
        self, weight: float = 1.0, warmup: float | str = 0.25, start: float = 0.0, steepness: float = 12.0
    ) -> None:
        super().__init__(weight, warmup, start)
        self.steepness = number("beta.steepness", steepness, above=True)

    def shape(self, share: float) -> float:
        """The logistic curve, by sigmoid(x) = (1 + tanh(x / 2)) / 2, stretched to go from 0 to 1."""
        return 0.5 + 0.5 * math.tanh(self.steepness / 2 * (share - 0.5)) / math.tanh(self.steepness / 4)


class Cyclical(Schedule):
    """β rises in a straight line from ``start`` to ``weight`` at the start of each of ``cycles``, then stays.

    Cyclical Annealing Schedule: A Simple Approach to Mitigating KL Vanishing (Fu et al., 2019). ``warmup`` is the
    length of one rise, at most a cycle: a fraction of the whole training up to 1, a number of steps above 1, or words
    such as "10 epochs".

    >>> beta = Cyclical(weight=4.0, warmup=0.1, cycles=4)
    >>> [round(beta(step, 1000), 3) for step in (0, 50, 100, 249, 250, 300, 999)]
    [0.0, 2.0, 4.0, 4.0, 0.0, 2.0, 4.0]
    """

    def __init__(self, weight: float = 1.0, warmup: float | str = 0.125, start: float = 0.0, cycles: int = 4) -> None:
        self.weight = number("beta.weight", weight)
        self.warmup = Length.read("beta.warmup", warmup)
        self.start = number("beta.start", start)
        self.cycles = whole("beta.cycles", cycles)
        if not self.warmup.in_epochs and self.warmup.value <= 1 < self.warmup.value * self.cycles:
            raise InputError(
                f"beta.warmup={self.warmup.value:g} does not fit {self.cycles} times into the training: "
                f"take at most {1 / self.cycles:g}, or fewer beta.cycles"
            )

    def __call__(self, step: int, steps: int) -> float:
        if step >= steps:  # after the last step, as in the test: the value that the training ends with
            return self.weight
        cycle = max(1.0, steps / self.cycles)
        within = step % cycle
        length = min(self.warmup.steps(steps, self.epochs), cycle)
        share = min(1.0, within / length) if length else 1.0
        return self.start + share * (self.weight - self.start)


class ConstantRate(Schedule):
    """The optimizer's learning rate as it is."""

    def __call__(self, step: int, steps: int) -> float:
        return 1.0


class CosineRate(Schedule):
    """A linear warm-up to the full learning rate, then half a cosine from there down to ``final`` of it.

    SGDR: Stochastic Gradient Descent with Warm Restarts (Loshchilov and Hutter, 2017), without the restarts.
    ``warmup``: a fraction of the training up to 1, a number of steps above 1, or words such as "10 epochs".

    >>> rate = CosineRate(warmup=0.2)
    >>> [round(rate(step, 100), 3) for step in (0, 9, 19, 20, 60, 100)]
    [0.05, 0.5, 1.0, 1.0, 0.5, 0.0]
    """

    def __init__(self, warmup: float | str = 0.0, final: float = 0.0) -> None:
        self.warmup = Length.read("lr.warmup", warmup)
        self.final = number("lr.final", final)

    def __call__(self, step: int, steps: int) -> float:
        length = self.warmup.steps(steps, self.epochs)
        if step + 1 < length:
            return (step + 1) / length
        return self.fall(max(0.0, step - length) / max(1.0, steps - length))

    def fall(self, share: float) -> float:
        """The value after this share of the fall, which goes from 1 to ``final``."""
        return self.final + 0.5 * (1 - self.final) * (1 + math.cos(math.pi * min(1.0, share)))


class CosineRateOf010(CosineRate):
    """The schedule of version 0.1.0, under which its runs go on: it falls during the warm-up too."""

    def __call__(self, step: int, steps: int) -> float:
        length = self.warmup.steps(steps, self.epochs)
        rise = min(1.0, (step + 1) / length) if length else 1.0
        return rise * self.fall(step / max(1, steps))


class StepRate(Schedule):
    """A rate that falls in ``stages`` steps to ``final``: stage i, from 0, has the rate final^(i / (stages - 1)).

    Each stage is ``growth`` times as long as the one before. With the defaults the rates are 10^(-i/7) for 3^i of 3,280
    equal parts of the training, i from 0 to 7: Importance Weighted Autoencoders (Burda et al., 2016), appendix, whose
    training has 3,280 epochs.

    >>> rate = StepRate(stages=3, growth=2, final=0.01)
    >>> [rate(step, 70) for step in (0, 9, 10, 29, 30, 70)]
    [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    """

    def __init__(self, stages: int = 8, growth: float = 3.0, final: float = 0.1) -> None:
        self.stages = whole("lr.stages", stages, 2)
        self.growth = number("lr.growth", growth, above=True)
        self.final = number("lr.final", final, above=True)

    def __call__(self, step: int, steps: int) -> float:
        lengths = [self.growth**stage for stage in range(self.stages)]
        ends = list(accumulate(lengths[:-1]))
        stage = bisect_right(ends, step * sum(lengths) / max(1, steps))
        return self.final ** (stage / (self.stages - 1))
