"""Metrics of a user's own: their contract, and how they are computed beside the parts of an evaluation."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import torch

from vaelab import rng
from vaelab.errors import InputError, summarize
from vaelab.evaluation.evaluated_model import EvaluatedModel
from vaelab.evaluation.metrics import Metric, add

log = logging.getLogger(__name__)


class Measure(ABC):
    """A metric of a trained model, computed once, of the tested weights: ``metric=<name>`` on the command line.

    The run's table, TensorBoard, scripts/evaluate.py and the tables of sweeps show it. It is called in evaluation mode,
    without gradients, with noise that depends on the run's seed alone.

    **Attributes**
        metric: its name, unit, meaning and which way is better, as in `vaelab.evaluation.metrics`.

    **Example**
        >>> class LargestMean(Measure):
        ...     metric = Metric("largest_mean", "", "largest absolute posterior mean of 1,000 test images", "lower")
        ...     def __call__(self, evaluated: EvaluatedModel) -> float:
        ...         means, labels = evaluated.posterior_means("test", 1_000)
        ...         return float(means.abs().max())
    """

    metric: Metric

    @abstractmethod
    def __call__(self, evaluated: EvaluatedModel) -> float:
        """The value for the model ``evaluated``."""

    def lacking(self, evaluated: EvaluatedModel) -> str | None:
        """Why the model or its images have no such metric, in a few words; None where they have."""
        return None


Asked = Sequence[tuple[Measure, Mapping[str, object]]]  # each with the options that it was made of


def check_measure(where: str, measure: Measure) -> None:
    """Add the metric of ``measure`` to the catalogue.

    **Raises**
        InputError: it has none, or one with the name of a shipped metric.
    """
    metric = getattr(measure, "metric", None)
    if not isinstance(metric, Metric):
        raise InputError(
            f"{where}: {type(measure).__qualname__}.metric must be a vaelab.evaluation.metrics.Metric, such as "
            f"Metric('sharpness', 'nats', 'what it means', 'higher'), got {metric!r}"
        )
    try:
        add(metric)
    except InputError as error:
        raise InputError(f"{where}: {type(measure).__qualname__}: {error}") from error


@torch.no_grad()
def evaluate_own(asked: Asked, evaluated: EvaluatedModel, known: Mapping[str, dict] | None = None) -> dict[str, dict]:
    """The part ``own`` of results.json: metric -> its value, time, options and description, beside those ``known``.

    Where a model has no such metric, ``lacking`` says why. One that failed has ``error`` instead of a value; its
    traceback goes to train.log, and the same command tries it again. No failure ends the run.
    """
    found = dict(known or {})
    for measure, options in asked:
        described = asdict(measure.metric)
        began, value = time.monotonic(), _value(measure, evaluated)
        found[measure.metric.name] = {**value, "time_s": time.monotonic() - began, "asked": options, **described}
    return found


def _value(measure: Measure, evaluated: EvaluatedModel) -> dict[str, object]:
    try:
        if (reason := measure.lacking(evaluated)) is not None:
            return {"lacking": reason}
        with rng.fixed_noise(evaluated.device, evaluated.seed, rng.SUITE):
            return {"value": _number(measure, measure(evaluated))}
    except Exception as error:
        name, message = measure.metric.name, summarize(error)
        log.warning(f"the metric {name} failed: {message}; the same command tries it again")
        log.debug(f"the traceback of {name}", exc_info=True)
        return {"error": message}


def _number(measure: Measure, value: object) -> float | int:
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(
            f"{type(measure).__module__}.{type(measure).__qualname__}.__call__ must return a number, "
            f"got {type(value).__name__}"
        )
    return value
