"""The catalogue of metrics: it has every number that a test or an evaluation stores, and no other."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from compositions import module_of
from evaluations import QUICK, evaluation, evaluation_of_shapes, read_data
from lightning import Trainer

from vaelab.evaluation.bounds import bits_per_dimension
from vaelab.evaluation.metrics import CURVES, METRICS, RANKED, SWEEP_METRICS, TEST_METRICS
from vaelab.evaluation.suite import PARTS, evaluate
from vaelab.models.likelihoods import LogisticMixtureLikelihood
from vaelab.models.networks import MLP

pytestmark = pytest.mark.usefixtures("short_training")

WIDE_IN_BFLOAT16 = replace(QUICK, precision="bf16-mixed", widen=1.5, prior_samples=0)
MODELS = (
    (),
    ("prior=vamp", "prior.components=4"),
    ("latent=1",),
    ("model=ae",),
    ("model=mixture", "components=4", "network.hidden=[]"),
    ("posterior=chain",),
    ("model=multirate",),
)
SWEEP_ALONE = {"used_units"}  # counted from kl_per_latent by vaelab.sweeps.jobs


def numbers(section: dict[str, object]) -> set[str]:
    """The names of the numbers, and lists of numbers, in a part of an evaluation."""
    found = set()
    for name, value in section.items():
        if isinstance(value, dict):
            found |= numbers(value) if name != "asked" else set()
        elif isinstance(value, list) and value and isinstance(value[0], dict):  # the points of a curve
            found |= set().union(*map(numbers, value))
        elif not isinstance(value, str):
            found.add(name)
    return found


def stored_by_test(*overrides: str) -> set[str]:
    """The names in the section ``test`` of results.json."""
    module = module_of(*overrides)
    module.precision = "bf16-mixed"  # as on a processor that has it
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.test(module, datamodule=read_data(), verbose=False)
    return set(module.results)


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*")
def test_the_catalogue_has_every_metric_of_a_test_and_no_other():
    models = (
        (), ("loss=iwae",), ("loss=tc",), ("loss=tc", "prior=vamp", "prior.components=4"),
        ("likelihood=discretized_logistic",),
    )  # fmt: skip
    assert set().union(*(stored_by_test(*overrides) for overrides in models)) == set(TEST_METRICS)


def test_the_catalogue_has_every_number_of_an_evaluation_and_no_other(classifiers):
    evaluations = [evaluation(*overrides, classifiers=classifiers) for overrides in MODELS]
    evaluations.append(evaluation(settings=WIDE_IN_BFLOAT16, classifiers=classifiers))
    stored = set().union(*(numbers(evaluate(part, evaluated)) for evaluated in evaluations for part in PARTS))
    stored |= numbers(evaluate("disentanglement", evaluation_of_shapes()))
    assert stored <= set(METRICS)
    assert set(METRICS) - stored - set(TEST_METRICS) == SWEEP_ALONE


@pytest.mark.parametrize("likelihood", ["discretized_logistic", "logistic_mixture"])
def test_bits_per_dimension_stand_beside_nats_where_the_likelihood_is_of_256_levels(likelihood, classifiers):
    evaluated = evaluation(f"likelihood={likelihood}", classifiers=classifiers, test=30)
    found = evaluate("likelihood", evaluated)
    assert found["bits_per_dim"] == pytest.approx(found["nll"] / 784 / math.log(2))
    assert found["bits_per_dim_bound"] == pytest.approx(-found["elbo"] / 784 / math.log(2))
    assert 0 < found["bits_per_dim"] < found["bits_per_dim_bound"]


def test_a_density_has_no_bits_per_dimension(classifiers):
    found = evaluate("likelihood", evaluation("likelihood=gaussian", classifiers=classifiers))
    assert "nll" in found
    assert not any(name.startswith("bits") for name in found)


def test_of_all_levels_alike_bits_per_dimension_are_eight():
    model = LogisticMixtureLikelihood(MLP((1, 4, 4), []), 3, (1, 4, 4))
    nats = {"nll": 16 * math.log(256), "elbo": -16 * math.log(512), "rate": 3.0}
    found = bits_per_dimension(nats, SimpleNamespace(likelihood=model), 16)
    assert found == {"bits_per_dim": pytest.approx(8), "bits_per_dim_bound": pytest.approx(9)}
    without_nll = bits_per_dimension({"elbo": -1.0}, SimpleNamespace(likelihood=model), 16)
    assert set(without_nll) == {"bits_per_dim_bound"}


def test_every_list_of_metrics_is_of_the_catalogue():
    assert set(RANKED) | set(SWEEP_METRICS) | set(CURVES) <= set(METRICS)
    assert {METRICS[name].better for name in RANKED} == {"lower", "higher"}


def test_the_title_of_an_axis_has_the_unit_and_which_way_is_better():
    assert METRICS["elbo"].title == "elbo, nats (higher is better)"
    assert METRICS["posterior_std"].title == "posterior_std"
