"""The run directory: who may write to it, and results.json, which says what a run was and what it reached."""

import json
import math
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import lightning
import torch
from omegaconf import OmegaConf

import vaelab

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

RESULTS = "results.json"
LAST = Path("checkpoints") / "last.ckpt"
BEST = Path("checkpoints") / "best.ckpt"
PROJECT = Path(__file__).resolve().parents[2]


def check_free(directory: Path, resumes: bool) -> None:
    """A ValueError where another run's results lie in ``directory``.

    A run that resumes may enter its own directory. An empty one (Hydra makes it beforehand) is free.
    """
    if not resumes and directory.is_dir() and any(directory.iterdir()):
        last = directory / LAST
        go_on = f"go on with it: ckpt={last}" if last.exists() else "delete it: it holds no checkpoint to go on from"
        raise ValueError(
            f"{directory} exists already, and nothing there was touched; take another name (name=...), or {go_on}"
        )


def claim(directory: Path, resumes: bool) -> None:
    """Make ``directory`` this run's own; a ValueError where another run's results lie there."""
    directory.mkdir(parents=True, exist_ok=True)
    check_free(directory, resumes)
    probe = directory / ".writable"
    probe.touch()
    probe.unlink()


def release(directory: Path) -> None:
    """Remove ``directory``, where Hydra made it for nothing, and the folders of runs that it alone was in."""
    if not directory.is_dir() or directory.stat().st_ctime < vaelab.STARTED:
        return  # it was there before: the user's
    for folder in (directory, *(parent for parent in directory.parents if parent.name in ("runs", "outputs"))):
        try:
            folder.rmdir()
        except OSError:  # not empty: the first that is somebody else's
            return


def describe_composition(directory: Path, config: Mapping[str, object], overrides: list[str]) -> None:
    """.hydra/config.yaml and overrides.yaml: what was composed, and from which words."""
    folder = directory / ".hydra"
    folder.mkdir(exist_ok=True)
    OmegaConf.save(OmegaConf.create(dict(config)), folder / "config.yaml")
    OmegaConf.save(OmegaConf.create(overrides), folder / "overrides.yaml")
    set_aside(directory)


def set_aside(directory: Path) -> Path | None:
    """Keep the results of an earlier part of a run that goes on: a run in progress has no results.json."""
    old = directory / RESULTS
    if not old.exists():
        return None
    number = 1
    while (kept := directory / f"results.before-{number}.json").exists():
        number += 1
    return old.rename(kept)


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write whole or not at all; numbers that are none (nan, inf) become null, which JSON has."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(_plain(content), indent=1, allow_nan=False) + "\n", encoding="utf-8")
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
    with _alone(directory):
        content = read_results(directory)
        content.setdefault("evaluation", {})[part] = figures
        write_json(directory / RESULTS, content)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Until the end no other process is in here for ``directory``; on Windows, which has no such lock, one may be."""
    if fcntl is None:
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


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


def commit() -> str | None:
    """The commit of the code that runs, "-dirty" where it was changed since; None outside git."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=PROJECT, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()
