"""TensorBoard's event files of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from torch import Tensor

from vaelab.evaluation.metrics import CURVES

PLOT_WIDTH = 700  # pixels, twice the width of a thumbnail in TensorBoard's Images tab
# A Ctrl-C within a log call can lose the signal that wakes TensorBoard's writer. The end of the run then waits for its
# next look at the queue, which by default comes after two minutes.
FLUSH_SECONDS = 10


class TensorBoardFiles(TensorBoardLogger):
    """TensorBoard's event files, in the run's directory itself.

    **Arguments**
        directory: the run's.
        step: where the run resumes; what an earlier attempt logged after it is hidden. 0: it starts anew.
        has_bound: whether the model has an ELBO and a rate.
    """

    def __init__(self, directory: Path, step: int, has_bound: bool) -> None:
        resumed: dict[str, Any] = {"purge_step": step + 1} if step else {}  # Lightning passes it on to SummaryWriter
        super().__init__(directory, name="", version="", default_hp_metric=False, flush_secs=FLUSH_SECONDS, **resumed)
        self.curves = CURVES if has_bound else ("distortion", "loss")

    def begin(self) -> None:
        """Lay out the Custom Scalars tab: one chart for each curve, with training and validation in it."""
        charts = {name: ["Multiline", [f"{name}/train", f"{name}/val"]] for name in self.curves}
        self.experiment.add_custom_scalars({"training and validation": charts})

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log a chart for each metric, except those that only metrics.csv keeps: the epoch, and the KL of each latent.

        The KL terms of all latents are a plot over the epochs (``plots/kl_over_training``).
        """
        scalars = {name: value for name, value in metrics.items() if name != "epoch" and not name.startswith("kl/")}
        super().log_metrics(scalars, step)

    def log_plot(self, name: str, plot: np.ndarray, step: int) -> None:
        """Log ``plot``, uint8 ``(H, W, 3)``, as an image of at most ``PLOT_WIDTH`` pixels in the group ``plots``.

        TensorBoard shrinks an image to its thumbnail by leaving out rows and columns of pixels. Of a wide plot that
        leaves text which is not readable, so the plot is averaged to a smaller one first.
        """
        height, width = plot.shape[:2]
        if width > PLOT_WIDTH:
            size = (PLOT_WIDTH, round(height * PLOT_WIDTH / width))
            plot = np.asarray(Image.fromarray(plot).resize(size, Image.Resampling.LANCZOS))
        self.experiment.add_image(f"plots/{name}", plot, step, dataformats="HWC")

    def log_latents(self, means: Tensor, labels: Sequence[int], images: Tensor, step: int) -> None:
        """Log the latents of test images for the projector."""
        self.experiment.add_embedding(means, list(labels), images, step, "latents")

    def log_result(
        self, hyperparameters: Mapping[str, bool | int | float | str], metrics: Mapping[str, float], step: int
    ) -> None:
        """Log the run's row of the HParams tab."""
        self.log_hyperparams(dict(hyperparameters), dict(metrics), step=step)
        self.experiment.flush()

    def save(self) -> None:
        """Flush. Lightning would also write hparams.yaml, a copy of a part of .hydra/config.yaml."""
        self.experiment.flush()
