"""Many runs -> one table and what it says: which cells are best, how sure that is, and what may be compared.

A job is a run of one seed; a cell is what was swept, averaged over the seeds. Everything is measured on test images
at β = 1, whatever β trained. Nats of another likelihood, data set or binarisation have another zero, so jobs are
sorted into comparable kinds first, and nothing here reaches across two of them.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from vaelab.errors import InputError
from vaelab.evaluation.metrics import SWEEP_METRICS, lower_is_better
from vaelab.sweeps.jobs import composition, jobs_in, read_job, shown
from vaelab.sweeps.notes import notes

COUNTS = ("active_units", "used_units", "linear_kept")  # shown with one digit
PREFERRED = ("latent", "beta.weight", "beta")  # rows and columns of the grids, where they were swept
SPARSE = 4  # times as many combinations as cells make no grid


@dataclass
class Kind:
    """Jobs whose nats may be compared.

    Attributes:
        name: what they have in common.
        cells: a row per cell: axes, then ``figure``, ``figure_sd`` and ``seeds``.
    """

    name: str
    jobs: pd.DataFrame
    cells: pd.DataFrame
    axes: list[str]
    constants: dict[str, object]  # axes of the whole sweep that have one value here

    def told(self, cell: pd.Series) -> str:
        """Which one ``cell`` is, in the words that make it."""
        values = {axis: cell[axis] for axis in self.axes} or self.constants
        return ", ".join(f"{axis}={shown(value)}" for axis, value in values.items()) or "the one cell"

    @property
    def heading(self) -> str:
        said = {"likelihood", "data", "data.binarize"}  # by the name already
        rest = (f"{axis}={shown(value)}" for axis, value in self.constants.items() if axis not in said)
        return ", ".join([self.name, *rest])

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def is_grid(self) -> bool:
        """Whether most combinations of the axes' values are there; a search has others for every job."""
        return math.prod(self.cells[axis].nunique() for axis in self.axes) <= SPARSE * len(self.cells)

    def best(self, figure: str) -> pd.DataFrame:
        """Cells from the best on by ``figure``, those without it left out."""
        if figure not in self.cells:
            return self.cells.iloc[:0]
        return self.cells.dropna(subset=figure).sort_values(figure, ascending=lower_is_better(figure), kind="stable")

    def chosen_by_validation(self) -> pd.Series | None:
        """The cell that one would take without having seen a test image; None where nothing was validated."""
        known = self.cells.dropna(subset="validation_elbo") if "validation_elbo" in self.cells else self.cells.iloc[:0]
        return None if known.empty else known.loc[known["validation_elbo"].idxmax()]


@dataclass
class Sweep:
    """What is known of all jobs in some sweeps' directories.

    Attributes:
        jobs: a row per job: where it is, its status, the swept options, and every figure of its test.
        axes: the options that differ between jobs.
        notes: what a reader of the tables has to know.
    """

    sweeps: list[Path]
    jobs: pd.DataFrame
    axes: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return " + ".join(path.resolve().name for path in self.sweeps)

    @cached_property
    def kinds(self) -> list[Kind]:
        completed = self.jobs[self.jobs["status"] == "completed"]
        made = []
        for name, jobs in completed.groupby("kind", sort=False):
            axes = [axis for axis in self.axes if jobs[axis].nunique(dropna=False) > 1]
            constants = {axis: jobs[axis].iloc[0] for axis in self.axes if axis not in axes}
            made.append(Kind(str(name), jobs, averaged(jobs, axes), axes, constants))
        return made

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(self.jobs["status"]).most_common())


def averaged(jobs: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """A row per cell: mean of each figure over its seeds, standard deviation of one seed, and how many there are."""
    columns = {f"test_{name}": name for name in SWEEP_METRICS if f"test_{name}" in jobs}
    columns |= {name: name for name in ("validation_elbo",) if name in jobs}
    figures = jobs[list(columns)].rename(columns=columns).apply(pd.to_numeric)
    keys = [jobs[axis] for axis in axes] or [pd.Series(0, index=jobs.index, name="all")]
    grouped = figures.groupby(keys, dropna=False, sort=True)
    parts = [grouped.mean(), grouped.std().add_suffix("_sd"), grouped.count().add_suffix("_n")]
    cells = pd.concat([*parts, grouped.size().rename("seeds")], axis=1).reset_index()
    return cells.drop(columns=[] if axes else "all")


def with_deviation(cell: pd.Series, figure: str, digits: int = 2) -> str:
    if pd.isna(cell.get(figure)):
        return ""
    deviation = cell.get(f"{figure}_sd")
    return f"{cell[figure]:.{digits}f}" + ("" if pd.isna(deviation) else f" ± {deviation:.{digits}f}")


def read(sweeps: Sequence[Path]) -> Sweep:
    """All jobs below the directories ``sweeps``, finished or not; an InputError where there is none."""
    rows, configs = [], []
    sweeps = list({sweep.resolve(): sweep for sweep in sweeps}.values())
    for sweep in sweeps:
        for directory in sorted(jobs_in(sweep)):
            row, config, choices = read_job(sweep, directory)
            rows.append(row)
            configs.append((config, choices))
    if not rows:
        raise InputError(f"there is no run in {', '.join(map(str, sweeps))}: expected a sweep's directory")
    options = sorted({option for row in rows for option in row["options"]}, key=_order)
    values = {option: [_value(option, row["options"], *made) for row, made in zip(rows, configs, strict=True)]
              for option in options}  # fmt: skip
    values = {option: of_one_kind(found, [bool(config) for config, _ in configs]) for option, found in values.items()}
    axes = [option for option in options if len({value for value in values[option] if value is not None}) > 1]
    table = pd.DataFrame(
        [{name: value for name, value in row.items() if name not in ("options", "test")} for row in rows]
    )
    for option in options:
        table[option] = values[option]
    made = {**{name: [row[name] for row in rows] for name in ("seed", "parameters", "tested_epoch")}, **values}
    for name in made:
        if all(value is None or (isinstance(value, int) and not isinstance(value, bool)) for value in made[name]):
            table[name] = table[name].astype("Int64")  # 5 stays 5 where another job lacks it
    tests = pd.DataFrame([row["test"] for row in rows]).add_prefix("test_")
    table = pd.concat([table, tests], axis=1)
    table["composed"] = [composition(config) for config, _ in configs]
    again = (table["status"] == "completed") & table.duplicated([*axes, "kind", "seed", "status", "composed"])
    found = Sweep(sweeps, table[~again].reset_index(drop=True), axes)
    known = [config for (config, _), dropped in zip(configs, again, strict=True) if not dropped]
    found.notes += notes(found.jobs, found.axes, known, options)
    if count := again.sum():
        one = count == 1
        found.notes.append(
            f"{count} {'job is another' if one else 'jobs are others'} over again, with the same seed: "
            f"{'it is not counted' if one else 'each is counted once'}."
        )
    return found


def _order(option: str) -> tuple[int, str]:
    return (PREFERRED.index(option) if option in PREFERRED else len(PREFERRED), option)


def _value(option: str, overrides: dict[str, str], config: dict[str, object], choices: dict[str, str]) -> object:
    """What ``option`` was in a run: a group's member, a value of its configuration, else the word that was typed."""
    if option == "ckpt":  # in the configuration it is the run's own, once it went on
        return overrides.get(option)
    if option in choices:
        return choices[option]
    return config[option] if option in config else overrides.get(option)


def of_one_kind(values: Sequence[object], known: Sequence[bool]) -> list[object]:
    """Numbers as they are; where anything else is among them, all as words. None is what is not known."""
    found = [value for value, is_known in zip(values, known, strict=True) if is_known or value is not None]
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in found):
        return [value if isinstance(value, (int, float)) else None for value in values]
    words = {True: "true", False: "false", None: "null"}
    return [
        (words[value] if value is None or isinstance(value, bool) else shown(value)) if is_known or value is not None
        else None for value, is_known in zip(values, known, strict=True)
    ]  # fmt: skip
