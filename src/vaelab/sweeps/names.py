"""The names of the directories of jobs and sweeps: readable, valid on every file system, and never ambiguous."""

import hashlib
import json
import re
from collections.abc import Sequence

LONGEST = 100  # characters of a directory's name; file systems allow 143 (encrypted ones) to 255
# Lower case only, as some file systems ignore case, and no dot at the end, which some remove.
PLAIN = re.compile(r"(?:[a-z0-9._+-]+=)?[a-z0-9._+-]*[a-z0-9_+-]")
# Options that describe a job least come last in its name, which is cut at the end where it is too long.
UNNAMED = ("metric", "plot")  # what they add to a job that is complete needs no training, hence no other job
LAST_IN_A_NAME = ("accelerator", "data", "evaluation", "pictures", "trainer")


def directory_name(overrides: Sequence[str]) -> str:
    """The directory of the job with these ``overrides``, whatever their order.

    Short names of plain characters are used as they are. Every other name is a readable part and a digest of the whole.

    >>> directory_name(["latent=2", "beta.weight=0.5"])
    'beta.weight=0.5,latent=2'
    >>> directory_name(["network.hidden=[512,256]"])
    'network.hidden=_512,256_~ddb359288c5d'
    """
    return _name(sorted(overrides, key=lambda word: (word.lstrip("+~").startswith(LAST_IN_A_NAME), word)))


def job_name(overrides: Sequence[str], seed: int, elsewhere: Sequence[str] = ()) -> str:
    """The directory of a job within its sweep's directory.

    **Arguments**
        elsewhere: options that the sweep's own name contains.

    >>> job_name(["name=grid", "latent=2"], 0, ["name"])
    'latent=2,seed=0'
    """
    words = {word.split("=")[0]: word for word in overrides}
    words.setdefault("seed", f"seed={seed}")  # further seeds later are further jobs
    return directory_name([word for option, word in words.items() if option not in elsewhere and is_named(word)])


def is_named(override: str) -> bool:
    """Whether a job or a sweep is called by ``override``.

    >>> is_named("latent=2"), is_named("metric=sparsity"), is_named("metric.images=10")
    (True, False, False)
    """
    return override.lstrip("+~").partition("=")[0].partition(".")[0] not in UNNAMED


def _name(words: list[str]) -> str:
    readable = ",".join(words)
    if words and len(readable) <= LONGEST and all(map(PLAIN.fullmatch, words)):
        return readable
    digest = hashlib.sha256(json.dumps(sorted(words)).encode()).hexdigest()[:12]
    return f"{re.sub(r'[^A-Za-z0-9._+=,-]+', '_', readable)[: LONGEST - 13]}~{digest}"


def sweep_name(axes: Sequence[str], overrides: Sequence[str]) -> str:
    """The directory of a sweep over the options ``axes`` with the other ``overrides`` fixed.

    It contains neither the swept values nor the seed: further values and seeds add jobs to the same sweep.

    >>> sweep_name(["latent", "beta.weight", "seed"], ["epochs=5", "data=mnist5k"])
    'beta.weight+latent,data=mnist5k,epochs=5'
    """
    swept = sorted(axis for axis in axes if axis != "seed") or ["seed"]
    return _name(["+".join(swept), *sorted(word for word in overrides if not word.startswith("seed="))])
