"""Which configurations are best, and whether their seeds show it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd
from scipy.stats import t as student

from vaelab.evaluation.metrics import ranked
from vaelab.sweeps.table import ComparableGroup


@dataclass(frozen=True)
class Best:
    """The best configuration by one metric, and its distance to the second.

    **Attributes**
        by: the metric.
        sd: the standard deviation of one seed; None with a single one.
        next: the second configuration; None, as all below, where there is no other.
        ahead: the difference of the two means.
        jobs: how many the two configurations have together.
        error: the standard error of ``ahead``.
        is_significant: whether ``ahead`` differs from 0 at the 95 % level; None: one seed each cannot show it.
    """

    by: str
    configuration: str
    mean: float
    sd: float | None
    seeds: int
    next: str | None = None
    ahead: float | None = None
    jobs: int | None = None
    error: float | None = None
    is_significant: bool | None = None


def pareto_front(configurations: pd.DataFrame) -> pd.Series:
    """Which configurations no other beats in both rate and distortion."""
    ordered = configurations.sort_values(["rate", "distortion"], kind="stable")
    lowest_before = ordered["distortion"].cummin().shift(fill_value=float("inf"))
    return (ordered["distortion"] < lowest_before).reindex(configurations.index)


def ranking(group: ComparableGroup) -> list[Best]:
    """The best configuration by each metric of ``metrics.ranked`` that ``group`` has."""
    return list(_ranking(group))


def _ranking(group: ComparableGroup) -> Iterator[Best]:
    for metric in ranked():
        order = group.best(metric)
        if order.empty:
            continue
        first = order.iloc[0]
        deviation = first[f"{metric}_sd"]
        best = Best(
            metric, group.describe(first), float(first[metric]),
            None if pd.isna(deviation) else float(deviation), int(first[f"{metric}_n"]),
        )  # fmt: skip
        if len(order) > 1:
            second = order.iloc[1]
            best = replace(compare(best, first, second), next=group.describe(second))
        yield best


def compare(best: Best, first: pd.Series, second: pd.Series) -> Best:
    """Student's t-test of the difference between two configurations.

        t = |mean₁ − mean₂| / error,   error² = s² (1/n₁ + 1/n₂),   s² = Σ_seeds (x − mean)² / (n₁ + n₂ − 2)

    The variance of one seed is taken to be the same in both.
    """
    metric = best.by
    counts = [int(row[f"{metric}_n"]) for row in (first, second)]
    ahead, jobs = float(abs(second[metric] - first[metric])), sum(counts)
    freedom = jobs - 2
    if freedom <= 0:
        return replace(best, ahead=ahead, jobs=jobs)
    squares = sum(row[f"{metric}_sd"] ** 2 * (n - 1) for row, n in zip((first, second), counts, strict=True) if n > 1)
    error = float((squares / freedom * sum(1 / n for n in counts)) ** 0.5)
    is_significant = bool(ahead > student.ppf(0.975, freedom) * error)
    return replace(best, ahead=ahead, jobs=jobs, error=error, is_significant=is_significant)
