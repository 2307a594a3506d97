"""Metrics of a user's own: what is kept of each, whether it succeeds, fails or does not exist for a model."""

from collections.abc import Iterator

import pytest
import torch
from evaluations import evaluation

from vaelab.evaluation import metrics
from vaelab.evaluation.metrics import CATALOGUE, Metric, lower_is_better, own_values, ranked, sweep_metrics
from vaelab.evaluation.own import Measure, evaluate_own


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Metrics that the test makes known are unknown afterwards."""
    yield
    metrics._OWN.clear()


class Draws(Measure):
    metric = Metric("draws", "nats", "the first random number", "lower")

    def __call__(self, evaluated):
        return torch.rand(())


class Fails(Measure):
    metric = Metric("fails", "", "nothing")

    def __call__(self, evaluated):
        return float("seven")


class Text(Measure):
    metric = Metric("text", "", "no number")

    def __call__(self, evaluated):
        return "seven"


class Lacks(Measure):
    metric = Metric("lacks", "", "not of this model")

    def lacking(self, evaluated):
        return "the latents are discrete"

    def __call__(self, evaluated):
        raise AssertionError("it must not be called")


def test_each_metric_is_kept_with_its_description_beside_those_that_were_known():
    known = {"older": {"value": 1.0, "asked": {}, "unit": "", "meaning": "", "better": ""}}
    asked = [(measure, {"_target_": type(measure).__name__}) for measure in (Draws(), Fails(), Text(), Lacks())]
    found = evaluate_own(asked, evaluation(), known)
    assert list(found) == ["older", "draws", "fails", "text", "lacks"]
    assert found["draws"]["value"] == evaluate_own(asked[:1], evaluation())["draws"]["value"]  # the same noise
    assert found["draws"]["asked"] == {"_target_": "Draws"}
    assert (found["draws"]["unit"], found["draws"]["better"]) == ("nats", "lower")
    assert found["fails"]["error"].startswith("ValueError: could not convert string to float")
    assert found["text"]["error"] == "test_own.Text.__call__ must return a number, got str"
    assert found["lacks"]["lacking"] == "the latents are discrete"


def test_another_process_learns_the_metric_from_results_json(forgotten):
    stored = {"value": 2.0, "asked": {}, "time_s": 0.1, "unit": "nats", "meaning": "m", "better": "lower"}
    assert own_values({"draws": stored, "failed": {"error": "x"}, "nll": stored}) == {"draws": 2.0}
    assert CATALOGUE["draws"] == Metric("draws", "nats", "m", "lower")
    assert sweep_metrics()[-1] == ranked()[-1] == "draws"
    assert lower_is_better("draws")
