"""A few runs side by side: in which options they differ, their metrics, and which of these may be compared."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vaelab.errors import InputError
from vaelab.evaluation.metrics import CATALOGUE, Metric
from vaelab.runs.directory import COMPOSED
from vaelab.runs.options import COSMETIC, is_among
from vaelab.runs.pieces import CONTRACTS
from vaelab.runs.results import has_failed, read_results
from vaelab.sweeps.jobs import PIXELS, Job, as_text, is_comparable, read_job

# Entries of results.json that say how a metric of the test was estimated.
NLL = ("nll_samples", "nll_prior_samples", "nll_widen")
ESTIMATES = {"nll": NLL, "gap": NLL, "bits_per_dim": NLL}
# Metrics with the zero of p(x|z), which differs between likelihoods; KL terms and gaps do not have it.
LOG_LIKELIHOODS = (
    "elbo", "distortion", "nll", "bits_per_dim", "bits_per_dim_bound", "iwae", "best_elbo", "loss",
)  # fmt: skip
SETTINGS = ("images", "samples", "batch", "train_images", "steps", *NLL)
UNCOMPARED = (*SETTINGS, "time_s", "kl_order")
# Options that follow from others, which are shown instead.
DERIVED = ("trainer.max_epochs", "data.shape")


@dataclass(frozen=True)
class Row:
    """A metric of all runs.

    **Attributes**
        name: of the metric, with the part of the evaluation that it is of.
        values, errors: of each run; None where there is none.
        why_not: why the values are not comparable; "" where they are.
        caution: how the estimates of comparable values differ; "" where they do not.
    """

    name: str
    metric: Metric
    values: list[float | None]
    errors: list[float | None]
    why_not: str
    caution: str = ""

    @property
    def best(self) -> int | None:
        """Which run has the best value; None where none is better, or they are not comparable."""
        known = [value for value in self.values if value is not None]
        if self.why_not or not self.metric.better or len(known) < 2 or len(set(known)) == 1:
            return None
        return self.values.index(min(known) if self.metric.better == "lower" else max(known))

    def text(self, run: int) -> str:
        """The value of a run, with its error."""
        value, error, digits = self.values[run], self.errors[run], self.metric.digits
        if value is None:
            return ""
        shown = str(value) if isinstance(value, int) else f"{value:.{digits}f}"
        return shown if error is None else f"{shown} ± {error:.{digits}f}"


@dataclass(frozen=True)
class Comparison:
    """Completed runs on the same images."""

    jobs: list[Job]

    @classmethod
    def of(cls, directories: Sequence[Path]) -> "Comparison":
        """The comparison of the runs in ``directories``.

        **Raises**
            InputError: there are not two of them, one is not finished, or their images are not the same.
        """
        different = list({directory.resolve(): directory for directory in directories}.values())
        if len(different) < 2:
            raise InputError(f"{directories[0]} alone cannot be compared: name two runs or more")
        jobs = [_completed(directory) for directory in different]
        for job in jobs[1:]:
            _check_images(jobs[0], job)
        return cls(jobs)

    @cached_property
    def names(self) -> list[str]:
        """A short name for each run: that of its directory, or its path where two have the same."""
        short = [job.directory.resolve().name for job in self.jobs]
        return short if len(set(short)) == len(short) else [str(job.directory) for job in self.jobs]

    def options(self) -> dict[str, list[str]]:
        """The members of groups and the options in which the runs differ, with the value of each run.

        Copies of a piece in other pieces are left out, and so are options that do not change a metric.
        """
        configs = [{**job.config, **job.choices} for job in self.jobs]
        names = dict.fromkeys([*(name for job in self.jobs for name in job.choices),
                               *sorted(name for config in configs for name in config)])  # fmt: skip
        shown = {name: [_shown(config.get(name)) for config in configs] for name in names if not _is_hidden(name)}
        latents = {"", *(_shown(config.get("latent")) for config in configs)}
        shown = {name: values for name, values in shown.items()
                 if not name.endswith(".latent") or not latents.issuperset(values)}  # fmt: skip
        return {name: values for name, values in shown.items() if len(set(values)) > 1}

    def rows(self) -> Iterator[Row]:
        """The metrics that any run has: of its test, then of the parts of its evaluation."""
        tests = [job.metrics() for job in self.jobs]
        for name in CATALOGUE:
            if not name.endswith("_stderr") and name not in UNCOMPARED:
                yield from self._row(name, name, tests)
        parts = [_parts(job.results.get("evaluation", {})) for job in self.jobs]
        for part in dict.fromkeys(part for found in parts for part in found):
            found = [every.get(part, {}) for every in parts]
            for name in dict.fromkeys(name for metrics in found for name in metrics):
                is_repeated = [metrics.get(name) for metrics in found] == [metrics.get(name) for metrics in tests]
                if name in CATALOGUE and not name.endswith("_stderr") and name not in UNCOMPARED and not is_repeated:
                    yield from self._row(f"{part}: {name}", name, found, is_test=False)

    def _row(self, label: str, name: str, found: Sequence[Mapping[str, object]], is_test: bool = True) -> Iterator[Row]:
        values = [_number(metrics.get(name)) for metrics in found]
        if any(value is not None for value in values):
            errors = [_number(metrics.get(f"{name}_stderr")) for metrics in found]
            differ = self._setting(found, ESTIMATES.get(name, ()) if is_test else SETTINGS)
            why_not = self.why_not(name, found) or ("" if is_test else differ)
            yield Row(label, CATALOGUE[name], values, errors, why_not, "" if why_not else differ)

    def why_not(self, name: str, found: Sequence[Mapping[str, object]]) -> str:
        """Why the values of the metric ``name`` are not comparable; "" where they are.

        **Arguments**
            found: for each run the metrics of the section that holds it.
        """
        having = [index for index, metrics in enumerate(found) if metrics.get(name) is not None]
        if old := [self.names[index] for index in having if not is_comparable(name, self.jobs[index].version)]:
            return f"another definition in the version of {', '.join(old)}"
        return next((reason for reason in self._reasons(name) if reason), "")

    def _setting(self, found: Sequence[Mapping[str, object]], settings: Sequence[str]) -> str:
        """The first of ``settings`` in which the sections ``found`` differ, with the values; "": there is none."""
        for setting in settings:
            values = dict.fromkeys(as_text(metrics[setting]) for metrics in found if setting in metrics)
            if len(values) > 1:
                return f"{setting}: {', '.join(values)}"
        return ""

    def _reasons(self, name: str) -> Iterator[str]:
        """The reasons in the options of the runs why a metric cannot be compared, "" for those that do not apply."""
        yield self._other("test images", lambda job: as_text(job.results["data"]["test"]))
        yield self._other("pixels", lambda job: PIXELS.get(job.results["data"]["binarize"], "other pixels"))
        if name in LOG_LIKELIHOODS:
            yield self._other("likelihood", lambda job: str(job.results.get("likelihood")))
            yield self._other("given labels", lambda job: str(bool(job.config.get("model.classes"))).lower())
        if name == "loss":
            yield self._other("loss", lambda job: str(job.results.get("loss")))
            yield self._other("beta", lambda job: as_text(job.results.get("beta")))
        if name.startswith("active_units"):
            yield self._other("active_variance", lambda job: as_text(job.config.get("evaluation.active_variance")))

    def _other(self, what: str, value: Callable[[Job], str]) -> str:
        values = dict.fromkeys(value(job) for job in self.jobs)
        return f"{what}: {', '.join(values)}" if len(values) > 1 else ""


def _completed(directory: Path) -> Job:
    """The run in ``directory``, or an InputError where it is none that completed."""
    if directory.is_dir() and not (directory / COMPOSED).exists() and next(directory.glob(f"*/{COMPOSED}"), None):
        raise InputError(
            f"{directory} is a sweep: name two of its jobs, or compare all: python scripts/report.py {directory}"
        )
    results = read_results(directory)
    if results.get("status") != "completed":
        raise InputError(f"{directory} failed ({results.get('error')}), so there is nothing to compare")
    return read_job(directory.parent, directory)


def _check_images(first: Job, other: Job) -> None:
    """Raise an InputError where two runs are not of the same images."""
    for entry, what in (("name", "images"), ("content", "content of the images")):
        here, there = (job.results["data"].get(entry) for job in (first, other))
        if here != there:
            raise InputError(
                f"{first.directory} and {other.directory} have different images ({what}: {here} and {there}): "
                "compare runs on the same data"
            )
    here, there = (job.config.get("data.shape") for job in (first, other))
    if None not in (here, there) and here != there:
        raise InputError(
            f"{first.directory} and {other.directory} have images of different shapes ({here} and {there}): "
            "compare runs on the same data"
        )


def _parts(evaluation: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """The parts of an evaluation that did not fail, and the sections within them, each with the settings around it."""
    found: dict[str, dict[str, object]] = {}
    for part, metrics in evaluation.items():
        if not has_failed(metrics):
            settings = {name: value for name, value in metrics.items() if name in SETTINGS}
            found[part] = dict(metrics)
            inner = {name: value for name, value in metrics.items() if isinstance(value, Mapping) and name != "asked"}
            found |= {f"{part}, {name}": {**settings, **value} for name, value in inner.items()}
    return found


def _is_hidden(option: str) -> bool:
    is_copy = bool(CONTRACTS.keys() & set(option.split(".")[1:]))
    return is_copy or option.endswith(("_target_", ".image")) or option in DERIVED or is_among(option, COSMETIC)


def _shown(value: object) -> str:
    return "" if value is None else as_text(value)


def _number(value: object) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
