"""A sweep's report: tables in sweep.csv, sweep.md and sweep.json, pictures in figures/ and for TensorBoard."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from vaelab.evaluation.metrics import METRICS, RANKED, SWEEP_METRICS
from vaelab.files import write_json, write_text
from vaelab.locks import locked
from vaelab.plots import style
from vaelab.sweeps import plots
from vaelab.sweeps.jobs import shown
from vaelab.sweeps.ranking import front, ranking
from vaelab.sweeps.sample_grid import sample_grid
from vaelab.sweeps.table import COUNTS, Kind, Sweep, read, with_deviation

log = logging.getLogger(__name__)


LONGEST_TABLE = 100  # cells in sweep.md; sweep.csv has all
SLICES = 6  # at most so many grids, where more than two axes were swept
PICTURES = ("rate_distortion", "heat_maps", "atlas", "scatter")
EVENTS = ".sweep"  # how its own event file's name ends


def report(sweeps: Sequence[Path], directory: Path, pictures: bool = True) -> Sweep:
    """sweep.csv, sweep.md, sweep.json, figures/ and TensorBoard's summary of ``sweeps``, in ``directory``."""
    sweep = read(sweeps)
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory / ".report.lock", wait=True):  # two sweeps in one directory may end together
        columns = ["sweep", "job", "status", "error", "kind", *sweep.axes, "seed"]
        figures_of_test = [name for name in sweep.jobs if name.startswith(("test_", "validation_"))]
        table = sweep.jobs[[*columns, "parameters", "tested_epoch", *figures_of_test]]
        write_text(directory / "sweep.csv", table.to_csv(index=False))
        write_json(directory / "sweep.json", as_json(sweep))
        write_text(directory / "sweep.md", markdown(sweep, {}))
        if pictures:
            write_text(directory / "sweep.md", markdown(sweep, draw(sweep, directory)))
    return sweep


def counted(sweep: Sweep) -> str:
    by_status = ", ".join(f"{count} {status}" for status, count in sweep.counts.items())
    return f"{len(sweep.jobs)} job{'s' * (len(sweep.jobs) != 1)}, {by_status}"


def as_json(sweep: Sweep) -> dict[str, object]:
    kinds = []
    for kind in sweep.kinds:
        cells = json.loads(kind.cells.to_json(orient="records"))
        chosen = kind.chosen_by_validation()
        kinds.append(
            {
                "kind": kind.name,
                "axes": kind.axes,
                "best": ranking(kind),
                "chosen_by_validation": None if chosen is None else kind.told(chosen),
                "cells": cells,
            }
        )
    return {
        "sweeps": [str(path) for path in sweep.sweeps],
        "jobs": {"all": len(sweep.jobs), **sweep.counts},
        "axes": {axis: sorted({shown(value) for value in sweep.jobs[axis].dropna()}) for axis in sweep.axes},
        "notes": sweep.notes,
        "kinds": kinds,
        "failed": json.loads(
            sweep.jobs.loc[sweep.jobs["status"] != "completed", ["sweep", "job", "status", "error"]].to_json(
                orient="records"
            )
        ),
    }


def markdown(sweep: Sweep, drawn: dict[str, list[str]]) -> str:
    """What a reader wants to know first."""
    lines = [f"# {sweep.name}", "", f"{counted(sweep)}."]
    for axis in sweep.axes:
        values = sweep.jobs[axis].drop_duplicates().dropna()
        values = values.sort_values() if pd.api.types.is_numeric_dtype(values) else values
        told_values = [shown(value) for value in values]
        lines.append(f"- {axis}: {', '.join(told_values[:20])}{', …' if len(told_values) > 20 else ''}")
    lines += ["", "Means over seeds ± the standard deviation of one seed; nats per test image at β = 1.", ""]
    lines += [f"**{note}**\n" for note in sweep.notes]
    for kind in sweep.kinds:
        lines += [f"## {kind.heading}", ""]
        lines += _best_table(kind)
        for picture in drawn.get(kind.name, []):
            lines += [picture, ""]
        lines += _cell_table(kind)
    rest = sweep.jobs[sweep.jobs["status"] != "completed"]
    if len(rest):
        lines += ["## Not completed", "", "| job | status | why |", "|---|---|---|"]
        lines += [
            f"| {_cell(row.job)} | {row.status} | {_cell(row.error or '')} |"
            for row in rest[:LONGEST_TABLE].itertuples()
        ]
        lines += [""] + ([f"and {len(rest) - LONGEST_TABLE} more, in sweep.csv"] if len(rest) > LONGEST_TABLE else [])
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: str) -> str:
    return " ".join(str(text).replace("|", "\\|").split())


def _best_table(kind: Kind) -> list[str]:
    rows = ranking(kind)
    if not rows:
        return []
    lines = ["| best by | cell | value | seeds | ahead of the next by |", "|---|---|---|---|---|"]
    for row in rows:
        value = f"{row['mean']:.2f}" + ("" if row["sd"] is None else f" ± {row['sd']:.2f}")
        ahead = ""
        if "next" in row:
            ahead = f"{row['ahead']:.2f} ({row['next']})"
            if row["told_apart"] is None:
                ahead += "; with one seed each, by chance or not"
            elif not row["told_apart"]:
                ahead += f", which their {row['runs']} runs cannot tell apart"
        lines.append(f"| {row['by']} | {_cell(row['cell'])} | {value} | {row['seeds']} | {_cell(ahead)} |")
    chosen = kind.chosen_by_validation()
    if chosen is not None:
        figures_told = f"elbo {with_deviation(chosen, 'elbo')}, nll {with_deviation(chosen, 'nll')}"
        would = f"The validation's bound would choose {kind.told(chosen)}: {figures_told} on the test images."
        lines += ["", would]
    return [*lines, ""]


def _cell_table(kind: Kind) -> list[str]:
    names = [name for name in SWEEP_METRICS if name in kind.cells and kind.cells[name].notna().any()]
    cells = kind.cells
    lines = []
    if len(cells) > LONGEST_TABLE:
        by = "nll" if "nll" in names else names[0]
        cells = cells.sort_values(by, ascending=by not in METRICS or METRICS[by].better != "higher").head(LONGEST_TABLE)
        lines += [f"The best {LONGEST_TABLE} of {len(kind.cells)} cells by {by}; sweep.csv has all.", ""]
    lines += [f"| {' | '.join([*kind.axes, *names, 'seeds'])} |", "|---" * (len(kind.axes) + len(names) + 1) + "|"]
    for cell in cells.to_dict("records"):
        row = pd.Series(cell)
        values = [_cell(shown(cell[axis])) for axis in kind.axes]
        values += [with_deviation(row, name, 1 if name in COUNTS else 2) for name in names]
        lines.append(f"| {' | '.join([*values, str(cell['seeds'])])} |")
    return [*lines, ""]


def draw(sweep: Sweep, directory: Path) -> dict[str, list[str]]:
    """The pictures of every kind to ``directory/figures`` and to TensorBoard: kind -> them, in Markdown."""
    folder = directory / "figures"
    folder.mkdir(exist_ok=True)
    # TensorBoard would show the last report beside this one.
    for old in (*directory.glob(f"events.out.tfevents.*{EVENTS}"), *(folder / name for name in _drawn_before(folder))):
        old.unlink()
    drawn: dict[str, list[str]] = {}
    with warnings.catch_warnings(), SummaryWriter(directory, filename_suffix=EVENTS) as writer:
        warnings.simplefilter("ignore")  # of matplotlib, about layouts that it had to give up on
        for kind in sweep.kinds:
            prefix = f"{kind.slug}-" if len(sweep.kinds) > 1 else ""
            drawn[kind.name] = []
            for name, where, figure in pictures_of(kind, sweep):
                path = folder / f"{prefix}{name}.png"
                figure.savefig(path)
                writer.add_image(f"sweep/{prefix}{name}", style.pixels(figure), dataformats="HWC")
                drawn[kind.name].append(f"{where}\n\n" * bool(where) + f"![{name}](figures/{path.name})")
        writer.add_text("sweep", markdown(sweep, {}))
    return drawn


def _drawn_before(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.png") if any(picture in path.name for picture in PICTURES)]


def pictures_of(kind: Kind, sweep: Sweep) -> Iterator[tuple[str, str, Figure]]:
    """Name, slice and picture, of all that ``kind`` has."""
    for name, where, make in makers(kind, sweep):
        try:
            picture = make()
        except Exception as error:  # the tables are not lost for a picture
            log.warning(f"no {name}: {type(error).__name__}: {error}")
            continue
        if picture is not None:
            yield name, where, picture


def makers(kind: Kind, sweep: Sweep) -> Iterator[tuple[str, str, Callable[[], Figure | None]]]:
    """Name of each picture, the values of the axes that it is a slice at, and its maker."""
    if not kind.is_grid:
        title = f"{kind.heading} · {sweep.name}"
        yield "rate_distortion", "", partial(rate_distortion, kind.cells, None, None, title)
        yield "scatter", "", partial(scatter, kind, title)
        return
    grids = list(slices(kind))
    for number, (where, cells, rows, columns) in enumerate(grids):
        suffix = f"-{number}" if len(grids) > 1 else ""
        title = " · ".join(filter(None, (where, kind.heading, sweep.name)))
        yield f"rate_distortion{suffix}", where, partial(rate_distortion, cells, rows, columns, title)
        if columns is not None:  # else nothing was swept but seeds
            yield f"heat_maps{suffix}", where, partial(plots.heat_maps, cells, rows, columns, SWEEP_METRICS, title)
        yield f"atlas{suffix}", where, partial(sample_grid, kind.jobs, cells, kind.axes, rows, columns, title)


def scatter(kind: Kind, title: str) -> Figure | None:
    ranked = [name for name in RANKED if not kind.best(name).empty]
    return plots.scatter(kind.best(ranked[0]), kind.axes, ranked[0], title) if ranked else None


def rate_distortion(cells: pd.DataFrame, rows: str | None, columns: str | None, title: str) -> Figure | None:
    if not {"rate", "distortion"} <= set(cells):
        return None
    known = cells.dropna(subset=["rate", "distortion"])
    return None if known.empty else plots.plane(known, rows, columns, front(known), title)


def slices(kind: Kind) -> Iterator[tuple[str, pd.DataFrame, str | None, str | None]]:
    """Where more than two axes were swept, a grid for each value of the others: (which, cells, rows, columns)."""
    rows, columns = grid(kind.axes)
    others = [axis for axis in kind.axes if axis not in (rows, columns)]
    if not others:
        yield "", kind.cells, rows, columns
        return
    for number, (values, cells) in enumerate(kind.cells.groupby(others, dropna=False)):
        if number == SLICES:
            log.warning(f"only the first {SLICES} of the grids over {', '.join(others)} are drawn")
            return
        where = ", ".join(f"{axis}={shown(value)}" for axis, value in zip(others, values, strict=True))
        yield where, cells, rows, columns


def grid(axes: Sequence[str]) -> tuple[str | None, str | None]:
    """The axes that rows and columns stand for: the latent size downwards and the KL weight across, where swept."""
    if not axes:
        return None, None
    across = next((axis for axis in ("beta.weight", "beta") if axis in axes), axes[-1])
    down = next((axis for axis in axes if axis != across), None)
    return down, across
