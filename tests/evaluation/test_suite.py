"""All parts of an evaluation on small models, and how a part that fails is stored."""

import math

import pytest
import torch
from evaluations import QUICK, evaluation

from vaelab.evaluation import linear_model
from vaelab.evaluation.suite import PARTS, evaluate, settings_of
from vaelab.runs.results import has_failed

pytestmark = pytest.mark.usefixtures("short_training")


@pytest.mark.parametrize(
    ("overrides", "lacking"),
    [
        ([], set()),
        (["model=ae"], {"likelihood", "latents", "aggregate", "amortization"}),
        (["model=mixture", "components=4", "network.hidden=[]"], {"latents", "aggregate", "amortization"}),
        (["model=cvae"], {"probes"}),
        (["model=hvae", "latent=5", "bottom=3"], {"amortization"}),
        (["posterior=flow"], set()),
        (["prior=vamp", "prior.components=4"], set()),
        (["latent=1"], set()),
    ],
)
def test_every_model_has_the_parts_that_it_can_have(classifiers, overrides, lacking):
    evaluated = evaluation(*overrides, classifiers=classifiers)
    for part in PARTS:
        metrics = evaluate(part, evaluated)
        assert ("lacking" in metrics) == (part in {*lacking, "disentanglement", "curve"}), part  # no factors, one β
        assert metrics["asked"] == settings_of(part, QUICK)
        for name, value in metrics.items():
            assert not isinstance(value, float) or math.isfinite(value), (part, name)


def test_the_same_settings_give_the_same_metrics(classifiers):
    for part in PARTS:
        first, second = (evaluate(part, evaluation(classifiers=classifiers)) for _ in range(2))
        for metrics in (first, second):
            metrics.pop("time_s", None)  # a part that the images do not allow has none
        assert first == second


def test_a_part_with_a_bug_is_stored_as_failed_and_its_traceback_logged(monkeypatch, caplog):
    monkeypatch.setattr(linear_model, "linear_rates", lambda *_: torch.linalg.inv(torch.zeros(2, 2)))
    with caplog.at_level("DEBUG", logger="vaelab"):
        metrics = evaluate("latents", evaluation())
    assert set(metrics) == {"error", "asked"}
    assert "LinAlgError" in metrics["error"]
    assert "the part latents of the evaluation failed" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("aggregate", "the aggregate posterior needs at least 2 test images, got 1"),
        ("samples", "samples are compared with at least 4 test images, got 1"),
    ],
)
def test_a_part_with_too_few_images_is_stored_as_failed_in_one_line(part, message, caplog):
    with caplog.at_level("WARNING", logger="vaelab"):
        metrics = evaluate(part, evaluation(test=1))
    assert metrics == {"error": message, "asked": settings_of(part, QUICK)}
    assert has_failed(metrics)
    (record,) = caplog.records
    assert (
        record.getMessage() == f"the part {part} of the evaluation failed: {message}; the same command tries it again"
    )


@pytest.mark.parametrize("error", [OSError("no space left"), TypeError("a\nbug"), torch.OutOfMemoryError("too large")])
def test_no_error_of_a_part_ends_the_run(monkeypatch, error):
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(linear_model, "linear_rates", fail)
    metrics = evaluate("latents", evaluation())
    assert metrics["error"] == f"{type(error).__name__}: {' '.join(str(error).split())}"


def test_an_interrupt_ends_an_evaluation(monkeypatch):
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(linear_model, "linear_rates", interrupt)
    with pytest.raises(KeyboardInterrupt):
        evaluate("latents", evaluation())
