"""A multi-rate run in the table of a sweep: one training is a row for each β of its curve."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from vaelab.runs.results import has_failed
from vaelab.sweeps.jobs import Job

BETA = "beta.weight"  # the option that separate runs are swept over
LATENTS = ("kl_per_latent", "linear_kept")  # of a point; the part ``latents`` of a separate run's evaluation


def rows_of(job: Job) -> Iterator[Job]:
    """``job`` itself, or of a completed multi-rate run a job for each β of its curve, as if trained by itself.

    β = 1 is always one of them. It alone has the validation, which is at β = 1.
    """
    if job.results.get("betas") is None or job.status != "completed":
        yield job
        return
    test, evaluation = job.results["test"], job.results.get("evaluation", {})
    curve = evaluation.get("curve", {})
    points = {float(point["beta"]): point for point in ([] if has_failed(curve) else curve.get("points", []))}
    if 1.0 not in points:
        points[1.0] = {**evaluation.get("latents", {}), **test}
    for beta in sorted(points):
        yield _at(job, beta, points[beta])


def _at(job: Job, beta: float, point: Mapping[str, object]) -> Job:
    results, config = job.results, job.results["config"]
    return replace(
        job,
        beta=beta,
        results={
            **results,
            "overrides": [*results["overrides"], f"{BETA}={beta:g}"],
            "config": {**config, "beta": {**config["beta"], "weight": beta}},
            "validation": results.get("validation", {}) if beta == 1 else {},
            "test": {name: value for name, value in point.items() if name not in ("beta", *LATENTS)},
            "evaluation": {"latents": {name: point[name] for name in LATENTS if name in point}},
        },
    )
