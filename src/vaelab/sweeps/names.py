"""names."""

import hashlib
import json
import re
from collections.abc import Sequence

LONGEST = 100  # characters of a directory's name; file systems take 143 (encrypted ones) to 255
# Lower case alone, as some file systems know no other, and no end with a dot, which some cut off.
PLAIN = re.compile(r"(?:[a-z0-9._+-]+=)?[a-z0-9._+-]*[a-z0-9_+-]")
# What says least about a job comes last in its name, where a long one is cut.
LAST_IN_A_NAME = ("accelerator", "data", "evaluation", "pictures", "trainer")


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
