"""progress."""

import logging
import sys
import time

from lightning import Callback, LightningModule, Trainer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

log = logging.getLogger(__name__)


REDRAW_S = 0.5  # between two looks of the bar
PLAIN_LINES = 50  # at most so many lines of progress where there is no terminal


class ProgressReporter(Callback):
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
        return f"loss {module.latest.get('loss/train', float('nan')):8.2f}{self.val}"

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        name = pl_module.criterion or "elbo"
        self.val = f"  val {name} {trainer.callback_metrics[f'{name}/val']:8.2f}"

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
