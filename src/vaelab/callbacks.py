"""When a run says how far it is, draws, and saves."""

import csv
import logging
import sys
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerFn
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from vaelab import album
from vaelab.checks import flag, number, whole

log = logging.getLogger(__name__)

PROJECTED = 2_000  # test images in TensorBoard's projector
REDRAW_S = 0.5  # between two looks of the bar
PLAIN_LINES = 50  # at most so many lines of progress where there is no terminal


class Pictures(Callback):
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
        events: "EventFiles",
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
        album.projector(projection)  # a wrong or missing one is refused now, not after the training

    def _album(self, trainer: Trainer, module: LightningModule, when: str) -> album.Album:
        return album.Album(module, trainer.datamodule, self.title, when, self.directory, self.projection)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if trainer.is_global_zero and (epoch % self.every == 0 or epoch in (1, trainer.max_epochs)):
            pl_module.eval()
            self._show(trainer, self._album(trainer, pl_module, f"epoch {epoch}").in_progress())
            pl_module.train()

    def _show(self, trainer: Trainer, drawn: Mapping[str, np.ndarray]) -> None:
        for name, picture in drawn.items():
            self.events.experiment.add_image(f"pictures/{name}", picture, trainer.global_step, dataformats="HWC")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        book = self._album(trainer, pl_module, "tested weights")
        drawn = book.finished()
        album.save(drawn, self.directory / "figures")
        # TensorBoard has had those that the epochs have shown, by the last weights, unless there was no epoch.
        shown = set() if pl_module.is_solved else {picture.__name__ for picture in album.WATCHED}
        self._show(trainer, {name: picture for name, picture in drawn.items() if name not in shown})
        if self.projector and pl_module.model.has_continuous_code:
            self._project(trainer, book)

    def _project(self, trainer: Trainer, book: album.Album) -> None:
        x, labels = book.test(PROJECTED)
        with torch.no_grad():
            means = book.model.given(labels).encode(x).mean
        self.events.experiment.add_embedding(means, labels.tolist(), 1 - x, trainer.global_step, "codes")


class EpochProgress(Callback):
    """A bar over the whole run with epoch, loss and validation ELBO; plain lines where there is no terminal.

    Args:
        bar: False where others share the terminal.
    """

    def __init__(self, bar: bool = True) -> None:
        self.has_bar = bar and sys.stdout.isatty()
        self.bar: Progress | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.began = time.monotonic()
        self.first_epoch = trainer.current_epoch
        self.val = ""
        if trainer.is_global_zero and self.has_bar:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[figures]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                auto_refresh=False,  # by a thread of its own, for which the training would wait ten times a second
            )
            self.drawn = 0.0
            self.task = self.bar.add_task("epoch", total=pl_module.steps, completed=trainer.global_step, figures="")
            self.bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if self.bar is not None and (trainer.global_step % trainer.log_every_n_steps == 0 or trainer.is_last_batch):
            now = time.monotonic()
            due = now - self.drawn >= REDRAW_S or trainer.global_step == pl_module.steps
            self.drawn = now if due else self.drawn
            self.bar.update(
                self.task,
                completed=trainer.global_step,
                description=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
                figures=self._figures(pl_module),
                refresh=due,
            )

    def _figures(self, module: LightningModule) -> str:
        return f"loss {module.latest.get('train/loss', float('nan')):8.2f}{self.val}"

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        name = pl_module.criterion or "elbo"
        self.val = f"  val {name} {trainer.callback_metrics[f'val/{name}']:8.2f}"

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        epoch = trainer.current_epoch + 1
        pace = (time.monotonic() - self.began) / (epoch - self.first_epoch)
        line = f"epoch {epoch:3d}/{trainer.max_epochs}  {self._figures(pl_module)}  {pace:.2f} s/epoch"
        every = -(-trainer.max_epochs // PLAIN_LINES)
        # The terminal has its bar; the log file, which takes debug messages too, keeps every epoch.
        shown = self.bar is None and (epoch % every == 0 or epoch in (1, trainer.max_epochs))
        log.log(logging.INFO if shown else logging.DEBUG, line)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


class BestCheckpoint(ModelCheckpoint):
    """``best.ckpt``, whose record survives that the run directory is moved, and is not taken to another one."""

    @property
    def path(self) -> Path:
        return Path(self.dirpath) / "best.ckpt"

    def load_state_dict(self, state_dict: dict) -> None:
        """Lightning stores absolute paths, and forgets the record where they are not this directory's."""
        if self.path.is_file() and state_dict["best_model_score"] is not None:
            path, score = str(self.path), state_dict["best_model_score"]
            self.best_model_path = self.kth_best_model_path = path
            self.best_model_score = self.kth_value = score
            self.best_k_models = {path: score}


def checkpoints(directory: Path, criterion: str | None, validates: bool) -> list[ModelCheckpoint]:
    """``last.ckpt`` after every epoch, and ``best.ckpt`` by the validation's ``criterion``, where there is one."""
    # After the epoch, not within it: a resumed run then starts with a whole epoch, the same as if never stopped.
    common = {"dirpath": directory / "checkpoints", "save_on_train_epoch_end": True, "enable_version_counter": False}
    last = ModelCheckpoint(filename="last", **common)
    if not validates or criterion is None:
        return [last]
    monitor, mode = f"val/{criterion}", "min" if criterion == "distortion" else "max"
    # The best first, so that the last one, from which a run goes on, knows of it.
    return [BestCheckpoint(filename="best", monitor=monitor, mode=mode, **common), last]


class AveragedWeights(EMAWeightAveraging):
    """Validation, checkpoints and test with an exponential moving average of the weights."""

    def __init__(self, decay: float) -> None:
        if number("evaluation.ema", decay) >= 1:
            raise ValueError(f"evaluation.ema must be below 1, such as 0.999, or null for none, got {decay:g}")
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


class EventFiles(TensorBoardLogger):
    """TensorBoard's event files, in ``directory`` itself; a run that goes on from ``step`` hides what came after it."""

    def __init__(self, directory: Path, step: int, figures: Sequence[str]) -> None:
        purge = {"purge_step": step + 1} if step else {}
        super().__init__(directory, name="", version="", default_hp_metric=False, **purge)
        self.figures = figures

    def begin(self) -> None:
        """Lay the Custom Scalars tab out: all of ``figures`` in a chart for each split, both splits in one for each."""
        by_split = {split: ["Multiline", [f"{split}/{name}" for name in self.figures]] for split in ("train", "val")}
        by_figure = {name: ["Multiline", [f"train/{name}", f"val/{name}"]] for name in self.figures}
        self.experiment.add_custom_scalars({"together": by_split, "training and validation": by_figure})

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


class MetricsFile(CSVLogger):
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


class SaveMetrics(Callback):
    """Writes metrics.csv out before every checkpoint, so that a killed run's file ends where it goes on."""

    def __init__(self, file: MetricsFile) -> None:
        self.file = file

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.file.save()


EACH_STEP = (
    "on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward",
    "on_before_optimizer_step", "on_train_batch_end",
)  # fmt: skip


def drop_idle_hooks(listeners: Iterable[Callback | LightningModule]) -> None:
    """Lightning calls all hooks of everybody at every step, the empty ones too, but not those that are None."""
    for listener in listeners:
        base = Callback if isinstance(listener, Callback) else LightningModule
        for hook in EACH_STEP:
            if getattr(type(listener), hook) is getattr(base, hook):
                setattr(listener, hook, None)
