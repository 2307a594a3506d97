"""A sweep's cells: which directory a job has, what lies in it already, and who is at work in it.

Without torch, so that a job that is complete already costs milliseconds.
"""

import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vaelab.checks import Refused

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

RESULTS = "results.json"
LAST = Path("checkpoints") / "last.ckpt"
BEST = Path("checkpoints") / "best.ckpt"
LOCK = ".lock"
GLANCES = 3  # at a lock that somebody may only have looked at
PROJECT = Path(__file__).resolve().parents[2]

LONGEST = 100  # characters of a directory's name; file systems take 143 (encrypted ones) to 255
# Lower case alone, as some file systems know no other, and no end with a dot, which some cut off.
PLAIN = re.compile(r"(?:[a-z0-9._+-]+=)?[a-z0-9._+-]*[a-z0-9_+-]")

# What may differ between a cell and the command that meets it again: what is no matter at all, and what was trained
# the same all the same, but measured or shown otherwise.
ANY = ("name", "ckpt", "data.root", "pictures.", "trainer.log_every_n_steps", "evaluation.parts", "evaluation.chunk")
NOT_TRAINING = (
    *ANY, "evaluation.nll_samples", "evaluation.prior_samples", "evaluation.active_variance",
    "evaluation.aggregate_images", "trainer.accelerator", "trainer.devices", "trainer.strategy",
    "trainer.compile",
)  # fmt: skip

# What says least about a job comes last in its name, where a long one is cut.
LAST_IN_A_NAME = ("accelerator", "data", "evaluation", "pictures", "trainer")


# ---- names -----------------------------------------------------------------------------------------------------


def directory_name(overrides: Sequence[str]) -> str:
    """The directory of the job that ``overrides`` make, whatever their order.

    Short plain words are the name as they are; of all others it is a readable part and a digest of the whole.

    >>> directory_name(["latent=2", "beta.weight=0.5"])
    'beta.weight=0.5,latent=2'
    >>> directory_name(["network.hidden=[512,256]"])
    'network.hidden=_512,256_~ddb359288c5d'
    """
    return _name(sorted(overrides, key=lambda word: (word.lstrip("+~").startswith(LAST_IN_A_NAME), word)))


def job_name(overrides: Sequence[str], seed: int, elsewhere: Sequence[str] = ()) -> str:
    """The directory of a sweep's job within the sweep's; the options ``elsewhere`` are in the sweep's own name.

    >>> job_name(["name=grid", "latent=2"], 0, ["name"])
    'latent=2,seed=0'
    """
    words = {word.split("=")[0]: word for word in overrides}
    words.setdefault("seed", f"seed={seed}")  # more seeds later are then other cells
    return directory_name([word for option, word in words.items() if option not in elsewhere])


def _name(words: list[str]) -> str:
    readable = ",".join(words)
    if words and len(readable) <= LONGEST and all(map(PLAIN.fullmatch, words)):
        return readable
    digest = hashlib.sha256(json.dumps(sorted(words)).encode()).hexdigest()[:12]
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
    """

    directory: Path
    results: dict | None

    @property
    def complete(self) -> bool:
        return self.results is not None and self.results.get("status") == "completed"


def find(directory: Path) -> Cell:
    try:
        results = json.loads((directory / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        results = None
    return Cell(directory, results if isinstance(results, dict) else None)


def asked_parts(config: Mapping[str, object]) -> list[str]:
    """Those parts of an appraisal that ``config`` asks for."""
    parts = config["evaluation"]["parts"]
    if not isinstance(parts, list):
        raise Refused(f"evaluation.parts must be a list, such as [latents, aggregate], or [] for none, got {parts!r}")
    return parts


def missing_parts(cell: Cell, config: Mapping[str, object]) -> list[str]:
    """Those parts of an appraisal that ``config`` asks for and a complete run was cut off before."""
    known = cell.results.get("evaluation", {})
    return [part for part in asked_parts(config) if part not in known]


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
        if left.get(option, missing) != right.get(option, missing) and not is_any(option, ignored)
    ]


def is_any(option: str, names: Sequence[str]) -> bool:
    """Whether ``option`` is one of ``names``, or below one that ends with a dot."""
    return any(option == name or (name.endswith(".") and option.startswith(name)) for name in names)


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

    Where there are no such locks, on Windows and on some network file systems, nobody is kept out; nor where nothing
    can be written, of which whoever tries to write will tell.
    """
    handle = None
    if fcntl is not None:
        with suppress(OSError):
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)  # for writing: NFS locks no other file
    if handle is None:
        yield True
        return
    try:
        yield _lock(handle, wait)
    finally:
        os.close(handle)


def _lock(handle: int, wait: bool) -> bool:
    for attempt in range(GLANCES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return True
        except BlockingIOError:
            if attempt < GLANCES - 1:
                time.sleep(0.05)
        except OSError:  # this file system locks nothing
            return True
    return False


def is_held(lock: Path) -> bool:
    """Whether a process holds ``lock``; unlike ``held`` this writes nothing."""
    if fcntl is None:
        return False
    try:
        handle = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False
