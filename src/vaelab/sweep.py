"""Many runs -> one table and what it says: which cells are best, how sure that is, and what may be compared.

A job is a run of one seed; a cell is what was swept, averaged over the seeds. Everything is measured on test images
at β = 1, whatever β trained. Nats of another likelihood, data set or binarisation have another zero, so jobs are
sorted into comparable kinds first, and nothing here reaches across two of them.
"""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd
from omegaconf import OmegaConf
from scipy.stats import t as student
from yaml import YAMLError

from vaelab.cells import ANY, LOCK, NOT_TRAINING, RESULTS, find, flat, is_any, is_held
from vaelab.results import COMPOSED

# Of a cell, in the tables and maps, where it has them; the last two are of the appraisal's part `latents`.
FIGURES = ("elbo", "rate", "distortion", "nll", "mse", "active_units", "used_units", "linear_kept")
COUNTS = FIGURES[-3:]
USED = 0.05  # nats of KL from which on a latent says something: the variance of its mean alone may be drift
LOWER_IS_BETTER = {"nll": True, "elbo": False, "mse": True}  # what cells are ranked by
NO_AXIS = (
    "name", "seed", "pictures", "hydra", "trainer.log_every_n_steps", "evaluation.parts", "evaluation.chunk",
)  # fmt: skip
# Of test images, which are drawn once whether or not the training's are drawn anew.
PIXELS = {
    "none": "grey pixels", "threshold": "pixels cut at one half", "static": "drawn binary pixels",
    "dynamic": "drawn binary pixels",
}  # fmt: skip
SPARSE = 4  # times as many combinations as cells make no grid
PREFERRED = ("latent", "beta.weight", "beta")  # rows and columns of the grids, where they were swept


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
        return self.cells.dropna(subset=figure).sort_values(figure, ascending=LOWER_IS_BETTER[figure], kind="stable")

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


# ---- read ------------------------------------------------------------------------------------------------------


def read(sweeps: Sequence[Path]) -> Sweep:
    """All jobs below the directories ``sweeps``, finished or not; a ValueError where there is none."""
    rows, configs = [], []
    sweeps = list({sweep.resolve(): sweep for sweep in sweeps}.values())
    for sweep in sweeps:
        for directory in sorted(jobs_in(sweep)):
            row, config, choices = read_job(sweep, directory)
            rows.append(row)
            configs.append((config, choices))
    if not rows:
        raise ValueError(f"there is no run in {', '.join(map(str, sweeps))}: expected a sweep's directory")
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
    found.notes += _notes(found, known, options)
    if count := again.sum():
        one = count == 1
        found.notes.append(
            f"{count} {'job is another' if one else 'jobs are others'} over again, with the same seed: "
            f"{'it is not counted' if one else 'each is counted once'}."
        )
    return found


def jobs_in(sweep: Path) -> Iterator[Path]:
    """The directories of runs below ``sweep``, however deep."""
    if not sweep.is_dir():
        raise ValueError(f"{sweep} is no directory; sweeps lie in outputs/sweeps/")
    for directory, folders, files in os.walk(sweep):
        if RESULTS in files or ".hydra" in folders or LOCK in files:
            if Path(directory) == sweep:
                raise ValueError(
                    f"{sweep} is a single run; the report is of a sweep's directory, with a run in each folder"
                )
            folders.clear()
            yield Path(directory)
        else:
            folders[:] = [folder for folder in folders if not folder.startswith(".")]


def read_job(sweep: Path, directory: Path) -> tuple[dict, dict[str, object], dict[str, str]]:
    """A job's row, its configuration as dotted options, and its choices of groups."""
    cell = find(directory)
    if cell.results is None:
        status = "running" if is_held(directory / LOCK) else "cut off"
        if (directory / RESULTS).exists():
            status = "damaged"
        overrides, config, results = *_composition(directory), {}
    else:
        results = cell.results
        status = results.get("status", "damaged")
        overrides, config = results.get("overrides", []), results.get("config", {})
        if not config:  # of a run from before results.json held it
            _, config = _composition(directory)
    choices = results.get("choices", {})
    words = (word.lstrip("+~").partition("=") for word in overrides)
    options = {name: value for name, _, value in words if not _is_no_axis(name)}
    if Path(options.get("ckpt", "").strip("'\"")).parts[-3:-1] == (directory.name, "checkpoints"):
        del options["ckpt"]  # a job that went on by its own
    validation = {f"validation_{name}": results.get("validation", {}).get(name) for name in ("elbo", "distortion")}
    row = {
        "sweep": sweep.name,
        "job": str(directory.relative_to(sweep)),
        "directory": directory,
        "status": status,
        "error": results.get("error"),
        "kind": kind_of(results) if status == "completed" else None,
        "seed": results.get("seed", config.get("seed")),
        "parameters": results.get("parameters"),
        "tested_epoch": results.get("tested", {}).get("epoch"),
        "commit": results.get("commit"),
        "options": options,
        **validation,
        "test": {**results.get("test", {}), **_units(results)},
    }
    return row, flat(config), choices


def _units(results: dict) -> dict[str, int]:
    latents = results.get("evaluation", {}).get("latents", {})
    found = {"used_units": sum(kl > USED for kl in latents["kl_per_latent"])} if "kl_per_latent" in latents else {}
    return found | ({"linear_kept": latents["linear_kept"]} if "linear_kept" in latents else {})


def _composition(directory: Path) -> tuple[list[str], dict]:
    """What .hydra says of a run that has no results yet; nothing where that is damaged or not written yet."""
    try:
        config = OmegaConf.to_container(OmegaConf.load(directory / COMPOSED))
        overrides = OmegaConf.to_container(OmegaConf.load((directory / COMPOSED).with_name("overrides.yaml")))
    except (OSError, YAMLError):
        return [], {}
    return list(overrides), dict(config)


def composition(config: dict[str, object]) -> str:
    """All that ``config`` says of how a run was trained, as one word; 1 and 1.0 are the same number."""
    said = {option: value for option, value in config.items() if not is_any(option, NOT_TRAINING)}
    numbers = {name: float(value) for name, value in said.items() if type(value) is int}
    return json.dumps({**said, **numbers}, sort_keys=True, default=str)


def _is_no_axis(option: str) -> bool:
    return any(option == name or option.startswith((f"{name}.", f"{name}/")) for name in NO_AXIS)


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


def kind_of(results: dict) -> str:
    """What the nats of a run are nats of: only within the same kind do they compare."""
    data = results["data"]
    pixels = PIXELS[data["binarize"]]
    given = results.get("config", {}).get("model", {}).get("classes")
    words = [str(results.get("likelihood")), pixels, f"{data['test']:,} test images of {data['name']}"]
    return ", ".join([*words, "given their labels"] if given else words)


def _notes(sweep: Sweep, configs: list[dict[str, object]], options: list[str]) -> Iterator[str]:
    """What makes the table less than it seems."""
    jobs = sweep.jobs
    completed = jobs[jobs["status"] == "completed"]
    kinds = completed["kind"].unique()
    if len(kinds) > 1:
        yield (
            f"There are {len(kinds)} kinds of nats: {'; '.join(kinds)}. A log probability of binary pixels, a cross-"
            "entropy of grey ones and a log density have different zeros, and so have different images: they share no "
            "picture and no ranking."
        )
    commits = [str(commit) for commit in completed["commit"].unique()]
    if len(commits) > 1:
        counted = Counter(str(commit)[:12] for commit in completed["commit"])
        told = ", ".join(f"{n} job{'s' * (n > 1)} by {c}" for c, n in counted.items())
        yield f"The code changed within the sweep: {told}."
    if any(commit.endswith("-dirty") for commit in commits):
        yield "Some jobs ran with code that was not committed."
    if "model" not in sweep.axes and "experiment" not in sweep.axes:
        changed = _also_changed(sweep, configs, options)
        if changed:
            yield f"Beside what was swept the jobs differ in {', '.join(changed[:6])}: were defaults changed?"
    if "test_nll_samples" in completed and completed["test_nll_samples"].nunique() > 1:
        counts = sorted(completed["test_nll_samples"].dropna().astype(int).unique())
        told = ", ".join(map(str, counts))
        yield f"nll was estimated with different numbers of samples ({told}), of which fewer make it larger."
    if "test_nll_prior_samples" in completed and completed["test_nll_prior_samples"].nunique() > 1:
        yield (
            "nll was estimated by two ways: codes of the prior were added where the rate is so low that some of them "
            "fit (test_nll_prior_samples in sweep.csv). They find what a posterior misses; without them nll may be "
            "too large, by more where the rate is high. So a small step between the two may be the estimate's."
        )


def _also_changed(sweep: Sweep, configs: list[dict[str, object]], options: list[str]) -> list[str]:
    """Options that differ though nobody named them, and that are no copy of an axis, nor of a group that was named.

    A group's copies lie in other groups too: a prior's in ``model.prior``, a network's in ``likelihood.network``.
    """
    swept = [dict(zip(sweep.axes, row, strict=True)) for row in sweep.jobs[sweep.axes].itertuples(index=False)]
    varying = []
    known = [(config, values) for config, values in zip(configs, swept, strict=True) if config]
    for option in sorted({option for config, _ in known for option in config}):
        if option in options or _is_no_axis(option) or is_any(option, ANY):
            continue
        if not {*option.split(".")}.isdisjoint(options):
            continue
        if len({repr(config.get(option)) for config, _ in known}) < 2:
            continue
        if all(config.get(option) in (*values.values(), config.get("seed")) for config, values in known):
            continue
        varying.append(option)
    return varying


# ---- average and rank ------------------------------------------------------------------------------------------


def averaged(jobs: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """A row per cell: mean of each figure over its seeds, standard deviation of one seed, and how many there are."""
    columns = {f"test_{name}": name for name in FIGURES if f"test_{name}" in jobs}
    columns |= {name: name for name in ("validation_elbo",) if name in jobs}
    figures = jobs[list(columns)].rename(columns=columns).apply(pd.to_numeric)
    keys = [jobs[axis] for axis in axes] or [pd.Series(0, index=jobs.index, name="all")]
    grouped = figures.groupby(keys, dropna=False, sort=True)
    parts = [grouped.mean(), grouped.std().add_suffix("_sd"), grouped.count().add_suffix("_n")]
    cells = pd.concat([*parts, grouped.size().rename("seeds")], axis=1).reset_index()
    return cells.drop(columns=[] if axes else "all")


def front(cells: pd.DataFrame) -> pd.Series:
    """Which cells no other beats in both rate and distortion: the Pareto front."""
    ordered = cells.sort_values(["rate", "distortion"], kind="stable")
    lowest_before = ordered["distortion"].cummin().shift(fill_value=float("inf"))
    return (ordered["distortion"] < lowest_before).reindex(cells.index)


def shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def with_deviation(cell: pd.Series, figure: str, digits: int = 2) -> str:
    if pd.isna(cell.get(figure)):
        return ""
    deviation = cell.get(f"{figure}_sd")
    return f"{cell[figure]:.{digits}f}" + ("" if pd.isna(deviation) else f" ± {deviation:.{digits}f}")


def ranking(kind: Kind) -> list[dict[str, object]]:
    """For each figure that cells are ranked by: the best cell, the next, and whether seeds can tell them apart.

    They can where the means differ by more than Student's t says at 95 % for so few runs, the deviation of one seed
    taken to be the same in both cells.
    """
    rows = []
    for name in LOWER_IS_BETTER:
        order = kind.best(name)
        if order.empty:
            continue
        first = order.iloc[0]
        row = {"by": name, "cell": kind.told(first), "mean": float(first[name]), "seeds": int(first[f"{name}_n"])}
        row["sd"] = None if pd.isna(first[f"{name}_sd"]) else float(first[f"{name}_sd"])
        if len(order) > 1:
            second = order.iloc[1]
            row |= {"next": kind.told(second), "ahead": float(abs(second[name] - first[name]))}
            row |= {"runs": int(first[f"{name}_n"] + second[f"{name}_n"]), "error": None, "told_apart": None}
            if (freedom := row["runs"] - 2) > 0:
                squares = sum(cell[f"{name}_sd"] ** 2 * (cell[f"{name}_n"] - 1) for cell in (first, second)
                              if cell[f"{name}_n"] > 1)  # fmt: skip
                row["error"] = float((squares / freedom * (1 / first[f"{name}_n"] + 1 / second[f"{name}_n"])) ** 0.5)
                row["told_apart"] = bool(row["ahead"] > student.ppf(0.975, freedom) * row["error"])
        rows.append(row)
    return rows
