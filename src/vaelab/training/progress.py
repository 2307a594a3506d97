"""How a run shows its progress: a bar on a terminal or in Jupyter, else a line for some of its epochs."""

import logging
import sys
import time
from importlib.util import find_spec

from lightning import Callback, LightningModule, Trainer
from rich import get_console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from vaelab.training.lightning_internals import steps_between_logs
from vaelab.training.module import VAEModule, as_vae_module

log = logging.getLogger(__name__)

REDRAW_S = 0.5  # seconds between two redraws of the bar
MAX_LINES = 50  # lines of progress of a run that has no terminal


class ProgressReporter(Callback):
    """A bar over the whole run with epoch, loss and validation ELBO; lines where none can be drawn.

    **Arguments**
        bar: False where other runs write to the same terminal.
    """

    def __init__(self, bar: bool = True) -> None:
        self.has_bar = bar and (sys.stdout.isatty() or _in_jupyter())
        self.bar: Progress | None = None
        self.validation = ""
        self.pending: tuple[int, str] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.began = time.monotonic()
        self.first_epoch = trainer.current_epoch
        if trainer.is_global_zero and self.has_bar:
            self.bar = _make_bar()
            self.drawn = 0.0
            steps = as_vae_module(pl_module).steps
            self.task: TaskID = self.bar.add_task("epoch", total=steps, completed=trainer.global_step, metrics="")
            self.bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if self.bar is None or not (trainer.global_step % steps_between_logs(trainer) == 0 or trainer.is_last_batch):
            return
        module, now = as_vae_module(pl_module), time.monotonic()
        is_due = now - self.drawn >= REDRAW_S or trainer.global_step == module.steps
        self.drawn = now if is_due else self.drawn
        self.bar.update(
            self.task,
            completed=trainer.global_step,
            description=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
            metrics=self._metrics(module),
            refresh=is_due,
        )

    def _metrics(self, module: VAEModule) -> str:
        return f"loss {module.latest.get('loss/train', float('nan')):8.2f}{self.validation}"

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        name = as_vae_module(pl_module).criterion or "elbo"
        self.validation = f"  val {name} {trainer.callback_metrics[f'{name}/val']:8.2f}"

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero and trainer.is_last_batch:  # else the training is stopped within the epoch
            epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 1
            pace = (time.monotonic() - self.began) / (epoch - self.first_epoch)
            line = f"epoch {epoch:3d}/{epochs}  {self._metrics(as_vae_module(pl_module))}  {pace:.2f} s/epoch"
            every = -(-epochs // MAX_LINES)
            # A terminal has its bar; train.log, which takes debug messages too, gets every epoch.
            is_shown = self.bar is None and (epoch % every == 0 or epoch in (1, epochs))
            self.pending = (logging.INFO if is_shown else logging.DEBUG, line)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._log_pending()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._log_pending()
        self._stop()

    def _log_pending(self) -> None:
        """Log the line of the last epoch once its checkpoint is saved, so that a run can go on from what it reports."""
        if self.pending is not None:
            log.log(*self.pending)
            self.pending = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _in_jupyter() -> bool:
    """Whether this is a notebook that can draw a bar, for which rich needs ipywidgets."""
    return get_console().is_jupyter and find_spec("ipywidgets") is not None


def _make_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[metrics]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        auto_refresh=False,  # its thread would take the interpreter from the training ten times a second
    )
