"""Many jobs in one table, sorted into groups whose metrics are comparable.

A job is one run of one seed. A configuration is a combination of swept options; its metrics are means over its seeds.
All metrics are of test images at β = 1, whatever β the training used. Values in nats of another likelihood, data set or
binarisation have another zero; so every ranking and every plot stays within one comparable group.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from vaelab.errors import InputError
from vaelab.evaluation.metrics import lower_is_better, sweep_metrics
from vaelab.sweeps.curve_rows import rows_of
from vaelab.sweeps.jobs import Job, as_text, jobs_in, read_job
from vaelab.sweeps.notes import notes

PREFERRED = ("latent", "beta.weight", "beta")  # the rows and columns of grids, where they were swept
SPARSE = 4  # there is no grid if the combinations are more than so many times the configurations
IN_GROUP_NAME = {"likelihood", "data", "data.binarize"}  # options whose values the name of a group contains


@dataclass
class ComparableGroup:
    """Jobs whose metrics are comparable with each other.

    **Attributes**
        name: what they have in common.
        jobs: a row per job.
        configurations: a row per configuration: its options, then ``metric``, ``metric_sd`` and ``metric_n`` for each
            metric, and ``seeds``.
        axes: the options that differ between the jobs.
        constants: axes of the whole sweep that have one value here.
    """

    name: str
    jobs: pd.DataFrame
    configurations: pd.DataFrame
    axes: list[str]
    constants: dict[str, object]

    def describe(self, configuration: pd.Series) -> str:
        """``configuration`` by its options."""
        values = {axis: configuration[axis] for axis in self.axes} or self.constants
        return ", ".join(f"{axis}={as_text(value)}" for axis, value in values.items()) or "the only configuration"

    @property
    def heading(self) -> str:
        rest = (f"{axis}={as_text(value)}" for axis, value in self.constants.items() if axis not in IN_GROUP_NAME)
        return ", ".join([self.name, *rest])

    @property
    def slug(self) -> str:
        """The name as part of a file's name."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def is_grid(self) -> bool:
        """Whether most combinations of the axes' values exist; in a random search nearly none do."""
        combinations = math.prod(self.configurations[axis].nunique() for axis in self.axes)
        return combinations <= SPARSE * len(self.configurations)

    @property
    def metrics(self) -> list[str]:
        """The metrics for tables and plots that at least one configuration has."""
        known = self.configurations
        return [name for name in sweep_metrics() if name in known and known[name].notna().any()]

    def best(self, metric: str) -> pd.DataFrame:
        """The configurations that have ``metric``, the best first."""
        if metric not in self.configurations:
            return self.configurations.iloc[:0]
        known = self.configurations.dropna(subset=metric)
        return known.sort_values(metric, ascending=lower_is_better(metric), kind="stable")

    def chosen_by_validation(self) -> pd.Series | None:
        """The configuration with the best validation ELBO, chosen without the test images; None: nothing validated."""
        if "validation_elbo" not in self.configurations:
            return None
        known = self.configurations.dropna(subset="validation_elbo")
        return None if known.empty else known.loc[known["validation_elbo"].idxmax()]


@dataclass
class Sweep:
    """All jobs of one or more sweeps.

    **Attributes**
        directories: of the sweeps.
        jobs: a row per job: where it is, its status, the swept options, and every metric of its test. A multi-rate run
            has a row for each β of its curve.
        axes: the options that differ between jobs.
        notes: what a reader of the tables has to know.
        folders: where the user's own pieces are now; empty for where they were when the runs were trained.
    """

    directories: list[Path]
    jobs: pd.DataFrame
    axes: list[str]
    notes: list[str] = field(default_factory=list)
    folders: Sequence[Path] = ()

    @property
    def name(self) -> str:
        return " + ".join(path.resolve().name for path in self.directories)

    @cached_property
    def groups(self) -> list[ComparableGroup]:
        completed = self.jobs[self.jobs["status"] == "completed"]
        found = []
        for name, jobs in completed.groupby("group", sort=False):
            axes = [axis for axis in self.axes if jobs[axis].nunique(dropna=False) > 1]
            constants = {axis: jobs[axis].iloc[0] for axis in self.axes if axis not in axes}
            found.append(ComparableGroup(str(name), jobs, mean_over_seeds(jobs, axes), axes, constants))
        return found

    @property
    def counts(self) -> dict[str, int]:
        """How many jobs have each status, the most frequent first."""
        return dict(Counter(self.jobs.drop_duplicates("directory")["status"]).most_common())


def mean_over_seeds(jobs: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """A row per configuration: of each metric the mean, the standard deviation of one seed, and the number of seeds."""
    columns = {f"test_{name}": name for name in sweep_metrics() if f"test_{name}" in jobs}
    columns |= {name: name for name in ("validation_elbo",) if name in jobs}
    metrics = jobs[list(columns)].rename(columns=columns).apply(pd.to_numeric)
    keys = [jobs[axis] for axis in axes] or [pd.Series(0, index=jobs.index, name="all")]
    grouped = metrics.groupby(keys, dropna=False, sort=True)
    parts = [grouped.mean(), grouped.std().add_suffix("_sd"), grouped.count().add_suffix("_n")]
    configurations = pd.concat([*parts, grouped.size().rename("seeds")], axis=1).reset_index()
    return configurations.drop(columns=[] if axes else "all")


def read(directories: Sequence[Path]) -> Sweep:
    """All jobs below these directories of sweeps, finished or not.

    **Raises**
        InputError: there is none.
    """
    directories = list({directory.resolve(): directory for directory in directories}.values())
    found = [read_job(sweep, directory) for sweep in directories for directory in sorted(jobs_in(sweep))]
    jobs = [row for job in found for row in rows_of(job)]
    if not jobs:
        raise InputError(f"there is no run in {', '.join(map(str, directories))}; give the directory of a sweep")
    options = sorted({option for job in jobs for option in job.overrides}, key=_order)
    values = {
        option: of_one_type([job.value(option) for job in jobs], [job.knows(option) for job in jobs])
        for option in options
    }
    axes = [option for option in options if len({value for value in values[option] if value is not None}) > 1]
    table = _table(jobs, values)
    is_repeated = _repeated(jobs, table, axes)
    kept = [job for job, repeated in zip(jobs, is_repeated, strict=True) if not repeated]
    sweep = Sweep(directories, table[~is_repeated].reset_index(drop=True), axes)
    repeated = table.loc[is_repeated, "directory"].nunique()
    sweep.notes += notes(kept, sweep.jobs, axes, options, repeated)
    return sweep


def _order(option: str) -> tuple[int, str]:
    return (PREFERRED.index(option) if option in PREFERRED else len(PREFERRED), option)


def _table(jobs: Sequence[Job], values: Mapping[str, Sequence[object]]) -> pd.DataFrame:
    table = pd.DataFrame([job.row() for job in jobs])
    for option, column in values.items():
        table[option] = list(column)
    for name in ("seed", "parameters", "tested_epoch", *values):
        column = [job.row()[name] for job in jobs] if name not in values else values[name]
        if all(value is None or (isinstance(value, int) and not isinstance(value, bool)) for value in column):
            table[name] = table[name].astype("Int64")  # 5 stays 5 where another job has no value
    tests = pd.DataFrame([job.metrics() for job in jobs]).add_prefix("test_")
    return pd.concat([table, tests], axis=1)


def _repeated(jobs: Sequence[Job], table: pd.DataFrame, axes: Sequence[str]) -> pd.Series:
    """Which completed jobs were done before: the same configuration, seed and training.

    Versions store some options that others do not; they do not count.
    """
    repeated = pd.Series(False, index=table.index)
    completed = table[table["status"] == "completed"]
    same = completed[completed.duplicated([*axes, "group", "seed"], keep=False)]
    for _, candidates in same.groupby([*axes, "group", "seed"], dropna=False):
        kept: list[int] = []
        for index in map(int, candidates.index):
            repeated[index] = any(_is_same_training(jobs[index], jobs[other]) for other in kept)
            if not repeated[index]:
                kept.append(index)
    return repeated


def _is_same_training(left: Job, right: Job) -> bool:
    here, there = left.training_options, right.training_options
    return bool(here) == bool(there) and all(here[option] == there[option] for option in here.keys() & there.keys())


def of_one_type(values: Sequence[object], is_known: Sequence[bool]) -> list[object]:
    """The values of an option in all jobs: as numbers where all are, else all as text; None where it is unknown."""
    found = [value for value, known in zip(values, is_known, strict=True) if known or value is not None]
    if all(_is_number(value) for value in found):
        return [value if _is_number(value) else None for value in values]
    words = {True: "true", False: "false", None: "null"}
    return [
        (words[value] if value is None or isinstance(value, bool) else as_text(value)) if known or value is not None
        else None for value, known in zip(values, is_known, strict=True)
    ]  # fmt: skip


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
