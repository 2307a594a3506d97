"""What a trained model is worth, part by part: likelihood, latents, aggregate posterior, probes, samples, amortization.

Every part is a dictionary of plain numbers that says with how many images and codes they were found; results.json
keeps them under ``evaluation``. Test images throughout, β = 1.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch.distributions import kl_divergence

from vaelab import rng
from vaelab.checks import number, one_of, whole
from vaelab.evaluation import aggregate, amortization, classifier, probes, sample_quality
from vaelab.evaluation.evaluated_model import BATCH, EvaluatedModel
from vaelab.evaluation.importance import (
    BF16_TOLERANCE,
    bf16_error,
    effective_samples,
    importance_weights,
    log_likelihood,
    useful_prior_samples,
)
from vaelab.evaluation.latents import ACTIVE_VARIANCE, ActiveUnits
from vaelab.evaluation.linear_model import linear_comparison
from vaelab.evaluation.means import Mean
from vaelab.hardware import cpu_has_bf16
from vaelab.models.aggregate import decompose_kl
from vaelab.models.contracts import Model
from vaelab.models.distributions import factors
from vaelab.models.vae import sample_images

log = logging.getLogger(__name__)


Track = Callable[[Iterable, str], Iterable]
Figures = dict[str, object]
WEIGHTS = 25_000_000  # kept at a time
GENERATED = 1_000  # images at a time


@dataclass(frozen=True)
class Settings:
    """How carefully a model is appraised. Each part's figures keep those settings that it depends on."""

    nll_samples: int = 5_000  # K, importance samples per test image
    prior_samples: int = 100_000  # codes from the prior beside them, shared by a batch, where they can be of use
    precision: str = "auto"  # of the decoder's products for it: 32-true, bf16-mixed, or whichever is exact enough
    chunk: int | None = None  # codes decoded at a time; None: what suits the device
    active_variance: float = ACTIVE_VARIANCE  # of its mean, from which on a latent counts as active
    aggregate_images: int = 10_000  # test images in q(z), at most
    probe_images: int = 10_000  # training images whose codes the probes see, at most
    generated: int = 10_000  # images from the prior, beside as many test images
    amortization_images: int = 256
    amortization_steps: int = 300

    def __post_init__(self) -> None:
        whole("nll_samples", self.nll_samples, 2)
        whole("prior_samples", self.prior_samples, 0)
        one_of("precision", self.precision, ("auto", "32-true", "bf16-mixed"))
        if self.chunk is not None:
            whole("chunk", self.chunk)
        number("active_variance", self.active_variance)
        whole("aggregate_images", self.aggregate_images, 2)
        whole("probe_images", self.probe_images, 10)
        whole("generated", self.generated, 10)
        whole("amortization_images", self.amortization_images)
        whole("amortization_steps", self.amortization_steps)


@dataclass
class Evaluation(EvaluatedModel):
    """A model under evaluation, and how it is evaluated.

    **Arguments**
        settings: how carefully.
        cache: the folder of the classifiers that judge samples.
        track: shows progress: (items, what) -> items.
    """

    settings: Settings = field(default_factory=Settings)
    cache: Path = classifier.CACHE
    track: Track = lambda items, what: items

    @classmethod
    def of(cls, evaluated: EvaluatedModel, settings: Settings, **options: object) -> "Evaluation":
        """The evaluation of ``evaluated``."""
        return cls(**vars(evaluated), settings=settings, **options)

    @property
    def prior_samples(self) -> int:
        """0 for a model in closed form, whose posterior is exact."""
        return 0 if self.model.is_solved else self.settings.prior_samples


def likelihood(subject: Evaluation) -> Figures:
    """The identity log p(x) = ELBO + gap, by importance sampling with many codes."""
    settings = subject.settings
    first, labels = next(subject.batches("test"))
    prior_codes = useful_prior_samples(subject.model.given(labels), first, subject.prior_samples)
    bf16, error = settings.precision == "bf16-mixed", 0.0
    # A model that is exact has nothing to lose but its exactness.
    if settings.precision != "32-true" and not (settings.precision == "auto" and subject.model.is_solved):
        native = cpu_has_bf16() if first.device.type == "cpu" else first.device.type == "cuda"
        if bf16 or native:
            error = bf16_error(subject.model.given(labels), first, chunk=settings.chunk)
        bf16 = bf16 or (native and abs(error) < BF16_TOLERANCE)
    means = Mean()
    batch = max(1, min(BATCH, WEIGHTS // (settings.nll_samples + settings.prior_samples)))
    for index, (x, labels) in enumerate(
        subject.track(list(subject.batches("test", size=batch)), f"nll, K = {settings.nll_samples:,}")
    ):
        with rng.fixed_noise(x.device, subject.seed, rng.SUITE, index):
            model = subject.model.given(labels)
            weights = importance_weights(
                model, x, settings.nll_samples, settings.chunk, bf16, prior_samples=prior_codes
            )
        log_p, variance = log_likelihood(weights.log_w, weights.shared)
        figures = {"elbo": weights.elbo, "rate": weights.rate, "distortion": weights.distortion, "nll": -log_p}
        means.add({**figures, "nll_variance": variance, "effective_samples": effective_samples(weights.log_w)})
    found = means.compute()
    variance = found.pop("nll_variance")
    return {
        **found,
        "nll_stderr": math.hypot(math.sqrt(variance / means.total), error if bf16 else 0.0),
        "gap": -found["elbo"] - found["nll"],
        "codes": settings.nll_samples,
        "prior_codes": prior_codes,
        "images": means.total,
        "products": "bf16-mixed" if bf16 else "32-true",
        **({"bf16_error": error} if bf16 else {}),
    }


def latents(subject: Evaluation) -> Figures:
    """Which latents carry something: active units, KL terms in order, and what a linear model would keep."""
    active, means = ActiveUnits(subject.settings.active_variance), Mean()
    for x, labels in subject.batches("test"):
        model = subject.model.given(labels)
        q = model.encode(x)
        active.add(q.mean)
        found = {"posterior_std": q.stddev.mean(-1)}
        if model.has_kl_per_latent:
            found["kl_per_latent"] = kl_divergence(factors(q), factors(model.prior_distribution()))
        means.add(found)
    figures = means.compute()
    per_latent = figures.pop("kl_per_latent", None)
    figures = {"active_units": active.compute(), **figures, "images": means.total}
    if per_latent is not None:
        order = sorted(range(len(per_latent)), key=lambda latent: -per_latent[latent])
        figures |= {"kl_per_latent": [per_latent[latent] for latent in order], "kl_order": order}
        figures |= linear_comparison(subject, len(per_latent))
    return figures


def aggregates(subject: Evaluation) -> Figures:
    """Mutual information, marginal KL and total correlation, from all pairs of images and from minibatches."""
    model, limit = subject.model, subject.settings.aggregate_images
    p = model.prior_distribution()
    batches = [(model.given(labels).encode(x), len(x)) for x, labels in subject.batches("test", limit)]
    count = sum(size for _, size in batches)
    figures: Figures = {}
    if model.posterior.is_product:
        means = Mean()
        full = [q for q, size in batches if size == batches[0][1]]  # a smaller last one would be another estimate
        for q in full:
            parts = decompose_kl(q, p, q.sample((1,)), count)
            means.add({name: part[0] for name, part in parts.items()})
        figures["minibatch"] = {**means.compute(), "batch": batches[0][1]}
    x, labels = subject.first("test", limit)
    every = model.given(labels).encode(x)
    figures["full"] = aggregate.bounded(
        every, p, model.posterior.is_product, lambda parts: subject.track(parts, "aggregate posterior")
    )
    return {**figures, "images": count}


def label_probes(subject: Evaluation) -> Figures:
    """How much of the label the codes tell."""
    codes, labels = subject.posterior_means("train", subject.settings.probe_images)
    test_codes, test_labels = subject.posterior_means("test", len(subject.data.sets["test"]))
    figures: Figures = dict(probes.accuracies(codes, labels, test_codes, test_labels))
    if test_codes.shape[1] > 1 and len(test_labels.unique()) > 1:
        figures["mutual_information_gap"] = probes.mutual_information_gap(test_codes, test_labels.unsqueeze(1))
    return {**figures, "train_images": len(codes), "images": len(test_codes)}


def samples(subject: Evaluation) -> Figures:
    """How far samples are from test images, in a small classifier's features; and how far training images are."""
    real, labels = subject.first("test", subject.settings.generated)
    count = len(real)
    judge, accuracy = classifier.obtain(
        subject.data, subject.device, subject.cache, lambda steps: subject.track(steps, "classifier")
    )
    drawn = subject.track(torch.arange(count).split(GENERATED), "samples")
    generated = torch.cat(
        [sample_images(subject.model, labels[part.to(labels.device)], subject.data.is_binary) for part in drawn]
    )
    train = subject.data.image_set.train_images
    other = subject.data.scale(train[torch.randperm(len(train))[:count]], drawn=True)
    (features, _), (found, log_p), (reference, _) = (judge.describe(images) for images in (real, generated, other))
    precision, recall = sample_quality.precision_recall(features, found)
    label_entropy, confusion = sample_quality.label_entropies(log_p)
    return {
        "frechet_distance": sample_quality.frechet_distance(features, found),
        "frechet_distance_of_training_images": sample_quality.frechet_distance(features, reference),
        "precision": precision,
        "recall": recall,
        "label_entropy": label_entropy,
        "label_confusion": confusion,
        "samples": count,
        "images": count,
        **({} if subject.model.has_bound else {"codes": "from N(0, I), for which nothing prepared this model"}),
        "features": f"vaelab's classifier of {subject.data.image_set.name}, no FID",
        "classifier_accuracy": accuracy,
    }


def amortizations(subject: Evaluation) -> Figures:
    """The gap in its two parts, from a posterior that is optimised for each image."""
    settings = subject.settings
    x, labels = subject.first("test", settings.amortization_images)
    codes = min(1_000, settings.nll_samples)
    parts = amortization.split(
        subject.model.given(labels), x, settings.amortization_steps, codes, settings.chunk, subject.prior_samples,
        lambda steps: subject.track(steps, "amortization"),
    )  # fmt: skip
    return {**amortization.figures(parts), "codes": codes, "steps": settings.amortization_steps, "images": len(x)}


@dataclass(frozen=True)
class Part:
    """A part of an appraisal: how it is found, on what settings it depends, and why a model may lack it."""

    find: Callable[[Evaluation], Figures]
    depends_on: tuple[str, ...]
    lacks: Callable[[Model], str | None]


def _no_bound(model: Model) -> str | None:
    return None if model.has_bound else "a posterior without a density has no bound"


def _no_spread(model: Model) -> str | None:
    return _no_bound(model) or (None if model.has_continuous_latents else "its code is discrete")


def _not_optimised(model: Model) -> str | None:
    possible = model.posterior is not None and model.posterior.has_outputs
    return _no_spread(model) or (None if possible else "it is for posterior=gaussian and posterior=flow")


def _told_labels(model: Model) -> str | None:
    return None if model.classes is None else "its encoder is told the label"


PARTS: Mapping[str, Part] = {
    "likelihood": Part(likelihood, ("nll_samples", "prior_samples", "precision"), _no_bound),
    "latents": Part(latents, ("active_variance",), _no_spread),
    "aggregate": Part(aggregates, ("aggregate_images",), _no_spread),
    "probes": Part(label_probes, ("probe_images",), _told_labels),
    "samples": Part(samples, ("generated",), lambda model: None),
    "amortization": Part(
        amortizations, ("amortization_images", "amortization_steps", "nll_samples", "prior_samples"), _not_optimised
    ),
}  # fmt: skip


def relevant_settings(part: str, settings: Settings) -> dict[str, object]:
    """The settings that ``part`` depends on: what was found with the same need not be found again."""
    return {name: asdict(settings)[name] for name in PARTS[part].depends_on}


@torch.no_grad()
def evaluate(part: str, subject: Evaluation) -> Figures:
    """The figures of one part; but ``lacking`` where the model has no such thing, ``error`` where it failed."""
    reason = PARTS[part].lacks(subject.model)
    if reason is not None:
        return {"lacking": reason, "asked": relevant_settings(part, subject.settings)}
    began = time.monotonic()
    try:
        with rng.fixed_noise(subject.device, subject.seed, rng.SUITE):
            figures = PARTS[part].find(subject)
    except (ValueError, RuntimeError, ArithmeticError, LookupError) as error:  # too few images, too little memory
        log.warning(f"{part} could not be found: {type(error).__name__}: {error}")
        return {"error": f"{type(error).__name__}: {error}"}
    return {**figures, "time_s": time.monotonic() - began, "asked": relevant_settings(part, subject.settings)}
