"""A sweep's cells: which directory a job has, what lies in it already, and who is at work in it.

Without torch, so that a job that is complete already costs milliseconds.
"""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

RESULTS = "results.json"
LAST = Path("checkpoints") / "last.ckpt"
BEST = Path("checkpoints") / "best.ckpt"
LOCK = ".lock"
PROJECT = Path(__file__).resolve().parents[2]

LONGEST = 100  # characters of a directory's name; file systems take 143 (encrypted ones) to 255
# Lower case alone, as some file systems know no other, and no end with a dot, which some cut off.
PLAIN = re.compile(r"(?:[a-z0-9._+-]+=)?[a-z0-9._+-]*[a-z0-9_+-]")

# What may differ between a cell and the command that meets it again without changing what is computed.
ANY = ("name", "ckpt", "data.root")
NOT_TRAINING = (*ANY, "evaluation.", "pictures.", "trainer.log_every_n_steps", "trainer.accelerator")
NOT_TRAINING = (*NOT_TRAINING, "trainer.devices", "trainer.strategy")


# ---- names -----------------------------------------------------------------------------------------------------


def directory_name(overrides: Sequence[str]) -> str:
    """The directory of the job that ``overrides`` make, whatever their order.

    Short plain words are the name as they are; of all others it is a readable part and a digest of the whole.

    >>> directory_name(["latent=2", "beta.weight=0.5"])
    'beta.weight=0.5,latent=2'
    >>> directory_name(["network.hidden=[512,256]"])
    'network.hidden=_512,256_~ca24aa23ba8b'
    """
    return _name(sorted(overrides))


def _name(words: list[str]) -> str:
    readable = ",".join(words)
    if words and len(readable) <= LONGEST and all(map(PLAIN.fullmatch, words)):
        return readable
    digest = hashlib.sha256(json.dumps(words).encode()).hexdigest()[:12]
    return f"{re.sub(r'[^A-Za-z0-9._+=,-]+', '_', readable)[: LONGEST - 13]}~{digest}"


def sweep_name(axes: Sequence[str], overrides: Sequence[str]) -> str:
    """The directory of a sweep over the options ``axes`` with ``overrides`` fixed.

    It does not name the values nor the seed: a longer axis or more seeds add cells to the same sweep.

    >>> sweep_name(["latent", "beta.weight", "seed"], ["epochs=5", "data=mnist5k"])
    'beta.weight+latent,data=mnist5k,epochs=5'
    """
    swept = sorted(axis for axis in axes if axis != "seed") or ["seed"]
    return _name(["+".join(swept), *sorted(word for word in overrides if not word.startswith("seed="))])


# ---- what lies there -------------------------------------------------------------------------------------------


@dataclass
class Cell:
    """What a job finds in its directory.

    Attributes:
        results: of a run that completed or failed; None where none was written, or where it is damaged.
        checkpoint: of the last epoch that finished, if there is one.
    """

    directory: Path
    results: dict | None
    checkpoint: Path | None

    @property
    def complete(self) -> bool:
        return self.results is not None and self.results.get("status") == "completed"


def find(directory: Path) -> Cell:
    try:
        results = json.loads((directory / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        results = None
    last = directory / LAST
    return Cell(directory, results if isinstance(results, dict) else None, last if last.is_file() else None)


def missing_parts(cell: Cell, config: Mapping[str, object]) -> list[str]:
    """Those parts of an appraisal that ``config`` asks for and a complete run was cut off before."""
    known = cell.results.get("evaluation", {})
    return [part for part in config["evaluation"]["parts"] if part not in known]


def differences(there: Mapping[str, object], here: Mapping[str, object], ignored: Sequence[str] = ANY) -> list[str]:
    """The options in which two configurations differ, with both values.

    >>> differences({"epochs": 5, "name": "a"}, {"epochs": 50, "name": "b"})
    ['epochs=5 there, 50 here']
    """
    left, right = flat(there), flat(here)
    missing = "nothing"
    return [
        f"{option}={left.get(option, missing)} there, {right.get(option, missing)} here"
        for option in sorted(left.keys() | right.keys())
        if left.get(option, missing) != right.get(option, missing)
        and not any(option == name or (name.endswith(".") and option.startswith(name)) for name in ignored)
    ]


def flat(config: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """A configuration as dotted options.

    >>> flat({"data": {"name": "mnist", "val": 10}, "seed": 0})
    {'data.name': 'mnist', 'data.val': 10, 'seed': 0}
    """
    options: dict[str, object] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            options |= flat(value, f"{prefix}{name}.")
        else:
            options[f"{prefix}{name}"] = value
    return options


def release(directory: Path, ours: bool = True) -> None:
    """Leave ``directory``, and remove it where it is ``ours`` and empty, with folders of runs that it alone was in."""
    if not directory.is_dir() or any(file.name != LOCK for file in directory.iterdir()):
        return
    (directory / LOCK).unlink(missing_ok=True)
    if not ours:
        return
    for folder in (directory, *(parent for parent in directory.parents if parent.name in ("runs", "outputs"))):
        try:
            folder.rmdir()
        except OSError:  # not empty: the first that is somebody else's
            return


@cache
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


# ---- who is there ----------------------------------------------------------------------------------------------


@contextmanager
def held(lock: Path, wait: bool = False) -> Iterator[bool]:
    """Whether this process alone holds ``lock`` until the end; the system frees it when a process is killed.

    Where there are no such locks, on Windows and on some network file systems, nobody is kept out.
    """
    if fcntl is None:
        yield True
        return
    lock.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)  # for writing: NFS locks no other file
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            mine = True
        except BlockingIOError:
            mine = False
        except OSError:  # this file system locks nothing
            mine = True
        yield mine
    finally:
        os.close(handle)
