"""Notes on a sweep's tables: what makes the jobs less comparable than they seem."""

from collections import Counter
from collections.abc import Iterator, Sequence

import pandas as pd

from vaelab.runs.options import COSMETIC, is_among
from vaelab.sweeps.jobs import Job, is_axis, is_comparable

LONGEST_LIST = 6  # options


def notes(
    jobs: Sequence[Job], table: pd.DataFrame, axes: Sequence[str], options: Sequence[str], repeated: int = 0
) -> Iterator[str]:
    """The notes, each a sentence or two.

    **Arguments**
        table: a row for each of ``jobs``.
        options: all that any job was given; ``axes`` are those that differ.
        repeated: how many jobs were left out because they are in another sweep too.
    """
    completed = table[table["status"] == "completed"]
    yield from _on_groups(completed)
    yield from _on_code(jobs, completed)
    if "model" not in axes and "experiment" not in axes:
        changed = other_differences(jobs, table[list(axes)], options)
        if changed:
            listed = ", ".join(changed[:LONGEST_LIST]) + (", …" if len(changed) > LONGEST_LIST else "")
            yield f"Besides the swept options the jobs differ in {listed}; the defaults may have changed between them."
    yield from _on_nll(completed)
    yield from _on_curves(completed)
    if repeated:
        yield (
            f"{repeated} {'job repeats another' if repeated == 1 else 'jobs repeat others'} with the same options and "
            "seed; each is counted once."
        )


def _on_groups(completed: pd.DataFrame) -> Iterator[str]:
    groups = completed["group"].unique()
    if len(groups) > 1:
        yield (
            f"These {len(groups)} groups of jobs are not comparable with each other: {'; '.join(groups)}. The log "
            "probability of binary pixels, the cross-entropy of grey pixels and a log density have different zeros, "
            "and so have different test images. Each group has its own ranking and plots."
        )


def _on_code(jobs: Sequence[Job], completed: pd.DataFrame) -> Iterator[str]:
    commits = [str(commit) for commit in completed["commit"].unique()]
    if len(commits) > 1:
        counts = Counter(str(commit)[:12] for commit in completed["commit"])
        listed = ", ".join(f"{count} job{'s' * (count > 1)} by {commit}" for commit, count in counts.items())
        yield f"The code changed within the sweep: {listed}."
    if any(commit.endswith("-dirty") for commit in commits):
        yield "Some jobs ran with code that was not committed."
    redefined = {
        (name, job.version) for job in jobs for name in job.results.get("test", {})
        if not is_comparable(name, job.version)
    }  # fmt: skip
    if redefined:
        listed = ", ".join(f"{name} of version {version}" for name, version in sorted(redefined))
        yield f"The definition of some metrics has changed since; they are left out: {listed}."


def _on_nll(completed: pd.DataFrame) -> Iterator[str]:
    if "test_nll_samples" in completed and completed["test_nll_samples"].nunique() > 1:
        counts = sorted(completed["test_nll_samples"].dropna().astype(int).unique())
        yield (
            f"nll was estimated with different numbers of samples ({', '.join(map(str, counts))}); fewer samples give "
            "a larger nll."
        )
    if "test_nll_prior_samples" in completed and completed["test_nll_prior_samples"].nunique() > 1:
        yield (
            "nll was estimated in two ways: with samples of the prior besides those of the posterior where the rate is "
            "low, and without them elsewhere (test_nll_prior_samples in sweep.csv). Samples of the prior find latents "
            "that the posterior misses. Without them nll may be too large, the more so the higher the rate; a small "
            "difference between the two may come from the estimate."
        )


def _on_curves(completed: pd.DataFrame) -> Iterator[str]:
    of_curves = completed[completed["curve_beta"].notna()]
    if not of_curves.empty:
        trainings = of_curves["directory"].nunique()
        yield (
            f"{len(of_curves)} rows, a beta.weight each, come from {trainings} training{'s' * (trainings != 1)} of a "
            "multi-rate model, so they are not independent of each other as separate runs are. Their validation is at "
            "beta = 1, and so chooses between their rows of beta.weight=1 alone."
        )


def other_differences(jobs: Sequence[Job], swept: pd.DataFrame, options: Sequence[str]) -> list[str]:
    """Options in which jobs differ although no command named them and they follow from no swept option.

    The configuration has copies of a group in other groups too: a prior's in ``model.prior``, a network's in
    ``likelihood.network``. An option that only some versions have is no difference.

    **Arguments**
        swept: the values of the swept options, a row for each of ``jobs``.
        options: all that any job was given.
    """
    rows = (dict(zip(swept.columns, row, strict=True)) for row in swept.itertuples(index=False))
    known = [(job.config, values) for job, values in zip(jobs, rows, strict=True) if job.config]
    named = set(options)
    found = []
    for option in sorted({option for config, _ in known for option in config}):
        if not is_axis(option) or is_among(option, COSMETIC) or not named.isdisjoint([option, *option.split(".")]):
            continue
        having = [(config[option], config, values) for config, values in known if option in config]
        if len({repr(value) for value, _, _ in having}) < 2:
            continue
        if not all(value in (*values.values(), config.get("seed")) for value, config, values in having):
            found.append(option)
    return found
