"""What a trained model is worth, part by part: likelihood, latents, aggregate posterior, probes, samples, amortization.

Every part is a dictionary of plain numbers that says with how many images and codes they were found; results.json
keeps them under ``evaluation``. Test images throughout, β = 1.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.distributions import kl_divergence

from vaelab import aggregate, amortization, classifier, noise, probes, sample_quality
from vaelab.checks import number, one_of, whole
from vaelab.conditionals import GaussianLikelihood
from vaelab.data import ImageData
from vaelab.evaluation import (
    ACTIVE_VARIANCE,
    BF16_TOLERANCE,
    ActiveUnits,
    Mean,
    bf16_error,
    effective_samples,
    importance_weights,
    log_likelihood,
    prior_images,
    useful_prior_samples,
)
from vaelab.exact import linear_rates, spectrum
from vaelab.experiment import Experiment
from vaelab.hardware import cpu_has_bf16
from vaelab.model import LatentVariableModel
from vaelab.objectives import ELBO, IWAE

log = logging.getLogger(__name__)

Track = Callable[[Iterable, str], Iterable]
Figures = dict[str, object]

WEIGHTS = 25_000_000  # kept at a time
BATCH = 500  # images, also of the minibatch estimate
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
class Subject:
    """A model in evaluation mode with its data, and how to show progress."""

    experiment: Experiment
    data: ImageData
    settings: Settings
    cache: Path = classifier.CACHE
    track: Track = lambda items, what: items

    @property
    def model(self) -> LatentVariableModel:
        return self.experiment.model

    @property
    def device(self) -> torch.device:
        return self.experiment.device

    @property
    def prior_samples(self) -> int:
        """0 for a model in closed form, whose posterior is exact."""
        return 0 if self.experiment.is_solved else self.settings.prior_samples

    def images(self, which: str, limit: int | None = None, batch: int = BATCH) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of the first ``limit`` images of a split, with labels, on the model's device."""
        images = self.data.sets[which]
        for indices in torch.arange(min(len(images), limit or len(images))).split(batch):
            x, labels = images[indices]
            yield self.data.scale(x, drawn=True).to(self.device), labels.to(self.device)

    def first(self, which: str, limit: int) -> tuple[Tensor, Tensor]:
        """The same in one batch."""
        images, labels = zip(*self.images(which, limit), strict=True)
        return torch.cat(images), torch.cat(labels)

    def codes(self, which: str, limit: int) -> tuple[Tensor, Tensor]:
        """Posterior means ``(N, D)`` and labels ``(N,)``."""
        pairs = [(self.model.given(labels).encode(x).mean, labels) for x, labels in self.images(which, limit)]
        return torch.cat([codes for codes, _ in pairs]), torch.cat([labels for _, labels in pairs])


# ---- the parts -----------------------------------------------------------------------------------------------


def likelihood(subject: Subject) -> Figures:
    """The identity log p(x) = ELBO + gap, by importance sampling with many codes."""
    settings = subject.settings
    first, labels = next(subject.images("test"))
    prior_codes = useful_prior_samples(subject.model.given(labels), first, subject.prior_samples)
    bf16, error = settings.precision == "bf16-mixed", 0.0
    # A model that is exact has nothing to lose but its exactness.
    if settings.precision != "32-true" and not (settings.precision == "auto" and subject.experiment.is_solved):
        native = cpu_has_bf16() if first.device.type == "cpu" else first.device.type == "cuda"
        if bf16 or native:
            error = bf16_error(subject.model.given(labels), first, chunk=settings.chunk)
        bf16 = bf16 or (native and abs(error) < BF16_TOLERANCE)
    means = Mean()
    batch = max(1, min(BATCH, WEIGHTS // (settings.nll_samples + settings.prior_samples)))
    for index, (x, labels) in enumerate(
        subject.track(list(subject.images("test", batch=batch)), f"nll, K = {settings.nll_samples:,}")
    ):
        with noise.fixed_noise(x.device, subject.experiment.seed, noise.APPRAISE, index):
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


def latents(subject: Subject) -> Figures:
    """Which latents carry something: active units, KL terms in order, and what a linear model would keep."""
    active, means = ActiveUnits(subject.settings.active_variance), Mean()
    for x, labels in subject.images("test"):
        model = subject.model.given(labels)
        q = model.encode(x)
        active.add(q.mean)
        found = {"posterior_std": q.stddev.mean(-1)}
        if model.has_kl_per_latent:
            found["kl_per_latent"] = kl_divergence(q.base_dist, model.prior(model.posterior).base_dist)
        means.add(found)
    figures = means.compute()
    per_latent = figures.pop("kl_per_latent", None)
    figures = {"active_units": active.compute(), **figures, "images": means.total}
    if per_latent is not None:
        order = sorted(range(len(per_latent)), key=lambda latent: -per_latent[latent])
        figures |= {"kl_per_latent": [per_latent[latent] for latent in order], "kl_order": order}
        figures |= linear(subject.experiment, subject.data, len(per_latent))
    return figures


def linear(experiment: Experiment, data: ImageData, latent: int) -> Figures:
    """What probabilistic PCA of the training images would put into each of ``latent`` components at this run's β.

    At the model's own noise where it has one for all pixels, else at that of probabilistic PCA with as many latents.
    Nothing where β weighs anything but the whole KL term, or where labels say a part of what PCA would have to.
    """
    beta = experiment.beta.weight
    if not isinstance(experiment.objective, (ELBO, IWAE)) or experiment.model.classes is not None:
        return {}
    eigenvalues = spectrum(data.sets["train"].images, lambda part: data.scale(part, drawn=True))
    head = experiment.model.likelihood
    if isinstance(head, GaussianLikelihood) and not head.per_pixel:
        variance, whose = float(head.log_scale.exp().square()), "the likelihood's"
    else:
        variance, whose = float(eigenvalues[latent:].mean()), "probabilistic PCA's"
    if not beta or latent >= len(eigenvalues) or not variance > 0:
        return {}
    rates = linear_rates(eigenvalues[:latent], variance, beta)
    return {
        "linear_kl": rates.tolist(),
        "linear_kept": int((eigenvalues > beta * variance).sum().clamp_max(latent)),
        "linear_noise": f"sigma = {math.sqrt(variance):.4f}, {whose}, at beta = {beta:g}",
    }


def aggregates(subject: Subject) -> Figures:
    """Mutual information, marginal KL and total correlation, from all pairs of images and from minibatches."""
    model, limit = subject.model, subject.settings.aggregate_images
    p = model.prior(model.posterior)
    batches = [(model.given(labels).encode(x), len(x)) for x, labels in subject.images("test", limit)]
    count = sum(size for _, size in batches)
    figures: Figures = {}
    if model.posterior.factorised:
        means = Mean()
        full = [q for q, size in batches if size == batches[0][1]]  # a smaller last one would be another estimate
        for q in full:
            parts = aggregate.stratified(q, p, q.sample((1,)), count)
            means.add({name: part[0] for name, part in parts.items()})
        figures["minibatch"] = {**means.compute(), "batch": batches[0][1]}
    x, labels = subject.first("test", limit)
    every = model.given(labels).encode(x)
    figures["full"] = aggregate.bounded(
        every, p, model.posterior.factorised, lambda parts: subject.track(parts, "aggregate posterior")
    )
    return {**figures, "images": count}


def label_probes(subject: Subject) -> Figures:
    """How much of the label the codes tell."""
    codes, labels = subject.codes("train", subject.settings.probe_images)
    test_codes, test_labels = subject.codes("test", len(subject.data.sets["test"]))
    figures: Figures = dict(probes.accuracies(codes, labels, test_codes, test_labels))
    if test_codes.shape[1] > 1 and len(test_labels.unique()) > 1:
        figures["mutual_information_gap"] = probes.mutual_information_gap(test_codes, test_labels.unsqueeze(1))
    return {**figures, "train_images": len(codes), "images": len(test_codes)}


def samples(subject: Subject) -> Figures:
    """How far samples are from test images, in a small classifier's features; and how far training images are."""
    real, labels = subject.first("test", subject.settings.generated)
    count = len(real)
    judge, accuracy = classifier.obtain(
        subject.data, subject.device, subject.cache, lambda steps: subject.track(steps, "classifier")
    )
    drawn = subject.track(torch.arange(count).split(GENERATED), "samples")
    generated = torch.cat(
        [prior_images(subject.model, labels[part.to(labels.device)], subject.data.is_binary) for part in drawn]
    )
    train = subject.data.official.train_images
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
        "features": f"vaelab's classifier of {subject.data.official.name}, no FID",
        "classifier_accuracy": accuracy,
    }


def amortizations(subject: Subject) -> Figures:
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

    find: Callable[[Subject], Figures]
    depends_on: tuple[str, ...]
    lacks: Callable[[LatentVariableModel], str | None]


def _no_bound(model: LatentVariableModel) -> str | None:
    return None if model.has_bound else "a posterior without a density has no bound"


def _no_spread(model: LatentVariableModel) -> str | None:
    return _no_bound(model) or (None if model.has_continuous_code else "its code is discrete")


def _not_optimised(model: LatentVariableModel) -> str | None:
    possible = amortization.is_possible(model)
    return _no_spread(model) or (None if possible else "it is for posterior=gaussian and posterior=flow")


def _told_labels(model: LatentVariableModel) -> str | None:
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


def asked(part: str, settings: Settings) -> dict[str, object]:
    """The settings that ``part`` depends on: what was found with the same need not be found again."""
    return {name: asdict(settings)[name] for name in PARTS[part].depends_on}


@torch.no_grad()
def find(part: str, subject: Subject) -> Figures:
    """The figures of one part; but ``lacking`` where the model has no such thing, ``error`` where it failed."""
    reason = PARTS[part].lacks(subject.model)
    if reason is not None:
        return {"lacking": reason, "asked": asked(part, subject.settings)}
    began = time.monotonic()
    try:
        with noise.fixed_noise(subject.device, subject.experiment.seed, noise.APPRAISE):
            figures = PARTS[part].find(subject)
    except (ValueError, RuntimeError, ArithmeticError, LookupError) as error:  # too few images, too little memory
        log.warning(f"{part} could not be found: {type(error).__name__}: {error}")
        return {"error": f"{type(error).__name__}: {error}"}
    return {**figures, "time_s": time.monotonic() - began, "asked": asked(part, subject.settings)}
