"""The part likelihood on a small model, against a direct computation."""

import pytest
import torch
from evaluations import evaluation

from vaelab.evaluation import nll
from vaelab.evaluation.importance import importance_weights, log_likelihood
from vaelab.evaluation.settings import Settings
from vaelab.evaluation.suite import evaluate


def test_the_likelihood_is_that_of_the_weights_and_the_identity_holds():
    evaluated = evaluation(settings=Settings(nll_samples=400, prior_samples=0, precision="32-true"))
    metrics = evaluate("likelihood", evaluated)
    x, _ = next(evaluated.batches("test"))
    torch.manual_seed(1)
    with torch.no_grad():
        estimate, _ = log_likelihood(importance_weights(evaluated.model, x, 400).log_w)
    assert metrics["nll"] == pytest.approx(-float(estimate.mean()), abs=5 * metrics["nll_stderr"] + 1e-3)
    assert metrics["elbo"] == pytest.approx(-metrics["rate"] - metrics["distortion"], rel=1e-6)
    assert metrics["gap"] == pytest.approx(-metrics["elbo"] - metrics["nll"])
    assert 1 < metrics["effective_samples"] < 400
    assert (metrics["images"], metrics["nll_samples"], metrics["decoder_precision"]) == (150, 400, "32-true")
    assert metrics["nll_prior_samples"] == 0
    helped = evaluate("likelihood", evaluation(settings=Settings(nll_samples=400, prior_samples=3_000)))
    assert helped["nll_prior_samples"] == 3_000
    assert helped["nll"] == pytest.approx(metrics["nll"], abs=0.05)
    wider = evaluate("likelihood", evaluation(settings=Settings(nll_samples=400, prior_samples=0, widen=1.5)))
    assert (wider["nll_widen"], "nll_widen" in metrics) == (1.5, False)
    assert wider["nll"] == pytest.approx(metrics["nll"], abs=0.05)
    assert wider["elbo"] == pytest.approx(metrics["elbo"], abs=0.2)


def test_bfloat16_is_used_only_where_it_is_accurate_enough(monkeypatch):
    monkeypatch.setattr(nll, "cpu_has_bf16", lambda: True)
    for error, expected in ((0.001, "bf16-mixed"), (0.1, "32-true")):
        monkeypatch.setattr(nll, "bf16_error", lambda *_, error=error, **__: error)
        assert evaluate("likelihood", evaluation())["decoder_precision"] == expected
    forced = evaluation(settings=Settings(nll_samples=5, precision="bf16-mixed"))
    metrics = evaluate("likelihood", forced)
    assert (metrics["decoder_precision"], metrics["bf16_error"]) == ("bf16-mixed", 0.1)
