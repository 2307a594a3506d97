"""What every plot of a run is made of."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vaelab.evaluation.evaluated_model import EvaluatedModel
from vaelab.models.contracts import Model


@dataclass
class PlottedRun:
    """A model under evaluation, with the run that it comes from.

    **Arguments**
        evaluated: the model in evaluation mode, with its data.
        run: the name of the run, for titles.
        when: which weights the model has, for titles.
        directory: of the run, which holds metrics.csv; None where there is none.
        projection: how more than two latents are projected onto the plane: pca, tsne or umap.
    """

    evaluated: EvaluatedModel
    run: str
    when: str = ""
    directory: Path | None = None
    projection: str = "pca"

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

    def test(self, count: int) -> tuple[Tensor, Tensor]:
        """The first ``count`` test images ``(N, C, H, W)`` and their labels ``(N,)``, or all if there are fewer."""
        return self.evaluated.first("test", count)

    def titled(self, what: str) -> str:
        """A title of two lines: what the plot shows, and of which run and weights."""
        return f"{what}\n{self.run} · {self.when}" if self.when else f"{what}\n{self.run}"
