"""results.json: what a run was and what it reached. Imports no torch, so that a finished job costs milliseconds."""

import csv
import difflib
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import vaelab
from vaelab.errors import InputError
from vaelab.files import IS_CHECKOUT, PROJECT, write_json
from vaelab.locks import locked
from vaelab.runs.options import OWN, evaluation_parts, own_options

RESULTS = "results.json"
METRICS = "metrics.csv"
EVALUATION_LOCK = f".{RESULTS}.lock"


@dataclass
class RunState:
    """The state of a run's directory.

    **Attributes**
        results: of a run that completed or failed; None where none were written, or where the file is damaged.
    """

    directory: Path
    results: dict | None

    @property
    def is_complete(self) -> bool:
        return self.results is not None and self.results.get("status") == "completed"


def read_state(directory: Path) -> RunState:
    """The state of ``directory``, which need not hold a run."""
    try:
        results = json.loads((directory / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        results = None
    return RunState(directory, results if isinstance(results, dict) else None)


def validation_objective(state: RunState) -> float | None:
    """What a search maximises: the validation's ELBO at beta = 1, or the negative distortion where there is none."""
    found = (state.results or {}).get("validation", {})
    return found.get("elbo", -found["distortion"] if "distortion" in found else None)


def _instead_of(missing: Path) -> str:
    """A hint at the run beside ``missing`` whose name is most like its name."""
    names = [path.name for path in missing.parent.iterdir()] if missing.parent.is_dir() else []
    close = difflib.get_close_matches(missing.name, names, 1)
    return f"; did you mean {missing.parent / close[0]}?" if close else ""


def read_results(directory: Path) -> dict:
    """results.json of the run in ``directory``.

    **Raises**
        InputError: there is none, or it is damaged.
    """
    path = directory / RESULTS
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        if not directory.exists():
            raise InputError(f"there is no {directory}{_instead_of(directory)}") from error
        raise InputError(f"{directory} has no {RESULTS}: the run is not finished, or this is no run") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("evaluation", {}), dict):
        raise InputError(f"{path} is damaged: it does not hold what a run writes there")
    return content


def missing_parts(results: Mapping[str, dict], config: Mapping[str, dict]) -> list[str]:
    """The parts of the evaluation that ``config`` asks for and ``results`` lack: not computed yet, or failed."""
    known = results.get("evaluation", {})
    parts = [part for part in evaluation_parts(config) if part not in known or has_failed(known[part])]
    own = own_options(config, "metric").values()
    return [*parts, OWN] if any(not is_known(options, known) for options in own) else parts


def is_known(options: Mapping[str, object], evaluation: Mapping[str, Mapping]) -> bool:
    """Whether the user's own metric of these ``options`` is computed already."""
    return any(metric["asked"] == options and not has_failed(metric) for metric in evaluation.get(OWN, {}).values())


def has_failed(part: Mapping[str, object]) -> bool:
    """Whether a part of the evaluation is stored as failed."""
    return "error" in part


def describe_parts(evaluation: Mapping[str, Mapping[str, object]], parts: Sequence[str]) -> str:
    """Which of ``parts`` were evaluated, which failed, and which do not exist for this model, with the reason.

    >>> describe_parts({"latents": {}, "probes": {"error": "too few images"}}, ["latents", "probes"])
    'evaluated latents; probes failed'
    """
    measured = [part for part in parts if not evaluation[part].keys() & {"error", "lacking"}]
    failed = [f"{part} failed" for part in parts if has_failed(evaluation[part])]
    lacking = [f"no {part} ({evaluation[part]['lacking']})" for part in parts if "lacking" in evaluation[part]]
    return "; ".join([*([f"evaluated {', '.join(measured)}"] if measured else []), *failed, *lacking])


def add_evaluation(directory: Path, part: str, metrics: Mapping[str, object]) -> None:
    """Add a part of the evaluation to results.json, beside what other processes add meanwhile."""
    with locked(directory / EVALUATION_LOCK, wait=True):
        content = read_results(directory)
        content.setdefault("evaluation", {})[part] = metrics
        write_json(directory / RESULTS, content)


def validation_metrics(directory: Path, step: int | None = None) -> dict[str, float]:
    """The metrics of the validation after ``step``, from metrics.csv; empty where nothing was validated then.

    **Arguments**
        step: of the optimizer; None for the last validation.
    """
    try:
        with (directory / METRICS).open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row.get("step")]
    except FileNotFoundError:  # a model that is not trained
        return {}
    found: dict[int, dict[str, float]] = {}
    for row in rows:
        named = {_validation_name(column): float(value) for column, value in row.items() if value and column}
        named.pop("", None)
        if named:
            found.setdefault(int(row["step"]), {}).update(named)
    return found.get(max(found, default=0) if step is None else step, {})


def _validation_name(column: str) -> str:
    """``elbo`` of ``elbo/val`` (and of ``val/elbo``, as older versions wrote it); "" of other columns."""
    if column.startswith("val/"):
        return column.removeprefix("val/")
    return column.removesuffix("/val") if column.endswith("/val") else ""


def versions() -> dict[str, str]:
    """The versions that a run was made with."""
    import torch  # here, because a finished job needs none; unlike the package's version, this one names CUDA's too

    packages = {"torch": str(torch.__version__), "lightning": version("lightning")}
    return {"vaelab": vaelab.__version__, **packages, "python": platform.python_version()}


@cache
def commit() -> str | None:
    """The commit of this code, with "-dirty" where files were changed since; None outside a git repository."""
    if not IS_CHECKOUT:  # the folder may lie in a repository of other code
        return None
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=PROJECT, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()
