"""One run: its composed configuration, and the objects that are made from it."""

from dataclasses import dataclass
from pathlib import Path

from lightning import Trainer

from vaelab.data.datamodule import ImageDataModule
from vaelab.evaluation.own import Asked
from vaelab.training.module import VAEModule


@dataclass
class Run:
    """One run as composed: plain values, which can be sent to another process.

    **Arguments**
        config: the composed configuration.
        overrides: of the command line, such as ``latent=2``.
        choices: group -> member.
        directory: where its files go.
        multirun: whether it is a job of a sweep.
        side_by_side: whether other jobs may run on this machine at the same time.
        folders: of the user's own pieces, as `vaelab.own` takes them.
    """

    config: dict
    overrides: list[str]
    choices: dict[str, str]
    directory: Path
    multirun: bool = False
    side_by_side: bool = False
    folders: tuple[Path, ...] = ()

    @property
    def ckpt(self) -> Path | None:
        return Path(self.config["ckpt"]) if self.config["ckpt"] else None

    @property
    def resumes_in_place(self) -> bool:
        """Whether it goes on from a checkpoint in its own directory."""
        return self.ckpt is not None and self.ckpt.resolve().is_relative_to(self.directory.resolve())


@dataclass
class ResumePoint:
    """How far a run has come when it starts: nowhere, or where its checkpoint is.

    **Attributes**
        step: of the optimizer.
        epochs: that it was trained for, with a fraction within an epoch.
        asked: how many epochs it was to have.
        limit: how many steps it was to have at most; None: all of those epochs.
        data: what it was trained on so far.
    """

    step: int = 0
    epochs: float = 0
    asked: int = 0
    limit: int | None = None
    data: dict | None = None


@dataclass
class Components:
    """The objects of a run, made and checked before anything is written.

    **Attributes**
        trainer: None where the processes that train are not started yet.
        processes: how many processes train.
        begin_s: seconds that the model's start from the training images took.
        untrained: the metrics of two images before the training.
        measures: the user's own metrics.
    """

    data: ImageDataModule
    module: VAEModule
    trainer: Trainer | None
    processes: int
    resumed: ResumePoint
    begin_s: float
    untrained: dict[str, float]
    measures: Asked = ()
