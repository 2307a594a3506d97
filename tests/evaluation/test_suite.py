"""The parts of an evaluation on small models and data, against direct computations."""

import math

import pytest
import torch
from compositions import module_of, small_data

from vaelab.evaluation import likelihood, linear_model
from vaelab.evaluation.importance import importance_weights, log_likelihood
from vaelab.evaluation.metrics import METRICS, TEST_METRICS
from vaelab.evaluation.suite import PARTS, Evaluation, Settings, evaluate, settings_of

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


def evaluation(data, cache, *overrides, settings=QUICK):
    return Evaluation.of(module_of(*overrides).eval().evaluated(data), settings, cache)


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
def test_every_model_has_the_parts_that_it_can_have(data, cache, overrides, lacking):
    evaluated = evaluation(data, cache, *overrides)
    for part in PARTS:
        metrics = evaluate(part, evaluated)
        assert ("lacking" in metrics) == (part in lacking), part
        assert metrics["asked"] == settings_of(part, QUICK)
        for name, value in metrics.items():
            assert not isinstance(value, float) or math.isfinite(value), (part, name)


def test_the_same_settings_find_the_same_figures(data, cache):
    for part in PARTS:
        first, second = (evaluate(part, evaluation(data, cache)) for _ in range(2))
        for metrics in (first, second):
            metrics.pop("time_s")
        assert first == second


def test_the_likelihood_is_that_of_the_weights_and_the_identity_holds(data, cache):
    evaluated = evaluation(data, cache, settings=Settings(nll_samples=400, prior_samples=0, precision="32-true"))
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
    helped = evaluate("likelihood", evaluation(data, cache, settings=Settings(nll_samples=400, prior_samples=3_000)))
    assert helped["nll_prior_samples"] == 3_000
    assert helped["nll"] == pytest.approx(metrics["nll"], abs=0.05)


def test_bfloat16_is_taken_where_it_is_exact_enough_alone(data, cache, monkeypatch):
    monkeypatch.setattr(likelihood, "cpu_has_bf16", lambda: True)
    for error, products in ((0.001, "bf16-mixed"), (0.1, "32-true")):
        monkeypatch.setattr(likelihood, "bf16_error", lambda *_, error=error, **__: error)
        assert evaluate("likelihood", evaluation(data, cache))["decoder_precision"] == products
    forced = evaluation(data, cache, settings=Settings(nll_samples=5, precision="bf16-mixed"))
    metrics = evaluate("likelihood", forced)
    assert (metrics["decoder_precision"], metrics["bf16_error"]) == ("bf16-mixed", 0.1)


def test_latents_come_in_the_order_of_their_kl_terms(data, cache):
    evaluated = evaluation(data, cache)
    metrics = evaluate("latents", evaluated)
    assert metrics["kl_per_latent"] == sorted(metrics["kl_per_latent"], reverse=True)
    assert sorted(metrics["kl_order"]) == [0, 1, 2]
    with torch.no_grad():
        x, _ = next(evaluated.batches("test"))
        kl = evaluated.model(x).kl_per_latent.mean(0)
    torch.testing.assert_close(kl[metrics["kl_order"]], torch.tensor(metrics["kl_per_latent"]))
    assert metrics["linear_kept"] == 3
    assert len(metrics["linear_kl"]) == 3


def test_the_linear_model_uses_no_latent_at_a_large_beta(data, cache):
    metrics = evaluate("latents", evaluation(data, cache, "beta.weight=100000"))
    assert (metrics["linear_kept"], metrics["linear_kl"]) == (0, [0, 0, 0])
    assert "linear_kl" not in evaluate("latents", evaluation(data, cache, "beta.weight=0"))


@pytest.mark.parametrize(
    "overrides", [["loss=capacity", "beta.weight=100"], ["loss=tc"], ["model=noisy_ae"], ["model=cvae"]]
)
def test_there_is_no_linear_model_where_beta_is_no_weight_of_the_kl_term_of_x(data, cache, overrides):
    assert "linear_kl" not in evaluate("latents", evaluation(data, cache, *overrides))


def test_a_part_with_a_bug_is_stored_as_failed_and_its_traceback_logged(data, cache, monkeypatch, caplog):
    monkeypatch.setattr(linear_model, "spectrum", lambda *_: torch.linalg.inv(torch.zeros(2, 2)))
    with caplog.at_level("DEBUG", logger="vaelab"):
        metrics = evaluate("latents", evaluation(data, cache))
    assert set(metrics) == {"error", "asked"}
    assert "LinAlgError" in metrics["error"]
    assert "the part latents of the evaluation failed" in caplog.text
    assert "Traceback" in caplog.text


def test_a_part_that_lacks_images_says_so_in_one_line(data, cache, monkeypatch):
    few = small_data(test=1)
    few.setup()
    metrics = evaluate("aggregate", evaluation(few, cache))
    assert metrics["error"] == "the aggregate posterior needs at least 2 test images, got 1"


def test_the_catalogue_has_every_number_that_an_evaluation_stores(data, cache):
    models = [[], ["prior=vamp", "prior.components=4"], ["latent=1"], ["model=ae"], ["model=mixture", "components=4",
              "network.hidden=[]"]]  # fmt: skip
    stored = set()
    for overrides in models:
        for settings in (QUICK, Settings(nll_samples=5, precision="bf16-mixed", generated=100, amortization_steps=2,
                                         amortization_images=4)):  # fmt: skip
            for part in PARTS:
                for name, value in evaluate(part, evaluation(data, cache, *overrides, settings=settings)).items():
                    if name != "asked":
                        stored |= set(value) if isinstance(value, dict) else {name}
    texts = {"lacking", "decoder_precision", "linear_noise", "features", "latents"}
    assert stored - texts <= set(METRICS)
    unused = set(METRICS) - stored - set(TEST_METRICS) - {"used_units"}
    assert not unused


def test_the_noise_of_the_linear_model_is_the_likelihood_s_where_it_has_one(data, cache):
    metrics = evaluate("latents", evaluation(data, cache, "likelihood=gaussian", "likelihood.sigma=0.25"))
    assert metrics["linear_noise"].startswith("sigma = 0.2500, the likelihood's")


def test_a_higher_threshold_counts_fewer_active_units(data, cache):
    counts = [
        evaluate("latents", evaluation(data, cache, settings=Settings(active_variance=threshold)))["active_units"]
        for threshold in (0.0, 1e6)
    ]
    assert counts == [3, 0]


def test_real_images_are_nearer_to_test_images_than_samples_of_an_untrained_model(data, cache):
    metrics = evaluate("samples", evaluation(data, cache))
    assert metrics["frechet_distance"] > 3 * metrics["frechet_distance_of_training_images"] > 0
    assert metrics["samples"] == metrics["images"] == 100
    assert 0 <= metrics["precision"] <= 1
    assert 0 <= metrics["label_entropy"] <= math.log(10)


@pytest.mark.parametrize(
    ("option", "value"),
    [("nll_samples", 1), ("precision", "fp8"), ("aggregate_images", 1), ("active_variance", -1.0), ("chunk", 0)],
)
def test_settings_without_a_meaning_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        Settings(**{option: value})
