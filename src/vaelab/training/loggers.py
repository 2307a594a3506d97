"""loggers."""

import csv
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from vaelab.evaluation.metrics import CURVES


class TensorBoardFiles(TensorBoardLogger):
    """TensorBoard's event files, in ``directory`` itself; a run that goes on from ``step`` hides what came after it."""

    def __init__(self, directory: Path, step: int, has_bound: bool) -> None:
        purge = {"purge_step": step + 1} if step else {}
        super().__init__(directory, name="", version="", default_hp_metric=False, **purge)
        self.curves = CURVES if has_bound else ("distortion", "loss")

    def begin(self) -> None:
        """Lay out the Custom Scalars tab: a chart for each curve, with both splits in it."""
        charts = {name: ["Multiline", [f"{name}/train", f"{name}/val"]] for name in self.curves}
        self.experiment.add_custom_scalars({"training and validation": charts})

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """KL terms of latents as a histogram, the others as charts, but the epoch, which metrics.csv alone wants."""
        terms = [value for name, value in metrics.items() if name.startswith("kl/")]
        if terms:
            # What diverges may lie beyond TensorBoard's last bin, at 1e20, which it takes for no values at all.
            self.experiment.add_histogram("kl_per_latent", torch.tensor(terms).clamp(max=1e19), step)
        scalars = {name: value for name, value in metrics.items() if name != "epoch" and not name.startswith("kl/")}
        super().log_metrics(scalars, step)

    def save(self) -> None:
        """Flush; Lightning would also write hparams.yaml, a second and poorer copy of .hydra/config.yaml."""
        self.experiment.flush()


class MetricsCSV(CSVLogger):
    """metrics.csv, made when ``begin`` is called; until then nothing is written."""

    def __init__(self, directory: Path, step: int) -> None:
        super().__init__(directory, name="", version="")
        self.path = directory / "metrics.csv"
        self.step = step

    def begin(self) -> None:
        """Begin the file anew, with the rows up to ``step`` of the run that goes on there."""
        kept: list[dict] = []
        if self.step and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= self.step]
        with warnings.catch_warnings():
            # It warns that it deletes the old file, and does; the rows worth keeping are written again.
            warnings.filterwarnings("ignore", message="Experiment logs directory")
            self.experiment.metrics = kept
        self.save()
