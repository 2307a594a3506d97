"""The part ``curve`` of an evaluation: rate and distortion over the whole range of β of a multi-rate model."""

import math
from collections.abc import Sequence
from dataclasses import replace

from vaelab.errors import InputError
from vaelab.evaluation import latents, likelihood
from vaelab.evaluation.bounds import squared_error
from vaelab.evaluation.evaluated_model import Evaluation
from vaelab.evaluation.means import Mean, numbers
from vaelab.evaluation.progress import untracked
from vaelab.models.contracts import Model

POINTS = 9  # values of β, evenly spaced in log β; the middle one is 1 where the range is symmetric
METRICS = (
    "elbo", "rate", "distortion", "nll", "nll_samples", "nll_prior_samples", "nll_widen", "nll_stderr", "gap",
    "bits_per_dim", "bits_per_dim_bound", "mse", "active_units", "posterior_std", "kl_per_latent", "kl_order",
    "linear_kept",
)  # fmt: skip


def values_of_beta(low: float, high: float) -> list[float]:
    """``POINTS`` values from ``low`` to ``high``, and 1, where runs are compared.

    >>> values_of_beta(0.25, 4.0)[::2]
    [0.25, 0.5, 1.0, 2.0, 4.0]
    """
    step = math.log(high / low) / (POINTS - 1)
    return sorted({1.0, *(float(f"{low * math.exp(index * step):.4g}") for index in range(POINTS))})


def check_betas(model: Model, betas: Sequence[float] | None, prefix: str = "") -> None:
    """Raise an InputError where ``betas``, an option with this ``prefix``, has a value that ``model`` is not for."""
    if betas is None or model.betas is None:
        return
    low, high = model.betas
    for beta in betas:
        if not low <= beta <= high:
            raise InputError(f"each of {prefix}betas must be from {low:g} to {high:g} for this model, got {beta:g}")


def measure(evaluation: Evaluation) -> dict[str, object]:
    """``points``: for each β the metrics on the test images; ``elbo`` is always at β = 1."""
    betas = evaluation.settings.betas or values_of_beta(*(evaluation.model.betas or (1.0, 1.0)))
    return {"points": [_point(evaluation, float(beta)) for beta in evaluation.track(betas, "rate-distortion curve")]}


def _point(evaluation: Evaluation, beta: float) -> dict[str, object]:
    at = replace(evaluation, model=evaluation.model.at(beta), beta=beta, track=untracked)
    found = {**latents.measure(at), **likelihood.measure(at), "mse": _squared_error(at)}
    return {"beta": beta, **{name: found[name] for name in METRICS if name in found}}


def _squared_error(evaluation: Evaluation) -> float:
    means = Mean()
    for x, labels in evaluation.batches("test"):
        means.add({"mse": squared_error(evaluation.model, evaluation.model.given(labels)(x))})
    return numbers(means.compute())["mse"]
