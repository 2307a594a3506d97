"""The model under evaluation, from which plots and metrics are computed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from vaelab.data.datamodule import ImageDataModule
from vaelab.evaluation.classifier import CACHE
from vaelab.evaluation.progress import Track, untracked
from vaelab.evaluation.settings import Settings
from vaelab.models.contracts import Model, Objective

BATCH = 500  # images


@dataclass
class EvaluatedModel:
    """A model in evaluation mode, with its data and its objective.

    **Arguments**
        model: in evaluation mode.
        data: with its images read.
        objective: what was minimised.
        beta: the KL term's weight at the end of the training.
        seed: of the noise in the evaluation.
    """

    model: Model
    data: ImageDataModule
    objective: Objective
    beta: float
    seed: int = 0

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def batches(self, split: str, limit: int | None = None, size: int = BATCH) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of the first ``limit`` images of a split, with labels, on the model's device."""
        images = self.data.sets[split]
        for indices in torch.arange(min(len(images), limit or len(images))).split(size):
            x, labels = images[indices]
            yield self.data.scale(x, drawn=True).to(self.device), labels.to(self.device)

    def first(self, split: str, limit: int) -> tuple[Tensor, Tensor]:
        """The first ``limit`` images ``(N, C, H, W)`` and labels ``(N,)`` of a split."""
        images, labels = zip(*self.batches(split, limit), strict=True)
        return torch.cat(images), torch.cat(labels)

    def posterior_means(self, split: str, limit: int) -> tuple[Tensor, Tensor]:
        """Posterior means ``(N, D)`` and labels ``(N,)`` of the first ``limit`` images of a split."""
        pairs = [(self.model.given(labels).encode(x).mean, labels) for x, labels in self.batches(split, limit)]
        return torch.cat([means for means, _ in pairs]), torch.cat([labels for _, labels in pairs])


@dataclass
class Evaluation(EvaluatedModel):
    """A model under evaluation, and how it is evaluated.

    **Arguments**
        settings: how many samples and images the parts use.
        cache: the folder of the classifiers whose features compare samples with images.
        track: shows the progress of long loops.
    """

    settings: Settings = field(default_factory=Settings)
    cache: Path = CACHE
    track: Track = untracked

    @classmethod
    def of(
        cls, evaluated: EvaluatedModel, settings: Settings, cache: Path = CACHE, track: Track = untracked
    ) -> "Evaluation":
        """The evaluation of ``evaluated``.

        **Example**

            evaluation = Evaluation.of(module.evaluated(data), Settings(nll_samples=500))
            evaluate("likelihood", evaluation)["nll"]
        """
        return cls(**vars(evaluated), settings=settings, cache=cache, track=track)

    @property
    def prior_samples(self) -> int:
        """Samples of p(z) in nll; 0 for a model in closed form, whose posterior is exact."""
        return 0 if self.model.is_solved else self.settings.prior_samples
