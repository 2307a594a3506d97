"""When a run draws its plots and writes its metrics."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer

from vaelab.checks import flag, whole
from vaelab.plots import run_plots
from vaelab.plots.image_grids import squares
from vaelab.training.lightning_internals import MetricsCSV, data_of, profile_of
from vaelab.training.module import as_vae_module
from vaelab.training.reporting import send_latents, send_plot

log = logging.getLogger(__name__)
PROJECTED = 2_000  # test images in TensorBoard's projector


class PlotCallback(Callback):
    """Draws plots of the same latents and the same test images during the training, and all plots after the test.

    The former go to the loggers every ``every`` epochs. The latter, of the weights that are tested, go to
    ``directory``/figures, and to the loggers unless they have them already.

    **Arguments**
        directory: the run's.
        title: what stands above every plot.
        every: epochs between two sets of plots; None: no plots, which saves some seconds at the end of a run.
        projection: how more than two latents are projected to a plane: pca, tsne or umap.
        projector: whether TensorBoard's projector gets the latents of test images, with labels and thumbnails.
        own: the user's own plots.
    """

    def __init__(
        self,
        directory: Path,
        title: str,
        every: int | None,
        projection: str = "pca",
        projector: bool = False,
        own: Sequence[run_plots.Plot] = (),
    ) -> None:
        self.directory = directory
        self.title = title
        self.every = None if every is None else whole("pictures.every", every)
        self.projection = projection
        self.projector = flag("pictures.projector", projector)
        self.shown_at: int | None = None
        self.own = own
        run_plots.projector(projection)  # finds a wrong or missing one now, not after the training

    def _plots(self, trainer: Trainer, pl_module: LightningModule, when: str) -> run_plots.RunPlots:
        evaluated = as_vae_module(pl_module).evaluated(data_of(trainer))
        return run_plots.RunPlots(evaluated, self.title, when, self.directory, self.projection, self.own)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if self.every is None or not trainer.is_global_zero:
            return
        if epoch % self.every == 0 or epoch in (1, trainer.max_epochs):
            pl_module.eval()
            self.shown_at = trainer.global_step
            self._show(trainer, self._plots(trainer, pl_module, f"epoch {epoch}").during_training())
            pl_module.train()

    def _show(self, trainer: Trainer, drawn: Mapping[str, np.ndarray]) -> None:
        for name, plot in drawn.items():
            send_plot(trainer.loggers, name, plot, trainer.global_step)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        plots = self._plots(trainer, pl_module, "tested weights")
        model = as_vae_module(pl_module).model
        if self.every is not None:
            drawn = plots.at_end()
            run_plots.save(drawn, self.directory / "figures")
            # The last epoch has shown the others, unless the training ended within it, or there was none.
            is_shown = self.shown_at == trainer.global_step and not model.is_solved
            watched: list[run_plots.Drawer] = [*run_plots.WATCHED, *(plot for plot in self.own if plot.is_watched)]
            shown = {run_plots.name_of(plot) for plot in watched} if is_shown else set()
            self._show(trainer, {name: plot for name, plot in drawn.items() if name not in shown})
        if self.projector and model.has_continuous_latents:
            self._project(trainer, plots)

    def _project(self, trainer: Trainer, plots: run_plots.RunPlots) -> None:
        x, labels = plots.test(PROJECTED)
        with torch.no_grad():
            means = plots.model.given(labels).encode(x).mean
        send_latents(trainer.loggers, means, labels.tolist(), squares(x), trainer.global_step)


class ShowProfile(Callback):
    """Logs the report of the Trainer's profiler after the training; Lightning's own log is off."""

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        log.info(profile_of(trainer))


class SaveMetrics(Callback):
    """Writes metrics.csv before every checkpoint, so that the file of a killed run ends where the run resumes."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        write_metrics(trainer, pl_module)


def write_metrics(trainer: Trainer, pl_module: LightningModule) -> None:
    """Log the steps that are not logged yet, of an epoch that is not over, and write metrics.csv."""
    as_vae_module(pl_module).log_rest_of_training()
    for logger in trainer.loggers:
        if isinstance(logger, MetricsCSV):
            logger.save()
