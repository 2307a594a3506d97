"""Many runs -> one table and what it says: which cells are best, how sure that is, and what may be compared.

A job is a run of one seed; a cell is what was swept, averaged over the seeds. Everything is measured on test images
at β = 1, whatever β trained. Nats of another likelihood, data set or binarisation have another zero, so jobs are
sorted into comparable kinds first, and nothing here reaches across two of them.
"""

import json
import logging
import os
import statistics
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams
from yaml import YAMLError

from vaelab import figures, sweep_figures
from vaelab.atlas import atlas
from vaelab.cells import LOCK, RESULTS, find, flat, held
from vaelab.results import COMPOSED, write_json

log = logging.getLogger(__name__)

# Of a cell, in the tables and maps, where it has them; the last two are of the appraisal's part `latents`.
FIGURES = ("elbo", "rate", "distortion", "nll", "mse", "active_units", "used_units", "linear_kept")
COUNTS = FIGURES[-3:]
USED = 0.05  # nats of KL from which on a latent says something: the variance of its mean alone may be drift
LOWER_IS_BETTER = {"nll": True, "elbo": False, "mse": True}  # what cells are ranked by
NO_AXIS = ("name", "ckpt", "seed", "accelerator", "pictures", "evaluation", "hydra", "trainer.log_every_n_steps")
LONGEST_TABLE = 100  # cells in sweep.md; sweep.csv has all
PREFERRED = ("latent", "beta.weight", "beta")  # rows and columns of the grids, where they were swept
SLICES = 6  # at most so many grids, where more than two axes were swept


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

    @property
    def slug(self) -> str:
        return "".join(letter if letter.isalnum() else "-" for letter in self.name.lower()).strip("-")

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
            made.append(Kind(str(name), jobs, averaged(jobs, axes), axes))
        return made

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(self.jobs["status"]).most_common())


# ---- read ------------------------------------------------------------------------------------------------------


def read(sweeps: Sequence[Path]) -> Sweep:
    """All jobs below the directories ``sweeps``, finished or not; a ValueError where there is none."""
    rows, configs = [], []
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
    axes = [option for option in options if len({repr(value) for value in values[option]}) > 1]
    table = pd.DataFrame(
        [{name: value for name, value in row.items() if name not in ("options", "test", "versions")} for row in rows]
    )
    for option in options:
        table[option] = [value if _is_scalar(value) else str(value) for value in values[option]]
    made = {**{name: [row[name] for row in rows] for name in ("seed", "parameters", "tested_epoch")}, **values}
    for name in made:
        if all(value is None or (isinstance(value, int) and not isinstance(value, bool)) for value in made[name]):
            table[name] = table[name].astype("Int64")  # 5 stays 5 where another job lacks it
    tests = pd.DataFrame([row["test"] for row in rows]).add_prefix("test_") if rows else pd.DataFrame()
    table = pd.concat([table, tests], axis=1)
    found = Sweep(list(sweeps), table, axes)
    found.notes += list(_notes(found, [config for config, _ in configs], options))
    return found


def jobs_in(sweep: Path) -> Iterator[Path]:
    """The directories of runs below ``sweep``, however deep."""
    if not sweep.is_dir():
        raise ValueError(f"{sweep} is no directory; sweeps lie in outputs/sweeps/")
    for directory, folders, files in os.walk(sweep):
        if RESULTS in files or ".hydra" in folders or LOCK in files:
            folders.clear()
            yield Path(directory)
        else:
            folders[:] = [folder for folder in folders if not folder.startswith(".")]


def read_job(sweep: Path, directory: Path) -> tuple[dict, dict[str, object], dict[str, str]]:
    """A job's row, its configuration as dotted options, and its choices of groups."""
    cell = find(directory)
    if cell.results is None:
        with held(directory / LOCK) as free:
            status = "cut off" if free else "running"
        if (directory / RESULTS).exists():
            status = "damaged"
        overrides, config, results = *_composition(directory), {}
    else:
        results = cell.results
        status = results.get("status", "damaged")
        overrides, config = results.get("overrides", []), results.get("config", {})
        if not config:  # of a run from before results.json held it
            _, config = _composition(directory)
    choices = {name: results.get(name) for name in ("model", "network", "posterior", "likelihood", "prior", "loss")}
    choices |= results.get("choices", {})
    words = (word.lstrip("+~").partition("=") for word in overrides)
    options = {name: value for name, _, value in words if not _is_no_axis(name)}
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


def _is_no_axis(option: str) -> bool:
    return any(option == name or option.startswith((f"{name}.", f"{name}/")) for name in NO_AXIS)


def _order(option: str) -> tuple[int, str]:
    return (PREFERRED.index(option) if option in PREFERRED else len(PREFERRED), option)


def _value(option: str, overrides: dict[str, str], config: dict[str, object], choices: dict[str, str]) -> object:
    """What ``option`` was in a run: a group's member, a value of its configuration, else the word that was typed."""
    if option in choices:
        return choices[option]
    return config.get(option, overrides.get(option))


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


def kind_of(results: dict) -> str:
    """What the nats of a run are nats of: only within the same kind do they compare."""
    data = results["data"]
    pixels = {"none": "grey pixels"}.get(data["binarize"], f"{data['binarize']} binary pixels")
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
        yield f"The code changed within the sweep: {', '.join(f'{n} jobs by {c}' for c, n in counted.items())}."
    if any(commit.endswith("-dirty") for commit in commits):
        yield "Some jobs ran with code that was not committed."
    if "model" not in sweep.axes and "experiment" not in sweep.axes:
        changed = _also_changed(sweep, configs, options)
        if changed:
            yield f"Beside what was swept the jobs differ in {', '.join(changed[:6])}: were defaults changed?"
    same = [*sweep.axes, "kind", "seed"]
    doubled = completed[completed.duplicated(same, keep=False)]
    if len(doubled):
        yield f"{len(doubled)} jobs are the same cell with the same seed, in two sweeps; each counts, as if by chance."
    if "test_nll_samples" in completed and completed["test_nll_samples"].nunique() > 1:
        counts = sorted(completed["test_nll_samples"].dropna().astype(int).unique())
        yield f"nll was estimated with different numbers of samples ({', '.join(map(str, counts))}): fewer say more."


def _also_changed(sweep: Sweep, configs: list[dict[str, object]], options: list[str]) -> list[str]:
    """Options that differ without having been swept, nor following from an axis by interpolation or by a group."""
    swept = [dict(zip(sweep.axes, row, strict=True)) for row in sweep.jobs[sweep.axes].itertuples(index=False)]
    groups = tuple(f"{option}." for option in options)
    varying = []
    known = [(config, values) for config, values in zip(configs, swept, strict=True) if config]
    for option in sorted({option for config, _ in known for option in config}):
        if option in options or option.startswith(groups) or _is_no_axis(option) or option == "data.root":
            continue
        if len({repr(config.get(option)) for config, _ in known}) < 2:
            continue
        if all(config.get(option) in (*values.values(), config.get("seed")) for config, values in known):
            continue
        by_cell: dict[str, str] = {}
        if any(by_cell.setdefault(repr(values), repr(config.get(option))) != repr(config.get(option))
               for config, values in known) or option in ("epochs", "data.batch_size", "optimizer.lr"):  # fmt: skip
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
    mean, deviation = grouped.mean(), grouped.std().add_suffix("_sd")
    cells = pd.concat([mean, deviation, grouped.size().rename("seeds")], axis=1).reset_index()
    return cells.drop(columns=[] if axes else "all")


def front(cells: pd.DataFrame) -> pd.Series:
    """Which cells no other beats in both rate and distortion: the Pareto front."""
    ordered = cells.sort_values(["rate", "distortion"], kind="stable")
    lowest_before = ordered["distortion"].cummin().shift(fill_value=float("inf"))
    return (ordered["distortion"] < lowest_before).reindex(cells.index)


def told(cell: pd.Series, axes: Sequence[str]) -> str:
    return ", ".join(f"{axis}={shown(cell[axis])}" for axis in axes) or "the one cell"


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
    """For each figure that cells are ranked by: the best cell, the next, and whether seeds can tell them apart."""
    rows = []
    for name in LOWER_IS_BETTER:
        order = kind.best(name)
        if order.empty:
            continue
        first = order.iloc[0]
        row = {"by": name, "cell": told(first, kind.axes), "mean": float(first[name]), "seeds": int(first["seeds"])}
        row["sd"] = None if pd.isna(first[f"{name}_sd"]) else float(first[f"{name}_sd"])
        if len(order) > 1:
            second = order.iloc[1]
            spread = [value for value in (first[f"{name}_sd"], second[f"{name}_sd"]) if not pd.isna(value)] or [0.0]
            row |= {"next": told(second, kind.axes), "ahead": float(abs(second[name] - first[name]))}
            error = (
                statistics.fmean(value**2 for value in spread) ** 0.5 * (2 / first["seeds"]) ** 0.5 if spread else None
            )
            row["error"] = None if error is None else float(error)
        rows.append(row)
    return rows


# ---- write -----------------------------------------------------------------------------------------------------


def report(sweeps: Sequence[Path], directory: Path, pictures: bool = True) -> Sweep:
    """sweep.csv, sweep.md, sweep.json, figures/ and TensorBoard's summary of ``sweeps``, in ``directory``."""
    sweep = read(sweeps)
    directory.mkdir(parents=True, exist_ok=True)
    with held(directory / ".report.lock", wait=True):  # two sweeps in one directory may end together
        drawn: dict[str, list[str]] = {}
        if pictures:
            drawn = draw(sweep, directory)
        columns = ["sweep", "job", "status", "error", "kind", *_options(sweep), "seed"]
        figures_of_test = [name for name in sweep.jobs if name.startswith(("test_", "validation_"))]
        table = sweep.jobs[[*columns, "parameters", "tested_epoch", *figures_of_test]]
        _write(directory / "sweep.csv", table.to_csv(index=False))
        _write(directory / "sweep.md", markdown(sweep, drawn))
        write_json(directory / "sweep.json", as_json(sweep))
    return sweep


def counted(sweep: Sweep) -> str:
    by_status = ", ".join(f"{count} {status}" for status, count in sweep.counts.items())
    return f"{len(sweep.jobs)} jobs, {by_status}"


def _options(sweep: Sweep) -> list[str]:
    return [name for name in sweep.jobs if name in sweep.axes]


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


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
                "chosen_by_validation": None if chosen is None else told(chosen, kind.axes),
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
        lines += [f"## {kind.name}", ""]
        lines += _best_table(kind)
        for picture in drawn.get(kind.name, []):
            lines += [f"![{Path(picture).stem}]({picture})", ""]
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
            if row["ahead"] < 2 * row["error"]:
                ahead += f", which {row['seeds']} seeds cannot tell apart"
        lines.append(f"| {row['by']} | {_cell(row['cell'])} | {value} | {row['seeds']} | {_cell(ahead)} |")
    chosen = kind.chosen_by_validation()
    if chosen is not None:
        figures_told = f"elbo {with_deviation(chosen, 'elbo')}, nll {with_deviation(chosen, 'nll')}"
        would = f"The validation's bound would choose {told(chosen, kind.axes)}: {figures_told} on the test images."
        lines += ["", would]
    return [*lines, ""]


def _cell_table(kind: Kind) -> list[str]:
    names = [name for name in FIGURES if name in kind.cells and kind.cells[name].notna().any()]
    cells = kind.cells
    lines = []
    if len(cells) > LONGEST_TABLE:
        by = "nll" if "nll" in names else names[0]
        cells = cells.sort_values(by, ascending=LOWER_IS_BETTER.get(by, True)).head(LONGEST_TABLE)
        lines += [f"The best {LONGEST_TABLE} of {len(kind.cells)} cells by {by}; sweep.csv has all.", ""]
    lines += [f"| {' | '.join([*kind.axes, *names, 'seeds'])} |", "|---" * (len(kind.axes) + len(names) + 1) + "|"]
    for cell in cells.to_dict("records"):
        row = pd.Series(cell)
        values = [_cell(shown(cell[axis])) for axis in kind.axes]
        values += [with_deviation(row, name, 1 if name in COUNTS else 2) for name in names]
        lines.append(f"| {' | '.join([*values, str(cell['seeds'])])} |")
    return [*lines, ""]


# ---- draw ------------------------------------------------------------------------------------------------------


def draw(sweep: Sweep, directory: Path) -> dict[str, list[str]]:
    """The pictures of every kind to ``directory/figures`` and to TensorBoard: kind -> files."""
    folder = directory / "figures"
    folder.mkdir(exist_ok=True)
    for old in directory.glob("events.out.tfevents.*"):  # TensorBoard would show the last report beside this one
        old.unlink()
    drawn: dict[str, list[str]] = {}
    with warnings.catch_warnings(), SummaryWriter(directory) as writer:
        warnings.simplefilter("ignore")  # of matplotlib, about layouts that it had to give up on
        for kind in sweep.kinds:
            prefix = f"{kind.slug}-" if len(sweep.kinds) > 1 else ""
            drawn[kind.name] = []
            for name, figure in pictures_of(kind, sweep):
                path = folder / f"{prefix}{name}.png"
                figure.savefig(path)
                writer.add_image(f"sweep/{prefix}{name}", figures.pixels(figure), dataformats="HWC")
                drawn[kind.name].append(f"figures/{path.name}")
        describe_hparams(sweep, writer)
        writer.add_text("sweep", markdown(sweep, {}))
    return drawn


def describe_hparams(sweep: Sweep, writer: SummaryWriter) -> None:
    """Tell TensorBoard's HParams which columns the sweep has; the jobs' own runs are its rows."""
    completed = sweep.jobs[sweep.jobs["status"] == "completed"]
    if completed.empty:
        return
    options = {axis: completed[axis].dropna() for axis in (*sweep.axes, "seed")}
    numbers = {axis: pd.api.types.is_numeric_dtype(values) for axis, values in options.items()}
    values = {axis: float(known.iloc[0]) if numbers[axis] else str(known.iloc[0]) for axis, known in options.items()}
    domains = {
        axis: sorted({float(value) if numbers[axis] else str(value) for value in known})
        for axis, known in options.items()
    }
    tested = [name for name in completed if name.startswith("test_") and completed[name].notna().any()]
    experiment, *_ = hparams(values, {name.replace("_", "/", 1): 0.0 for name in tested}, domains)
    writer.file_writer.add_summary(experiment)


def pictures_of(kind: Kind, sweep: Sweep) -> Iterator[tuple[str, Figure]]:
    """Name and picture, of all that ``kind`` has."""
    grids = list(slices(kind))
    for number, (where, cells, rows, columns) in enumerate(grids):
        suffix = f"-{number}" if len(grids) > 1 else ""
        title = " · ".join(filter(None, (kind.name, where, sweep.name)))
        if {"rate", "distortion"} <= set(cells) and cells["rate"].notna().any():
            known = cells.dropna(subset=["rate", "distortion"])
            yield f"rate_distortion{suffix}", sweep_figures.plane(known, rows, columns, front(known), title)
        if columns is not None:
            yield f"heat_maps{suffix}", sweep_figures.heat_maps(cells, rows, columns, FIGURES, title)
        try:
            picture = atlas(kind.jobs, cells, rows, columns, title)
        except (ValueError, RuntimeError, OSError) as error:
            log.warning(f"no atlas: {error}")
        else:
            if picture is not None:
                yield f"atlas{suffix}", picture


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
        yield (
            ", ".join(f"{axis}={shown(value)}" for axis, value in zip(others, values, strict=True)),
            cells,
            rows,
            columns,
        )


def grid(axes: Sequence[str]) -> tuple[str | None, str | None]:
    """The axes that rows and columns stand for: the latent size downwards and the KL weight across, where swept."""
    if not axes:
        return None, None
    across = next((axis for axis in ("beta.weight", "beta") if axis in axes), axes[-1])
    down = next((axis for axis in axes if axis != across), None)
    return down, across
