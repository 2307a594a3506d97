"""The linear model beside the KL terms: where there is one, and its two limits in beta."""

import pytest
from evaluations import evaluation

from vaelab.evaluation.suite import evaluate


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
