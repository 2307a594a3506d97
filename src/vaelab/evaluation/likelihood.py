"""The part ``likelihood`` of an evaluation: log p(x) = ELBO + gap, by importance sampling with many samples."""

import math
from dataclasses import dataclass

from torch import Tensor

from vaelab import rng
from vaelab.evaluation.bounds import bits_per_dimension
from vaelab.evaluation.evaluated_model import BATCH, Evaluation
from vaelab.evaluation.importance import (
    BF16_TOLERANCE,
    bf16_error,
    can_widen,
    effective_samples,
    importance_weights,
    log_likelihood,
    useful_prior_samples,
)
from vaelab.evaluation.means import Mean, numbers
from vaelab.hardware import cpu_has_bf16
from vaelab.models.contracts import Model

WEIGHTS = 25_000_000  # importance weights in memory at a time


@dataclass(frozen=True)
class _Precision:
    """Whether the decoder multiplies in bfloat16, and by how many nats that changes the mean of log p(x)."""

    bf16: bool
    error: float = 0.0


def measure(evaluation: Evaluation) -> dict[str, object]:
    """The part ``likelihood``: nll with its standard error, and the ELBO from the same latent samples."""
    settings = evaluation.settings
    x, labels = next(evaluation.batches("test"))
    model = evaluation.model.given(labels)
    prior_samples = useful_prior_samples(model, x, evaluation.prior_samples)
    widen = settings.widen if not prior_samples and can_widen(model) else 1.0
    precision = _choose_precision(settings.precision, model, x, settings.chunk)
    means = Mean()
    size = max(1, min(BATCH, WEIGHTS // (settings.nll_samples + settings.prior_samples)))
    batches = list(evaluation.batches("test", size=size))
    for index, (x, labels) in enumerate(evaluation.track(batches, f"nll, K = {settings.nll_samples:,}")):
        with rng.fixed_noise(x.device, evaluation.seed, rng.SUITE, index):
            means.add(_values(evaluation, x, labels, prior_samples, widen, precision))
    found = numbers(means.compute())
    variance = found.pop("nll_variance")
    return {
        **found,
        **bits_per_dimension(found, evaluation.model, x[0].numel()),
        "nll_stderr": math.hypot(math.sqrt(variance / means.total), precision.error if precision.bf16 else 0.0),
        "gap": -found["elbo"] - found["nll"],
        "nll_samples": settings.nll_samples,
        "nll_prior_samples": prior_samples,
        **({} if widen == 1 else {"nll_widen": widen}),
        "images": means.total,
        "decoder_precision": "bf16-mixed" if precision.bf16 else "32-true",
        **({"bf16_error": precision.error} if precision.bf16 else {}),
    }


def _values(
    evaluation: Evaluation, x: Tensor, labels: Tensor, prior_samples: int, widen: float, precision: _Precision
) -> dict[str, Tensor]:
    """The metrics of each image ``(B,)``."""
    settings = evaluation.settings
    weights = importance_weights(
        evaluation.model.given(labels), x, settings.nll_samples, settings.chunk, precision.bf16,
        prior_samples=prior_samples, widen=widen,
    )  # fmt: skip
    log_p, variance = log_likelihood(weights.log_w, weights.shared)
    return {
        "elbo": weights.elbo,
        "rate": weights.rate,
        "distortion": weights.distortion,
        "nll": -log_p,
        "nll_variance": variance,
        "effective_samples": effective_samples(weights.log_w),
    }


def _choose_precision(asked: str, model: Model, x: Tensor, chunk: int | None) -> _Precision:
    """bfloat16 where it was asked for, or where the device multiplies it natively and the error is small."""
    is_forced = asked == "bf16-mixed"
    # A model in closed form is exact, and is to stay so.
    if asked == "32-true" or (asked == "auto" and model.is_solved):
        return _Precision(False)
    is_native = cpu_has_bf16() if x.device.type == "cpu" else x.device.type == "cuda"
    if not is_forced and not is_native:
        return _Precision(False)
    error = bf16_error(model, x, chunk=chunk)
    return _Precision(is_forced or abs(error) < BF16_TOLERANCE, error)
