"""When a run draws its plots and writes its metrics."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer

from vaelab.checks import flag, whole
from vaelab.plots import run_plots
from vaelab.plots.image_grids import squares
from vaelab.training.lightning_internals import MetricsCSV, data_of, profile_of
from vaelab.training.loggers import TensorBoardFiles
from vaelab.training.module import as_vae_module

log = logging.getLogger(__name__)
PROJECTED = 2_000  # test images in TensorBoard's projector


class PlotCallback(Callback):
    """Draws plots of the same latents and the same test images during the training, and all plots after the test.

    The former go to TensorBoard every ``every`` epochs. The latter, of the weights that are tested, go to
    ``directory``/figures, and to TensorBoard as far as it has not got them.

    **Arguments**
        directory: the run's.
        tensorboard: the run's event files.
        title: what stands above every plot.
        every: epochs between two sets of plots; None: no plots, which saves some seconds at the end of a run.
        projection: how more than two latents are projected to a plane: pca, tsne or umap.
        projector: whether TensorBoard's projector gets the latents of test images, with labels and thumbnails.
    """

    def __init__(
        self,
        directory: Path,
        tensorboard: TensorBoardFiles,
        title: str,
        every: int | None,
        projection: str = "pca",
        projector: bool = False,
    ) -> None:
        self.directory = directory
        self.tensorboard = tensorboard
        self.title = title
        self.every = None if every is None else whole("pictures.every", every)
        self.projection = projection
        self.projector = flag("pictures.projector", projector)
        run_plots.projector(projection)  # finds a wrong or missing one now, not after the training

    def _plots(self, trainer: Trainer, pl_module: LightningModule, when: str) -> run_plots.RunPlots:
        evaluated = as_vae_module(pl_module).evaluated(data_of(trainer))
        return run_plots.RunPlots(evaluated, self.title, when, self.directory, self.projection)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if self.every is None or not trainer.is_global_zero:
            return
        if epoch % self.every == 0 or epoch in (1, trainer.max_epochs):
            pl_module.eval()
            self._show(trainer, self._plots(trainer, pl_module, f"epoch {epoch}").during_training())
            pl_module.train()

    def _show(self, trainer: Trainer, drawn: Mapping[str, np.ndarray]) -> None:
        for name, plot in drawn.items():
            self.tensorboard.log_plot(name, plot, trainer.global_step)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        plots = self._plots(trainer, pl_module, "tested weights")
        model = as_vae_module(pl_module).model
        if self.every is not None:
            drawn = plots.at_end()
            run_plots.save(drawn, self.directory / "figures")
            # The epochs have shown the others with the last weights, unless there was no epoch.
            shown = set() if model.is_solved else {plot.__name__ for plot in run_plots.WATCHED}
            self._show(trainer, {name: plot for name, plot in drawn.items() if name not in shown})
        if self.projector and model.has_continuous_latents:
            self._project(trainer, plots)

    def _project(self, trainer: Trainer, plots: run_plots.RunPlots) -> None:
        x, labels = plots.test(PROJECTED)
        with torch.no_grad():
            means = plots.model.given(labels).encode(x).mean
        self.tensorboard.experiment.add_embedding(means, labels.tolist(), squares(x), trainer.global_step, "latents")


class ShowProfile(Callback):
    """Logs the report of the Trainer's profiler after the training; Lightning's own log is off."""

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        log.info(profile_of(trainer))


class SaveMetrics(Callback):
    """Writes metrics.csv before every checkpoint, so that the file of a killed run ends where the run resumes."""

    def __init__(self, file: MetricsCSV) -> None:
        self.file = file

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        as_vae_module(pl_module).log_rest_of_training()  # of an epoch that trainer.max_steps or max_time ended
        self.file.save()
