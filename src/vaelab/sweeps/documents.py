"""A sweep's tables as documents: sweep.csv, sweep.json and sweep.md."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pandas as pd

from vaelab.evaluation.metrics import CATALOGUE
from vaelab.sweeps.jobs import as_text
from vaelab.sweeps.ranking import Best, ranking
from vaelab.sweeps.table import ComparableGroup, Sweep

LONGEST_TABLE = 100  # rows in sweep.md; sweep.csv has all
LONGEST_LIST = 20  # values of an option


def job_table(sweep: Sweep) -> pd.DataFrame:
    """A row per job: the swept options and every metric of its test."""
    columns = ["sweep", "job", "status", "error", "group", *sweep.axes, "seed", "parameters", "tested_epoch"]
    metrics = [name for name in sweep.jobs if str(name).startswith(("test_", "validation_"))]
    return sweep.jobs[[*columns, *metrics]]


def as_csv(sweep: Sweep) -> str:
    """The table of all jobs as sweep.csv has it."""
    return job_table(sweep).to_csv(index=False)


def as_json(sweep: Sweep) -> dict[str, object]:
    """The configurations of each comparable group and the best of them, for programs."""
    rest = sweep.jobs.loc[sweep.jobs["status"] != "completed", ["sweep", "job", "status", "error"]]
    return {
        "sweeps": [str(directory) for directory in sweep.directories],
        "jobs": {"all": sum(sweep.counts.values()), **sweep.counts},
        "axes": {axis: sorted({as_text(value) for value in sweep.jobs[axis].dropna()}) for axis in sweep.axes},
        "notes": sweep.notes,
        "groups": [_group_as_json(group) for group in sweep.groups],
        "failed": _records(rest),
    }


def _group_as_json(group: ComparableGroup) -> dict[str, object]:
    chosen = group.chosen_by_validation()
    return {
        "group": group.name,
        "axes": group.axes,
        "best": [asdict(best) for best in ranking(group)],
        "chosen_by_validation": None if chosen is None else group.describe(chosen),
        "configurations": _records(group.configurations),
    }


def _records(table: pd.DataFrame) -> list[dict[str, object]]:
    return json.loads(table.to_json(orient="records"))


def count_jobs(sweep: Sweep) -> str:
    """``10 jobs, 9 completed, 1 failed``."""
    by_status = ", ".join(f"{count} {status}" for status, count in sweep.counts.items())
    jobs = sum(sweep.counts.values())
    return f"{jobs} job{'s' * (jobs != 1)}, {by_status}"


def best_lines(sweep: Sweep) -> list[str]:
    """What sweep.md says of the best configurations, as lines for the console."""
    lines: list[str] = []
    for group in sweep.groups:
        lines += [f"{group.heading}:"] if len(sweep.groups) > 1 else []
        ranked = ranking(group)
        for best in ranked:
            lead = _lead(best)
            ahead = f"; ahead of the next by {lead}" if lead else ""
            lines.append(f"best {best.by}: {_value(best)} by {best.configuration}{ahead}")
        lines += _validation_choice(group) if ranked else []
    return lines


def as_markdown(sweep: Sweep, plots: Mapping[str, Sequence[str]]) -> str:
    """sweep.md: what was swept, and for each comparable group the best configurations, the plots and the table.

    **Arguments**
        plots: the plots of a group, by its name, as Markdown.
    """
    lines = [f"# {sweep.name}", "", f"{count_jobs(sweep)}."]
    for axis in sweep.axes:
        values = sweep.jobs[axis].drop_duplicates().dropna()
        values = values.sort_values() if pd.api.types.is_numeric_dtype(values) else values
        listed = ", ".join(as_text(value) for value in values[:LONGEST_LIST])
        lines.append(f"- {axis}: {listed}{', …' if len(values) > LONGEST_LIST else ''}")
    lines += ["", "Means over seeds ± the standard deviation of one seed; nats per test image at β = 1.", ""]
    lines += [f"**{note}**\n" for note in sweep.notes]
    for group in sweep.groups:
        lines += [f"## {group.heading}", "", *_best_table(group)]
        for plot in plots.get(group.name, []):
            lines += [plot, ""]
        lines += _configuration_table(group)
    return "\n".join([*lines, *_unfinished_table(sweep)]).rstrip() + "\n"


def _best_table(group: ComparableGroup) -> list[str]:
    ranked = ranking(group)
    if not ranked:
        return []
    lines = ["| best by | configuration | value | seeds | ahead of the next by |", "|---|---|---|---|---|"]
    for best in ranked:
        lines.append(_row([best.by, best.configuration, _value(best), best.seeds, _lead(best)]))
    chosen = _validation_choice(group)
    return [*lines, *(["", *chosen] if chosen else []), ""]


def _value(best: Best) -> str:
    return f"{best.mean:.2f}" + ("" if best.sd is None else f" ± {best.sd:.2f}")


def _validation_choice(group: ComparableGroup) -> list[str]:
    chosen = group.chosen_by_validation()
    if chosen is None:
        return []
    test = f"elbo {with_deviation(chosen, 'elbo')}, nll {with_deviation(chosen, 'nll')}"
    return [f"The validation ELBO would choose {group.describe(chosen)}: {test} on the test images."]


def _lead(best: Best) -> str:
    if best.ahead is None:
        return ""
    lead = f"{best.ahead:.2f} ({best.next})"
    if best.is_significant is None:
        return f"{lead}; one seed each cannot show whether this is chance"
    return lead if best.is_significant else f"{lead}, not significant with their {best.jobs} jobs"


def _configuration_table(group: ComparableGroup) -> list[str]:
    shown, lines = group.configurations, []
    if len(shown) > LONGEST_TABLE:
        by = "nll" if "nll" in group.metrics else group.metrics[0]
        shown = group.best(by).head(LONGEST_TABLE)
        lines += [
            f"The best {LONGEST_TABLE} of {len(group.configurations)} configurations by {by}; sweep.csv has all.",
            "",
        ]
    header = [*group.axes, *group.metrics, "seeds"]
    lines += [_row(header), "|---" * len(header) + "|"]
    for _, configuration in shown.astype(object).iterrows():
        values = [as_text(configuration[axis]) for axis in group.axes]
        values += [with_deviation(configuration, name) for name in group.metrics]
        lines.append(_row([*values, configuration["seeds"]]))
    return [*lines, ""]


def _unfinished_table(sweep: Sweep) -> list[str]:
    rest = sweep.jobs[sweep.jobs["status"] != "completed"]
    if rest.empty:
        return []
    rows = [_row([job.job, job.status, job.error or ""]) for job in rest[:LONGEST_TABLE].itertuples()]
    more = [f"and {len(rest) - LONGEST_TABLE} more, in sweep.csv"] if len(rest) > LONGEST_TABLE else []
    return ["## Not completed", "", "| job | status | error |", "|---|---|---|", *rows, "", *more]


def _row(entries: Sequence[object]) -> str:
    """A row of a Markdown table."""
    cells = (" ".join(str(entry).replace("|", r"\|").split()) for entry in entries)
    return f"| {' | '.join(cells)} |"


def with_deviation(configuration: pd.Series, metric: str) -> str:
    """The mean of ``metric``, ± the standard deviation of one seed."""
    digits, mean, deviation = CATALOGUE[metric].digits, configuration.get(metric), configuration.get(f"{metric}_sd")
    if mean is None or pd.isna(mean):
        return ""
    return f"{mean:.{digits}f}" + ("" if pd.isna(deviation) else f" ± {deviation:.{digits}f}")
