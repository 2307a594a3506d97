"""The runs and sweeps that the explorer was started with: nothing else is read."""

from collections.abc import Sequence
from pathlib import Path

import torch

from vaelab.errors import InputError
from vaelab.explore.session import ExploredRun
from vaelab.explore.sweep_plane import Point, SweepPlane, read_planes
from vaelab.runs.directory import LOCK
from vaelab.runs.results import RESULTS
from vaelab.sweeps.jobs import jobs_in

KEPT = 16  # runs of a sweep that stay open


class Opened:
    """Runs by name, and sweeps.

    **Attributes**
        runs: those that were named, and those of a sweep that were looked at since.
        planes: the comparable groups of the sweeps.

    **Arguments**
        directories: of finished runs, or of sweeps.
        device: where the models compute.
        folder: where the user's own pieces are now; None for where they were when the runs were trained.

    **Raises**
        InputError: a directory is no run and no sweep, or a run is not finished.
    """

    def __init__(
        self, directories: Sequence[Path], device: str | torch.device = "auto", folder: Path | None = None
    ) -> None:
        self._device, self._folder = device, folder
        self.runs: dict[str, ExploredRun] = {}
        self.named: list[str] = []
        different = list({directory.resolve(): directory for directory in directories}.values())
        kinds = {directory: is_sweep(directory) for directory in different}
        for directory in different:
            if not kinds[directory]:
                self.named.append(self._open(directory).name)
        sweeps = [directory for directory in different if kinds[directory]]
        self.planes: list[SweepPlane] = read_planes(sweeps) if sweeps else []
        if not self.named:
            self.open_point(self.planes[0].points[self.planes[0].best])

    @property
    def names(self) -> list[str]:
        """What the page shows, for the terminal."""
        return [*self.named, *(plane.name for plane in self.planes)]

    @property
    def first(self) -> ExploredRun:
        return next(iter(self.runs.values()))

    def open_point(self, point: Point) -> ExploredRun:
        """The run of a configuration, at its β.

        **Raises**
            InputError: it was deleted meanwhile.
        """
        run = next((run for run in self.runs.values() if run.run.directory == point.directory), None)
        if run is None:  # a multi-rate run is many points
            run = self._open(point.directory, point.name if point.beta is None else "")
        return run if point.beta is None else run.at(point.beta)

    def _open(self, directory: Path, name: str = "") -> ExploredRun:
        run = ExploredRun.open(
            directory, self._unused_name(name or directory.resolve().name), self._device, self._folder
        )
        self.runs[run.name] = run
        extra = [name for name in self.runs if name not in self.named and name != run.name]
        for old in extra[: max(0, len(extra) - KEPT)]:
            del self.runs[old]
        return run

    def _unused_name(self, name: str) -> str:
        """``name``, with a number where another run has it."""
        numbers = range(2, len(self.runs) + 3)
        return next(free for free in (name, *(f"{name} ({n})" for n in numbers)) if free not in self.runs)


def is_sweep(directory: Path) -> bool:
    """Whether ``directory`` is a sweep's; False where it is, or may be, a run's.

    **Raises**
        InputError: there is no such directory, or it holds no run.
    """
    if directory.is_file() or (directory / RESULTS).exists():
        return False
    if not directory.is_dir():
        raise InputError(f"{directory}: there is no such directory; name a finished run, such as outputs/runs/two")
    if (directory / ".hydra").is_dir() or (directory / LOCK).exists():
        return False  # a run, finished or not: opening it raises an error if it is not
    if next(iter(jobs_in(directory)), None) is None:
        raise InputError(
            f"{directory} holds no run: name a finished run, such as outputs/runs/two, or a sweep, outputs/sweeps/X"
        )
    return True
