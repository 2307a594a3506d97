"""When a run says how far it is, draws, and saves."""

import csv
import logging
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerFn
from matplotlib.figure import Figure
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from vaelab import figures, noise
from vaelab.checks import number, whole
from vaelab.model import LatentVariableModel

log = logging.getLogger(__name__)

SAMPLES = 64
COLUMNS = 8
RECONSTRUCTIONS = 8
PLAIN_LINES = 50  # at most so many lines of progress where there is no terminal


class Pictures(Callback):
    """Draws the same codes and the same test images again and again, so that one can watch them get better.

    To TensorBoard every ``every`` epochs, and to ``directory/figures`` at the end of the test.
    """

    def __init__(self, directory: Path, every: int, title: str) -> None:
        self.directory = directory
        self.every = whole("pictures.every", every)
        self.title = title

    def draw(self, trainer: Trainer, module: LightningModule, when: str) -> dict[str, Figure]:
        test = trainer.datamodule.sets["test"]
        images, labels = test[torch.arange(min(RECONSTRUCTIONS, len(test)))]
        originals = trainer.datamodule.scale(images).to(module.device)
        title = f"{self.title} · {when}"
        training = module.training
        module.eval()
        with torch.no_grad(), noise.fixed_noise(module.device, module.seed, noise.PICTURES):
            generated = self._generate(module.model)
            model = module.model.given(labels.to(module.device))
            reconstructed = model.reconstruct(model.encode(originals))
        module.train(training)
        return {
            "samples": figures.samples(generated, title, COLUMNS),
            "reconstructions": figures.reconstructions(originals, reconstructed, title),
        }

    def _generate(self, model: LatentVariableModel) -> Tensor:
        """Images from the prior; of a conditional model a row for each class, with the same codes in every row."""
        if model.classes is None:
            return model.sample(SAMPLES)[1].mean
        z = model.sample_codes(COLUMNS).repeat(model.classes, 1)
        labels = torch.arange(model.classes, device=z.device).repeat_interleave(COLUMNS)
        return model.given(labels).decode(z).mean

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if trainer.is_global_zero and (epoch % self.every == 0 or epoch in (1, trainer.max_epochs)):
            self._show(trainer, self.draw(trainer, pl_module, f"epoch {epoch}"))

    def _show(self, trainer: Trainer, drawn: Mapping[str, Figure]) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, EventFiles):
                for name, figure in drawn.items():
                    picture = figures.pixels(figure)
                    logger.experiment.add_image(name, picture, trainer.global_step, dataformats="HWC")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        folder = self.directory / "figures"
        folder.mkdir(exist_ok=True)
        drawn = self.draw(trainer, pl_module, "tested weights")
        if pl_module.is_solved:  # no epoch has shown them before
            self._show(trainer, drawn)
        else:
            history = figures.read_history(self.directory / "metrics.csv")
            drawn["curves"] = figures.curves(history, self.title)
        for name, figure in drawn.items():
            figure.savefig(folder / f"{name}.png")


class EpochProgress(Callback):
    """A bar over the whole run with epoch, loss and validation ELBO; plain lines where there is no terminal."""

    def __init__(self) -> None:
        self.bar: Progress | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.began = time.monotonic()
        self.first_epoch = trainer.current_epoch
        self.val = ""
        if trainer.is_global_zero and sys.stdout.isatty():
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[figures]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
            )
            total = trainer.max_epochs * trainer.num_training_batches
            self.task = self.bar.add_task("epoch", total=total, completed=trainer.global_step, figures="")
            self.bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if self.bar is not None and (trainer.global_step % trainer.log_every_n_steps == 0 or trainer.is_last_batch):
            self.bar.update(
                self.task,
                completed=trainer.global_step,
                description=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
                figures=self._figures(pl_module),
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

    def __init__(self, directory: Path, step: int) -> None:
        purge = {"purge_step": step + 1} if step else {}
        super().__init__(directory, name="", version="", default_hp_metric=False, **purge)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """All but the epoch, which metrics.csv wants in its rows and nobody wants as a chart."""
        super().log_metrics({name: value for name, value in metrics.items() if name != "epoch"}, step)

    def save(self) -> None:
        """Flush; Lightning would also write hparams.yaml, a second and poorer copy of .hydra/config.yaml."""
        self.experiment.flush()


class MetricsFile(CSVLogger):
    """metrics.csv, made when ``go_on`` is called; until then nothing is written."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, name="", version="")
        self.path = directory / "metrics.csv"

    def go_on(self, step: int) -> None:
        """Begin the file anew, with the rows up to ``step`` of the run that goes on there."""
        kept: list[dict] = []
        if step and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        with warnings.catch_warnings():
            # It warns that it deletes the old file, and does; the rows worth keeping are written again.
            warnings.filterwarnings("ignore", message="Experiment logs directory")
            self.experiment.metrics = kept
        self.save()


class SaveMetrics(Callback):
    """Writes metrics.csv out with every checkpoint, so that a killed run's file ends where it goes on."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFile):
                logger.save()
