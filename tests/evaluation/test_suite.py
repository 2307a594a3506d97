"""The parts of an appraisal on models and data that are small, against direct computations."""

import math

import pytest
import torch
from compositions import module_of, small_data

from vaelab.evaluation.importance import importance_weights, log_likelihood
from vaelab.evaluation.suite import PARTS, EvaluatedModel, Settings, relevant_settings, find

QUICK = Settings(
    nll_samples=20,
    prior_samples=500,
    aggregate_images=100,
    probe_images=200,
    generated=100,
    amortization_images=10,
    amortization_steps=20,
)


pytestmark = pytest.mark.usefixtures("short_training")


@pytest.fixture(scope="module")
def data():
    made = small_data()
    made.setup()
    return made


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def subject(data, cache, *overrides, settings=QUICK):
    return EvaluatedModel(module_of(*overrides).eval(), data, settings, cache)


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
def test_every_model_has_its_parts_and_says_what_it_lacks(data, cache, overrides, lacking):
    judged = subject(data, cache, *overrides)
    for part in PARTS:
        figures = find(part, judged)
        assert ("lacking" in figures) == (part in lacking), part
        assert figures["asked"] == relevant_settings(part, QUICK)
        for name, value in figures.items():
            assert not isinstance(value, float) or math.isfinite(value), (part, name)


def test_the_same_settings_find_the_same_figures(data, cache):
    for part in PARTS:
        first, second = (find(part, subject(data, cache)) for _ in range(2))
        for figures in (first, second):
            figures.pop("time_s")
        assert first == second


def test_the_likelihood_is_that_of_the_weights_and_the_identity_holds(data, cache):
    judged = subject(data, cache, settings=Settings(nll_samples=400, prior_samples=0, precision="32-true"))
    figures = find("likelihood", judged)
    x, _ = next(judged.images("test"))
    torch.manual_seed(1)
    with torch.no_grad():
        estimate, _ = log_likelihood(importance_weights(judged.model, x, 400).log_w)
    assert figures["nll"] == pytest.approx(-float(estimate.mean()), abs=5 * figures["nll_stderr"] + 1e-3)
    assert figures["elbo"] == pytest.approx(-figures["rate"] - figures["distortion"], rel=1e-6)
    assert figures["gap"] == pytest.approx(-figures["elbo"] - figures["nll"])
    assert 1 < figures["effective_samples"] < 400
    assert (figures["images"], figures["codes"], figures["products"]) == (150, 400, "32-true")
    assert figures["prior_codes"] == 0
    helped = find("likelihood", subject(data, cache, settings=Settings(nll_samples=400, prior_samples=3_000)))
    assert helped["prior_codes"] == 3_000
    assert helped["nll"] == pytest.approx(figures["nll"], abs=0.05)


def test_bfloat16_is_taken_where_it_is_exact_enough_alone(data, cache, monkeypatch):
    monkeypatch.setattr(appraisal, "cpu_has_bf16", lambda: True)
    for error, products in ((0.001, "bf16-mixed"), (0.1, "32-true")):
        monkeypatch.setattr(appraisal, "bf16_error", lambda *_, error=error, **__: error)
        assert find("likelihood", subject(data, cache))["products"] == products
    forced = subject(data, cache, settings=Settings(nll_samples=5, precision="bf16-mixed"))
    figures = find("likelihood", forced)
    assert (figures["products"], figures["bf16_error"]) == ("bf16-mixed", 0.1)


def test_latents_come_in_the_order_of_their_kl_terms(data, cache):
    judged = subject(data, cache)
    figures = find("latents", judged)
    assert figures["kl_per_latent"] == sorted(figures["kl_per_latent"], reverse=True)
    assert sorted(figures["kl_order"]) == [0, 1, 2]
    with torch.no_grad():
        x, _ = next(judged.images("test"))
        kl = judged.model(x).kl_per_latent.mean(0)
    torch.testing.assert_close(kl[figures["kl_order"]], torch.tensor(figures["kl_per_latent"]))
    assert figures["linear_kept"] == 3
    assert len(figures["linear_kl"]) == 3


def test_a_beta_that_drowns_everything_leaves_the_linear_model_nothing(data, cache):
    figures = find("latents", subject(data, cache, "beta.weight=100000"))
    assert (figures["linear_kept"], figures["linear_kl"]) == (0, [0, 0, 0])
    assert "linear_kl" not in find("latents", subject(data, cache, "beta.weight=0"))


@pytest.mark.parametrize(
    "overrides", [["loss=capacity", "beta.weight=100"], ["loss=tc"], ["model=noisy_ae"], ["model=cvae"]]
)
def test_there_is_no_linear_model_where_beta_is_no_weight_of_the_kl_term_of_x(data, cache, overrides):
    assert "linear_kl" not in find("latents", subject(data, cache, *overrides))


def test_a_part_that_fails_says_so_and_is_no_traceback(data, cache, monkeypatch, caplog):
    monkeypatch.setattr(appraisal, "spectrum", lambda *_: torch.linalg.inv(torch.zeros(2, 2)))
    figures = find("latents", subject(data, cache))
    assert "LinAlgError" in figures["error"]
    assert "latents could not be found" in caplog.text


def test_the_noise_of_the_linear_model_is_the_likelihood_s_where_it_has_one(data, cache):
    figures = find("latents", subject(data, cache, "likelihood=gaussian", "likelihood.sigma=0.25"))
    assert figures["linear_noise"].startswith("sigma = 0.2500, the likelihood's")


def test_a_higher_threshold_counts_fewer_active_units(data, cache):
    counts = [
        find("latents", subject(data, cache, settings=Settings(active_variance=threshold)))["active_units"]
        for threshold in (0.0, 1e6)
    ]
    assert counts == [3, 0]


def test_real_images_are_nearer_to_test_images_than_an_untrained_model_s_samples(data, cache):
    figures = find("samples", subject(data, cache))
    assert figures["frechet_distance"] > 3 * figures["frechet_distance_of_training_images"] > 0
    assert figures["samples"] == figures["images"] == 100
    assert 0 <= figures["precision"] <= 1
    assert 0 <= figures["label_entropy"] <= math.log(10)


@pytest.mark.parametrize(
    ("option", "value"),
    [("nll_samples", 1), ("precision", "fp8"), ("aggregate_images", 1), ("active_variance", -1.0), ("chunk", 0)],
)
def test_settings_that_make_no_sense_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        Settings(**{option: value})
