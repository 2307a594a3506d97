"""The run directory: who may write to it, and results.json, which says what a run was and what it reached."""

import csv
import json
import math
import os
import platform
from collections.abc import Mapping
from pathlib import Path

import lightning
import torch
from omegaconf import OmegaConf

import vaelab
from vaelab.cells import LAST, LOCK, RESULTS, find, held

METRICS = "metrics.csv"
COMPOSED = Path(".hydra") / "config.yaml"


def check_free(directory: Path, resumes: bool) -> None:
    """A ValueError where another run's results lie in ``directory``.

    A run that resumes may enter its own directory. An empty one (Hydra makes it beforehand) is free, and so is that
    of a job which was refused before it began.
    """
    if not resumes and directory.is_dir() and any(not _is_nothing(file) for file in directory.iterdir()):
        last = directory / LAST
        go_on = f"go on with it: ckpt={last}" if last.exists() else "delete it: it holds no checkpoint to go on from"
        raise ValueError(
            f"{directory} exists already, and nothing there was touched; take another name (name=...), or {go_on}"
        )


def _is_nothing(file: Path) -> bool:
    return file.name == LOCK or file.suffix == ".part" or (file.name == RESULTS and not find(file.parent).complete)


def claim(directory: Path, resumes: bool) -> None:
    """Make ``directory`` this run's own; a ValueError where another run's results lie there."""
    directory.mkdir(parents=True, exist_ok=True)
    check_free(directory, resumes)
    probe = directory / ".writable"
    probe.touch()
    probe.unlink()


def describe_composition(directory: Path, config: Mapping[str, object], overrides: list[str]) -> None:
    """.hydra/config.yaml and overrides.yaml: what was composed, and from which words."""
    path = directory / COMPOSED
    path.parent.mkdir(exist_ok=True)
    for file, content in ((path.with_name("overrides.yaml"), overrides), (path, dict(config))):
        write_text(file, OmegaConf.to_yaml(OmegaConf.create(content)))
    set_aside(directory / RESULTS)


def set_aside(old: Path) -> None:
    """Keep what an earlier part of a run left, such as its results.json, which a run in progress has none of."""
    if not old.exists():
        return
    number = 1
    while (kept := old.with_name(f"{old.stem}.before-{number}{old.suffix}")).exists():
        number += 1
    old.rename(kept)


def begin_anew(directory: Path) -> None:
    """Free ``directory`` of what a run that was cut off left there; its results and checkpoints are set aside."""
    for old in (directory / RESULTS, directory / LAST.parent):
        set_aside(old)
    for events in directory.glob("events.out.tfevents.*"):  # TensorBoard would draw them under the new curves
        events.unlink()


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write whole or not at all; numbers that are none (nan, inf) become null, which JSON has."""
    write_text(path, json.dumps(_plain(content), indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_results(directory: Path) -> dict:
    """results.json of a run; a ValueError of one line where there is none or it is damaged."""
    path = directory / RESULTS
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(f"{directory} has no {RESULTS}: the run is not finished, or this is no run") from error
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("evaluation", {}), dict):
        raise ValueError(f"{path} is damaged: it does not hold what a run writes there")
    return content


def add_evaluation(directory: Path, part: str, figures: Mapping[str, object]) -> None:
    """Put a part of an appraisal into the results of a finished run, beside what others put there by now."""
    with held(directory / f".{RESULTS}{LOCK}", wait=True):
        content = read_results(directory)
        content.setdefault("evaluation", {})[part] = figures
        write_json(directory / RESULTS, content)


def validated(directory: Path, epoch: int) -> dict[str, float]:
    """What the validation after ``epoch`` found, by metrics.csv; nothing where there was none."""
    try:
        with (directory / METRICS).open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["epoch"] and float(row["epoch"]) == epoch]
    except FileNotFoundError:  # a model that is not trained
        return {}
    figures = {
        name.removeprefix("val/"): float(value)
        for row in rows
        for name, value in row.items()
        if name.startswith("val/") and value
    }
    return figures


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def versions() -> dict[str, str]:
    return {
        "vaelab": vaelab.__version__,
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "python": platform.python_version(),
    }
