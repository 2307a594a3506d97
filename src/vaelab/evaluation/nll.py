"""How the nll of images is estimated: the test of a run and the part ``likelihood`` of an evaluation share this."""

import math
from dataclasses import dataclass

from torch import Tensor

from vaelab import rng
from vaelab.evaluation.importance import ImportanceWeights, importance_weights, log_likelihood
from vaelab.hardware import cpu_has_bf16
from vaelab.models.contracts import Model

BF16_TOLERANCE = 0.005  # nats, of the mean over images


@dataclass(frozen=True)
class Precision:
    """Whether the decoder multiplies in bfloat16, and by how many nats that changes the mean of log p(x)."""

    bf16: bool = False
    error: float = 0.0

    def stderr(self, variance: float) -> float:
        """The standard error of a mean with this Monte Carlo variance."""
        return math.hypot(math.sqrt(variance), self.error if self.bf16 else 0.0)


def choose_precision(asked: str, model: Model, x: Tensor, chunk: int | None = None) -> Precision:
    """bfloat16 where it was asked for, or where the device multiplies it natively and the error is small."""
    is_forced = asked == "bf16-mixed"
    # A model in closed form is exact, and is to stay so.
    if asked == "32-true" or (asked == "auto" and model.is_solved):
        return Precision()
    is_native = cpu_has_bf16() if x.device.type == "cpu" else x.device.type == "cuda"
    if not is_forced and not is_native:
        return Precision()
    error = bf16_error(model, x, chunk=chunk)
    return Precision(is_forced or abs(error) < BF16_TOLERANCE, error)


def bf16_error(model: Model, x: Tensor, samples: int = 25, chunk: int | None = None) -> float:
    """The change of log p(x) in nats by bfloat16 products, averaged over the images ``x``, with the same noise.

    More samples do not make it more accurate: an estimate rests on a few of them, whose rounding errors do not average
    out. For the default run it is within ±0.002 with 25 samples and with 100.
    """
    estimates = []
    for bf16 in (False, True):
        with rng.fixed_noise(x.device, rng.EVALUATE):
            estimates.append(log_likelihood(importance_weights(model, x, samples, chunk, bf16).log_w)[0])
    return float((estimates[1] - estimates[0]).mean())


@dataclass(frozen=True)
class NllEstimator:
    """-log p(x) by importance sampling.

    **Arguments**
        samples, prior_samples, chunk, widen: see `importance_weights`.
        precision: of the decoder.
    """

    samples: int
    prior_samples: int = 0
    precision: Precision = Precision()
    chunk: int | None = None
    widen: float = 1.0

    def estimate(self, model: Model, x: Tensor) -> tuple[ImportanceWeights, dict[str, Tensor]]:
        """The importance weights of ``x`` ``(B, C, H, W)``; ``nll`` and its Monte Carlo ``nll_variance`` ``(B,)``."""
        weights = importance_weights(
            model, x, self.samples, self.chunk, self.precision.bf16, prior_samples=self.prior_samples, widen=self.widen
        )
        log_p, variance = log_likelihood(weights.log_w, weights.shared)
        return weights, {"nll": -log_p, "nll_variance": variance}

    def described(self, variance: float) -> dict[str, float]:
        """The sample sizes, and the standard error of a mean nll that has this Monte Carlo ``variance``."""
        return {
            "nll_samples": self.samples,
            "nll_prior_samples": self.prior_samples,
            **({} if self.widen == 1 else {"nll_widen": self.widen}),
            "nll_stderr": self.precision.stderr(variance),
            **({"bf16_error": self.precision.error} if self.precision.bf16 else {}),
        }
