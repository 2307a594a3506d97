"""All parts of an evaluation, from likelihood and latents to the quality of samples.

Each part is a dictionary of plain values, stored in results.json under ``evaluation``. All parts are over test images,
at β = 1. `vaelab.evaluation.metrics` says what each number means.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from vaelab import rng
from vaelab.errors import InputError, one_line
from vaelab.evaluation import (
    aggregate,
    amortization,
    curve,
    disentanglement,
    latents,
    likelihood,
    probes,
    sample_quality,
)
from vaelab.evaluation.evaluated_model import EvaluatedModel, Evaluation
from vaelab.evaluation.settings import Settings

__all__ = ["PARTS", "EvaluatedModel", "Evaluation", "EvaluationPart", "Settings", "evaluate", "settings_of"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationPart:
    """One part of an evaluation.

    **Attributes**
        measure: computes its metrics.
        settings: the settings that the metrics depend on.
        lacking: why a model, or its images, have no such metrics; None where they have.
    """

    measure: Callable[[Evaluation], dict[str, object]]
    settings: tuple[str, ...]
    lacking: Callable[[Evaluation], str | None]


def _needs_bound(evaluation: Evaluation) -> str | None:
    return None if evaluation.model.has_bound else "the posterior has no density, so that there is no bound"


def _needs_continuous_latents(evaluation: Evaluation) -> str | None:
    is_possible = evaluation.model.has_continuous_latents
    return _needs_bound(evaluation) or (None if is_possible else "the latents are discrete")


def _needs_outputs(evaluation: Evaluation) -> str | None:
    is_possible = evaluation.model.posterior.has_outputs
    return _needs_continuous_latents(evaluation) or (
        None if is_possible else "the posterior cannot be optimised for one image: take posterior=gaussian or flow"
    )


def _needs_range(evaluation: Evaluation) -> str | None:
    is_possible = evaluation.model.betas is not None
    return None if is_possible else "the model was trained for one beta: model=multirate is for a range"


def _needs_labels(evaluation: Evaluation) -> str | None:
    labels = evaluation.data.image_set.train_labels
    return None if (labels != labels[0]).any() else "the training images have no labels, or all have the same"


def _needs_encoder_without_labels(evaluation: Evaluation) -> str | None:
    return None if evaluation.model.classes is None else "the encoder gets the label as an input"


def _needs_labels_unknown_to_the_encoder(evaluation: Evaluation) -> str | None:
    return _needs_labels(evaluation) or _needs_encoder_without_labels(evaluation)


def _needs_factors(evaluation: Evaluation) -> str | None:
    is_possible = evaluation.data.image_set.train_factors is not None
    return None if is_possible else "the images have no known factors, as those of data=shapes and data=dsprites have"


def _needs_factors_unknown_to_the_encoder(evaluation: Evaluation) -> str | None:
    return _needs_factors(evaluation) or _needs_encoder_without_labels(evaluation)


PARTS: Mapping[str, EvaluationPart] = {
    "likelihood": EvaluationPart(
        likelihood.measure, ("nll_samples", "prior_samples", "widen", "precision"), _needs_bound
    ),
    "latents": EvaluationPart(latents.measure, ("active_variance",), _needs_continuous_latents),
    "aggregate": EvaluationPart(aggregate.measure, ("aggregate_images",), _needs_continuous_latents),
    "probes": EvaluationPart(probes.measure, ("probe_images",), _needs_labels_unknown_to_the_encoder),
    "disentanglement": EvaluationPart(
        disentanglement.measure, ("probe_images", "active_variance"), _needs_factors_unknown_to_the_encoder
    ),
    "curve": EvaluationPart(
        curve.measure, ("betas", "nll_samples", "prior_samples", "widen", "precision", "active_variance"), _needs_range
    ),
    "samples": EvaluationPart(sample_quality.measure, ("generated",), _needs_labels),
    "amortization": EvaluationPart(
        amortization.measure,
        ("amortization_images", "amortization_steps", "nll_samples", "prior_samples"),
        _needs_outputs,
    ),
}


def settings_of(part: str, settings: Settings) -> dict[str, object]:
    """The settings that the metrics of ``part`` depend on: with the same ones they need not be computed again."""
    return {name: getattr(settings, name) for name in PARTS[part].settings}


@torch.no_grad()
def evaluate(part: str, evaluation: Evaluation) -> dict[str, object]:
    """The metrics of one part, with the seconds that it took (``time_s``) and its settings (``asked``).

    A part that the model or its images cannot have holds ``lacking``, the reason. A part that failed holds ``error``,
    the message; its traceback goes to train.log, and the same command tries the part again. No failure ends the run,
    whose other results are worth keeping.
    """
    asked = {"asked": settings_of(part, evaluation.settings)}
    reason = PARTS[part].lacking(evaluation)
    if reason is not None:
        return {"lacking": reason, **asked}
    began = time.monotonic()
    try:
        with rng.fixed_noise(evaluation.device, evaluation.seed, rng.SUITE):
            metrics = PARTS[part].measure(evaluation)
    except Exception as error:
        message = one_line(error)
        if not isinstance(error, InputError):  # a bug, or too little memory
            message = f"{type(error).__name__}: {message}"
        log.warning(f"the part {part} of the evaluation failed: {message}; the same command tries it again")
        log.debug(f"the traceback of {part}", exc_info=True)
        return {"error": message, **asked}
    return {**metrics, "time_s": time.monotonic() - began, **asked}
