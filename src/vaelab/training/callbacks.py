"""When a run says how far it is, draws, and saves."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.trainer.states import TrainerFn

from vaelab.checks import flag, number, whole
from vaelab.errors import InputError
from vaelab.plots import run_plots
from vaelab.training.loggers import MetricsCSV, TensorBoardFiles

PROJECTED = 2_000  # test images in TensorBoard's projector


class PlotCallback(Callback):
    """Draws the same codes and the same test images again and again, so that one can watch them get better.

    To TensorBoard every ``every`` epochs; at the end the whole album, of the weights that are tested, to
    ``directory/figures``, and to TensorBoard what it has not seen yet.

    Args:
        directory: of the run.
        events: TensorBoard's, of the run.
        title: what stands above every picture.
        every: epochs between two sets of pictures.
        projection: how codes of more than two latents are laid out: pca, tsne or umap.
        projector: whether TensorBoard's projector gets the codes of test images, with labels and little pictures.
    """

    def __init__(
        self,
        directory: Path,
        events: "TensorBoardFiles",
        title: str,
        every: int,
        projection: str = "pca",
        projector: bool = False,
    ) -> None:
        self.directory = directory
        self.events = events
        self.title = title
        self.every = whole("pictures.every", every)
        self.projection = projection
        self.projector = flag("pictures.projector", projector)
        run_plots.projector(projection)  # a wrong or missing one is refused now, not after the training

    def _album(self, trainer: Trainer, module: LightningModule, when: str) -> run_plots.RunPlots:
        return run_plots.RunPlots(
            module.evaluated(trainer.datamodule), self.title, when, self.directory, self.projection
        )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if trainer.is_global_zero and (epoch % self.every == 0 or epoch in (1, trainer.max_epochs)):
            pl_module.eval()
            self._show(trainer, self._album(trainer, pl_module, f"epoch {epoch}").during_training())
            pl_module.train()

    def _show(self, trainer: Trainer, drawn: Mapping[str, np.ndarray]) -> None:
        for name, picture in drawn.items():
            self.events.experiment.add_image(f"pictures/{name}", picture, trainer.global_step, dataformats="HWC")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        book = self._album(trainer, pl_module, "tested weights")
        drawn = book.at_end()
        run_plots.save(drawn, self.directory / "figures")
        # TensorBoard has had those that the epochs have shown, by the last weights, unless there was no epoch.
        shown = set() if pl_module.model.is_solved else {picture.__name__ for picture in run_plots.WATCHED}
        self._show(trainer, {name: picture for name, picture in drawn.items() if name not in shown})
        if self.projector and pl_module.model.has_continuous_latents:
            self._project(trainer, book)

    def _project(self, trainer: Trainer, book: run_plots.RunPlots) -> None:
        x, labels = book.test(PROJECTED)
        with torch.no_grad():
            means = book.model.given(labels).encode(x).mean
        self.events.experiment.add_embedding(means, labels.tolist(), 1 - x, trainer.global_step, "codes")


class AveragedWeights(EMAWeightAveraging):
    """Validation, checkpoints and test with an exponential moving average of the weights."""

    def __init__(self, decay: float) -> None:
        if number("evaluation.ema", decay) >= 1:
            raise InputError(f"evaluation.ema must be below 1, such as 0.999, or null for none, got {decay:g}")
        super().__init__(decay=decay)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        # Lightning calls this before the module moves to its device, and would average through the host ever after.
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict) -> None:
        # Lightning also calls this for a test after a fit, and would put the weights that were trained in place of
        # their average, which the checkpoint's state_dict is.
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


class SaveMetrics(Callback):
    """Writes metrics.csv out before every checkpoint, so that a killed run's file ends where it goes on."""

    def __init__(self, file: MetricsCSV) -> None:
        self.file = file

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.file.save()
