"""A sweep as the explorer shows it: its configurations in the rate-distortion plane, and images of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from torch import Tensor

from vaelab.errors import InputError
from vaelab.explore.session import ExploredRun
from vaelab.sweeps import table
from vaelab.sweeps.jobs import as_text
from vaelab.sweeps.sample_grid import first_job, show

SHOWN = 8  # test images, and as many samples


@dataclass(frozen=True)
class Point:
    """A configuration, by its mean over seeds.

    **Attributes**
        name: its options in one line.
        rate, distortion: in nats.
        options: the value of each swept option.
        directory: of its job with the smallest seed.
        beta: of a multi-rate run's row; None: the run has one β.
    """

    name: str
    rate: float
    distortion: float
    options: dict[str, object]
    directory: Path
    beta: float | None


@dataclass(frozen=True)
class SweepPlane:
    """Comparable configurations of a sweep.

    **Attributes**
        name: of the sweep and the group.
        points: those with a rate and a distortion.
        axes: the swept options with the values that each takes, in ascending order.
        best: the point with the largest ELBO.
    """

    name: str
    points: list[Point]
    axes: dict[str, list]
    best: int

    def nearest(self, wanted: Mapping[str, object], changed: str) -> int:
        """The point whose option ``changed`` is as ``wanted`` and whose other options differ in as few as possible."""
        same = [index for index, point in enumerate(self.points) if point.options[changed] == wanted[changed]]
        return max(same, key=lambda index: self._agreement(index, wanted))

    def _agreement(self, index: int, wanted: Mapping[str, object]) -> tuple[int, float]:
        """How many options agree, and how near the others are."""
        options = self.points[index].options
        steps = [abs(values.index(options[axis]) - values.index(wanted[axis])) for axis, values in self.axes.items()]
        return steps.count(0), -float(sum(steps))


def read_planes(sweeps: Sequence[Path]) -> list[SweepPlane]:
    """The comparable groups of the sweeps in these directories, the largest first.

    **Raises**
        InputError: no configuration of them is finished, or none has a rate.
    """
    sweep = table.read(sweeps)
    found = [plane for group in sweep.groups if (plane := _plane(sweep.name, group)) is not None]
    if not found:
        raise InputError(
            f"{', '.join(map(str, sweeps))}: no configuration is finished and has a rate and a distortion, "
            f"{sweep.counts}; wait for the sweep, or name single runs"
        )
    return sorted(found, key=lambda plane: -len(plane.points))


def _plane(name: str, group: table.ComparableGroup) -> SweepPlane | None:
    known = group.configurations
    if "rate" not in known or "distortion" not in known:
        return None
    known = known.dropna(subset=["rate", "distortion"]).reset_index(drop=True)
    points = [point for _, row in known.iterrows() if (point := _point(group, row)) is not None]
    if not points:
        return None
    axes = {axis: sorted({point.options[axis] for point in points}, key=_order) for axis in group.axes}
    axes = {axis: values for axis, values in axes.items() if len(values) > 1}
    best = min(range(len(points)), key=lambda index: points[index].rate + points[index].distortion)
    return SweepPlane(f"{name}: {group.name}", points, axes, best)


def _order(value: object) -> tuple[bool, float, str]:
    is_number = isinstance(value, (int, float))
    return (not is_number, float(value) if isinstance(value, (int, float)) else 0.0, str(value))


def _point(group: table.ComparableGroup, row: pd.Series) -> Point | None:
    options = {axis: row[axis] for axis in group.axes}
    known = {axis: value for axis, value in options.items() if not pd.isna(value)}
    job = first_job(group.jobs, known)
    if job is None:
        return None
    plain = {axis: None if pd.isna(value) else _plain(value) for axis, value in options.items()}
    return Point(group.describe(row), float(row["rate"]), float(row["distortion"]), plain, *job)


def _plain(value: object) -> object:
    """A number of numpy as one of Python."""
    return value.item() if hasattr(value, "item") else value


def axis_text(option: str, value: object) -> str:
    """``option=value``, as typed."""
    return f"{option}={as_text(value)}"


def preview(run: ExploredRun) -> tuple[Tensor, Tensor, Tensor] | None:
    """The first test images ``(N, C, H, W)``, their reconstructions, and samples of the same noise for every model."""
    if run.images is None:
        return None
    originals, labels = (part[:SHOWN] for part in run.images)
    reconstructions, samples = show(run.model, originals.to(run.device), labels.to(run.device))
    return originals, reconstructions.cpu(), samples.cpu()
