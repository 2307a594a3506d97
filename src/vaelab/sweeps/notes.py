"""What a reader of a sweep's tables has to know."""

from collections import Counter
from collections.abc import Iterator, Sequence

import pandas as pd

from vaelab.runs.options import COSMETIC, is_among
from vaelab.sweeps.jobs import is_no_axis


def notes(
    jobs: pd.DataFrame, axes: Sequence[str], configs: list[dict[str, object]], options: list[str]
) -> Iterator[str]:
    """What makes the table less than it seems."""
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
    if "model" not in axes and "experiment" not in axes:
        changed = _also_changed(jobs, axes, configs, options)
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


def _also_changed(
    jobs: pd.DataFrame, axes: Sequence[str], configs: list[dict[str, object]], options: list[str]
) -> list[str]:
    """Options that differ though nobody named them, and that are no copy of an axis, nor of a group that was named.

    A group's copies lie in other groups too: a prior's in ``model.prior``, a network's in ``likelihood.network``.
    """
    swept = [dict(zip(axes, row, strict=True)) for row in jobs[axes].itertuples(index=False)]
    varying = []
    known = [(config, values) for config, values in zip(configs, swept, strict=True) if config]
    for option in sorted({option for config, _ in known for option in config}):
        if option in options or is_no_axis(option) or is_among(option, COSMETIC):
            continue
        if not {*option.split(".")}.isdisjoint(options):
            continue
        if len({repr(config.get(option)) for config, _ in known}) < 2:
            continue
        if all(config.get(option) in (*values.values(), config.get("seed")) for config, values in known):
            continue
        varying.append(option)
    return varying
