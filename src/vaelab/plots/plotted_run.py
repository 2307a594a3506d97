"""The model, the images and the latents from which every plot of a run is drawn."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.distributions import kl_divergence

from vaelab.evaluation.evaluated_model import EvaluatedModel
from vaelab.evaluation.latents import has_spread
from vaelab.models.contracts import Model
from vaelab.models.distributions import factors

ENCODED_IMAGES = 5_000  # test images whose latents are shown, at most


@dataclass(frozen=True)
class EncodedImages:
    """The posteriors of test images.

    **Attributes**
        means, stds: of each latent ``(N, D)``; no standard deviations where the posterior has none.
        kl: the KL term of each latent ``(D,)`` in nats, averaged over the images; None where latents have none.
        labels: ``(N,)``.
    """

    means: Tensor
    stds: Tensor | None
    kl: Tensor | None
    labels: Tensor


@dataclass
class PlottedRun:
    """A model under evaluation, with the run that it comes from.

    **Arguments**
        evaluated: the model in evaluation mode, with its data.
        run: the name of the run, for titles.
        when: which weights the model has, for titles.
        directory: of the run, which holds metrics.csv; None where there is none.
        projection: how more than two latents are projected onto the plane: pca, tsne or umap.
        limit: test images whose latents are shown, at most.
    """

    evaluated: EvaluatedModel
    run: str
    when: str = ""
    directory: Path | None = None
    projection: str = "pca"
    limit: int = field(default=ENCODED_IMAGES, kw_only=True)

    @property
    def model(self) -> Model:
        return self.evaluated.model

    @property
    def device(self) -> torch.device:
        return self.evaluated.device

    @property
    def test_images(self) -> int:
        """How many test images there are."""
        return len(self.evaluated.data.sets["test"])

    @property
    def metrics_file(self) -> Path | None:
        """The run's metrics.csv, if there is one."""
        file = None if self.directory is None else self.directory / "metrics.csv"
        return file if file is not None and file.is_file() else None

    @cached_property
    def encoded(self) -> EncodedImages:
        """The posteriors of the first ``limit`` test images, which several plots show."""
        parts = [self._encode(x, labels) for x, labels in self.evaluated.batches("test", self.limit)]
        means, stds, kl, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        return EncodedImages(
            means,
            stds if has_spread(self.evaluated.model) else None,
            kl.mean(0) if self.model.has_kl_per_latent else None,
            labels,
        )

    def _encode(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Means, standard deviations and KL terms ``(B, D)``, where there are any, and the labels."""
        model = self.model.given(labels)
        q, none = model.encode(x), x.new_empty(0)
        stds = q.stddev if has_spread(self.evaluated.model) else none
        kl = kl_divergence(factors(q), factors(model.prior_distribution())) if model.has_kl_per_latent else none
        return q.mean, stds, kl, labels

    def test(self, count: int) -> tuple[Tensor, Tensor]:
        """The first ``count`` test images ``(N, C, H, W)`` and their labels ``(N,)``, or all if there are fewer."""
        return self.evaluated.first("test", count)

    def titled(self, what: str) -> str:
        """A title of two lines: what the plot shows, and of which run and weights."""
        return f"{what}\n{self.run} · {self.when}" if self.when else f"{what}\n{self.run}"
