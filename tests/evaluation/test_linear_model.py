"""The linear model beside the KL terms: where there is one, and its two limits in beta."""

import pytest
from compositions import module_of, small_data
from evaluations import QUICK, evaluation

from vaelab.data import datamodule
from vaelab.evaluation.suite import Evaluation, evaluate
from vaelab.models.covariance import leading_spectrum
from vaelab.plots import run_plots


def test_the_linear_model_uses_no_latent_at_a_large_beta():
    metrics = evaluate("latents", evaluation("beta.weight=100000"))
    assert (metrics["linear_kept"], metrics["linear_kl"]) == (0, [0, 0, 0])
    assert "linear_kl" not in evaluate("latents", evaluation("beta.weight=0"))


@pytest.mark.parametrize(
    "overrides", [["loss=capacity", "beta.weight=100"], ["loss=tc"], ["model=noisy_ae"], ["model=cvae"]]
)
def test_there_is_no_linear_model_where_beta_does_not_weigh_the_whole_kl_term(overrides):
    assert "linear_kl" not in evaluate("latents", evaluation(*overrides))


def test_the_linear_model_has_the_noise_of_the_likelihood_where_there_is_one():
    metrics = evaluate("latents", evaluation("likelihood=gaussian", "likelihood.sigma=0.25"))
    assert metrics["linear_noise"].startswith("sigma = 0.2500, the likelihood's")


def test_the_plot_and_the_evaluation_share_one_spectrum(monkeypatch):
    calls = []
    monkeypatch.setattr(datamodule, "leading_spectrum", lambda *given: calls.append(1) or leading_spectrum(*given))
    data, module = small_data(), module_of().eval()
    data.setup()
    run_plots.RunPlots(module.evaluated(data), "a run").draw(run_plots.kl_per_latent)
    assert "linear_kl" in evaluate("latents", Evaluation.of(module.evaluated(data), QUICK))
    assert calls == [1]
