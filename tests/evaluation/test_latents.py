"""Active units and KL terms of the latents, against direct computations."""

import pytest
import torch
from evaluations import evaluation

from vaelab.evaluation.latents import ActiveUnits, posterior_std
from vaelab.evaluation.settings import Settings
from vaelab.evaluation.suite import evaluate


@pytest.mark.parametrize("active", [0, 2, 3])
def test_active_units_are_the_latents_that_vary(active):
    torch.manual_seed(0)
    means = torch.randn(200, 3) * torch.tensor([1.0 if d < active else 0.05 for d in range(3)])
    units = ActiveUnits()
    units.add(means[:150])
    units.add(means[150:])
    assert units.compute(lambda sums: sums) == active == int((means.var(0) > 0.01).sum())


def test_latents_are_sorted_by_their_kl_terms():
    evaluated = evaluation()
    metrics = evaluate("latents", evaluated)
    assert metrics["kl_per_latent"] == sorted(metrics["kl_per_latent"], reverse=True)
    assert sorted(metrics["kl_order"]) == [0, 1, 2]
    with torch.no_grad():
        x, _ = next(evaluated.batches("test"))
        kl = evaluated.model(x).kl_per_latent.mean(0)
    torch.testing.assert_close(kl[metrics["kl_order"]], torch.tensor(metrics["kl_per_latent"]))
    assert metrics["linear_kept"] == 3
    assert len(metrics["linear_kl"]) == 3


@pytest.mark.parametrize("words", [[], ["posterior.first=top", "posterior.sees_x=true"]])
def test_a_hierarchy_has_the_active_units_of_each_layer(words):
    """By the posterior means of all test images, layer by layer."""
    settings = Settings(active_variance=1e-3)
    evaluated = evaluation("model=hvae", "bottom=2", "latent=5", *words, settings=settings)
    metrics = evaluate("latents", evaluated)
    means, _ = evaluated.posterior_means("test", 150)
    active = means.double().var(0, correction=0) > 1e-3
    assert metrics["active_units_per_layer"] == [int(active[:2].sum()), int(active[2:].sum())]
    assert metrics["active_units"] == int(active.sum())
    assert "active_units_per_layer" not in evaluate("latents", evaluation())


def test_a_higher_threshold_counts_fewer_active_units():
    counts = [
        evaluate("latents", evaluation(settings=Settings(active_variance=threshold)))["active_units"]
        for threshold in (0.0, 1e6)
    ]
    assert counts == [3, 0]


@torch.no_grad()
def test_active_units_std_and_probes_of_two_layers_take_the_second_layers_own_mean_and_variance():
    """E_q[z₂] is an expectation over z₁; the value at the mean of z₁ is far from it where q(z₂|z₁) is curved."""
    evaluated = evaluation("model=hvae", "latent=5", "bottom=3")
    posterior = evaluated.model.posterior
    for parameter in posterior.parameters():
        parameter *= 3
    x, _ = next(evaluated.batches("test"))
    q = posterior(x)
    torch.manual_seed(0)
    z = q.sample((1_500,))
    upper = slice(3, None)
    error = z[..., upper].std(0)
    means, _ = evaluated.posterior_means("test", len(x))  # what the probes get
    assert float(((means - z.mean(0))[:, upper] / error).abs().max()) < 0.15
    at_mean = posterior.second(posterior.first(x).mean).mean
    assert float(((at_mean - z.mean(0)[:, upper]) / error).abs().max()) > 0.5
    assert float((posterior_std(q) / z.std(0).mean(-1)).log().abs().max()) < 0.1
    latents = evaluate("latents", evaluated)
    assert latents["posterior_std"] == pytest.approx(float(z.std(0).mean()), rel=0.03)
    assert latents["active_units"] == int((z.mean(0).var(0, correction=0) > 0.01).sum())
