"""The part ``likelihood`` of an evaluation: log p(x) = ELBO + gap, by importance sampling with many samples."""

from vaelab import rng
from vaelab.evaluation.bounds import bits_per_dimension
from vaelab.evaluation.evaluated_model import BATCH, Evaluation
from vaelab.evaluation.importance import can_widen, effective_samples, useful_prior_samples
from vaelab.evaluation.means import Mean, numbers
from vaelab.evaluation.nll import NllEstimator, choose_precision

WEIGHTS = 25_000_000  # importance weights in memory at a time


def measure(evaluation: Evaluation) -> dict[str, object]:
    """The part ``likelihood``: nll with its standard error, and the ELBO from the same latent samples."""
    settings = evaluation.settings
    estimator, means = _estimator(evaluation), Mean()
    size = max(1, min(BATCH, WEIGHTS // (settings.nll_samples + settings.prior_samples)))
    batches = list(evaluation.batches("test", size=size))
    for index, (x, labels) in enumerate(evaluation.track(batches, f"nll, K = {settings.nll_samples:,}")):
        with rng.fixed_noise(x.device, evaluation.seed, rng.SUITE, index):
            weights, nll = estimator.estimate(evaluation.model.given(labels), x)
            bounds = {"elbo": weights.elbo, "rate": weights.rate, "distortion": weights.distortion}
            means.add({**bounds, **nll, "effective_samples": effective_samples(weights.log_w)})
    found = numbers(means.compute())
    variance = found.pop("nll_variance")
    return {
        **found,
        **bits_per_dimension(found, evaluation.model, x[0].numel()),
        "gap": -found["elbo"] - found["nll"],
        **estimator.described(variance / means.total),
        "images": means.total,
        "decoder_precision": "bf16-mixed" if estimator.precision.bf16 else "32-true",
    }


def _estimator(evaluation: Evaluation) -> NllEstimator:
    """The estimator that suits the model, by the first test images."""
    settings = evaluation.settings
    x, labels = next(evaluation.batches("test"))
    model = evaluation.model.given(labels)
    prior_samples = useful_prior_samples(model, x, evaluation.prior_samples)
    widen = settings.widen if not prior_samples and can_widen(model) else 1.0
    precision = choose_precision(settings.precision, model, x, settings.chunk)
    return NllEstimator(settings.nll_samples, prior_samples, precision, settings.chunk, widen)
