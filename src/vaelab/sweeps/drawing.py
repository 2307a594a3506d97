"""Which plots a sweep has, and where they go: figures/ and TensorBoard."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from vaelab.errors import InputError
from vaelab.evaluation.metrics import RANKED
from vaelab.plots import style
from vaelab.runs.directory import FIGURES
from vaelab.sweeps import plots
from vaelab.sweeps.documents import as_markdown
from vaelab.sweeps.jobs import as_text
from vaelab.sweeps.ranking import pareto_front
from vaelab.sweeps.sample_grid import sample_grid
from vaelab.sweeps.table import ComparableGroup, Sweep

log = logging.getLogger(__name__)

MOST_SLICES = 6  # grids, where more than two options were swept
PLOTS = ("rate_distortion", "heat_maps", "lines", "sample_grid", "scatter", "atlas")  # the last one: of version 0.1.0
EVENTS = ".sweep"  # how the name of its own event file ends


def draw(sweep: Sweep, directory: Path) -> dict[str, list[str]]:
    """Write the plots of every group to ``directory/figures`` and to TensorBoard; group -> its plots, in Markdown."""
    folder = directory / FIGURES
    folder.mkdir(exist_ok=True)
    _remove_last_report(directory)
    drawn: dict[str, list[str]] = {}
    with warnings.catch_warnings(), SummaryWriter(directory, filename_suffix=EVENTS) as writer:
        warnings.filterwarnings("ignore", message="constrained_layout not applied")  # the plot is legible without
        for group in sweep.groups:
            prefix = f"{group.slug}-" if len(sweep.groups) > 1 else ""
            drawn[group.name] = []
            for name, part, figure in plots_of(group, sweep):
                path = folder / f"{prefix}{name}.png"
                figure.savefig(path)
                writer.add_image(f"sweep/{prefix}{name}", style.pixels(figure), dataformats="HWC")
                drawn[group.name].append(f"{part}\n\n" * bool(part) + f"![{name}]({FIGURES}/{path.name})")
        writer.add_text("sweep", as_markdown(sweep, {}))
    return drawn


def _remove_last_report(directory: Path) -> None:
    """TensorBoard would show its plots beside the new ones."""
    for old in directory.glob(f"events.out.tfevents.*{EVENTS}"):
        old.unlink()
    for old in (directory / FIGURES).glob("*.png"):
        if any(name in old.name for name in PLOTS):
            old.unlink()


def plots_of(group: ComparableGroup, sweep: Sweep) -> Iterator[tuple[str, str, Figure]]:
    """The name of each plot, the part of the group that it shows, and its figure.

    A plot that fails is logged and left out: the tables and the other plots remain.
    """
    for name, part, make in makers(group, sweep):
        try:
            figure = make()
        except Exception as error:
            log.warning(f"no {name}: {type(error).__name__}: {error}", exc_info=not isinstance(error, InputError))
            continue
        if figure is not None:
            yield name, part, figure


def makers(group: ComparableGroup, sweep: Sweep) -> Iterator[tuple[str, str, Callable[[], Figure | None]]]:
    """The name of each plot, the part of the group that it shows, and a function that makes it."""
    if not group.is_grid:
        title = f"{group.heading} · {sweep.name}"
        yield "rate_distortion", "", partial(rate_distortion, group.configurations, None, None, title)
        yield "scatter", "", partial(scatter, group, title)
        return
    grids = list(slices(group))
    for number, (part, configurations, rows, columns) in enumerate(grids):
        suffix = f"-{number}" if len(grids) > 1 else ""
        title = " · ".join(filter(None, (part, group.heading, sweep.name)))
        yield f"rate_distortion{suffix}", part, partial(rate_distortion, configurations, rows, columns, title)
        if rows is not None and columns is not None:
            maps = partial(plots.heat_maps, configurations, rows, columns, group.metrics, title)
            yield f"heat_maps{suffix}", part, maps
        elif columns is not None:
            yield f"lines{suffix}", part, partial(plots.lines, configurations, columns, group.metrics, title)
        images = partial(sample_grid, group.jobs, configurations, group.axes, rows, columns, title, sweep.folders)
        yield f"sample_grid{suffix}", part, images


def scatter(group: ComparableGroup, title: str) -> Figure | None:
    """The first metric of ``RANKED`` that ``group`` has, over each option."""
    metric = next((name for name in RANKED if name in group.metrics), None)
    return None if metric is None else plots.scatter(group.best(metric), group.axes, metric, title)


def rate_distortion(configurations: pd.DataFrame, rows: str | None, columns: str | None, title: str) -> Figure | None:
    """The rate-distortion plane of those configurations that have both."""
    if not {"rate", "distortion"} <= set(configurations):
        return None
    known = configurations.dropna(subset=["rate", "distortion"])
    return None if known.empty else plots.plane(known, rows, columns, pareto_front(known), title)


def slices(group: ComparableGroup) -> Iterator[tuple[str, pd.DataFrame, str | None, str | None]]:
    """A grid for each combination of the options that are neither rows nor columns.

    Yields that combination, its configurations, and the options of rows and columns.
    """
    rows, columns = grid_axes(group.axes)
    others = [axis for axis in group.axes if axis not in (rows, columns)]
    if not others:
        yield "", group.configurations, rows, columns
        return
    for number, (values, configurations) in enumerate(group.configurations.groupby(others, dropna=False)):
        if number == MOST_SLICES:
            log.warning(f"only the first {MOST_SLICES} of the grids over {', '.join(others)} are drawn")
            return
        part = ", ".join(f"{axis}={as_text(value)}" for axis, value in zip(others, values, strict=True))
        yield part, configurations, rows, columns


def grid_axes(axes: Sequence[str]) -> tuple[str | None, str | None]:
    """The options of a grid's rows and columns: the latent size downwards and the KL weight across, where swept."""
    if not axes:
        return None, None
    across = next((axis for axis in ("beta.weight", "beta") if axis in axes), axes[-1])
    down = next((axis for axis in axes if axis != across), None)
    return down, across
