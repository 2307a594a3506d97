"""Options that nothing reads: refused before the training, because a run without them would be the same."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

from vaelab.errors import InputError
from vaelab.evaluation.settings import NAMES

# What a run reads of its configuration; it reads other sections where one of these refers to them by ${...}.
ROOTS = (
    "model", "loss", "beta", "optimizer", "lr", "data", "trainer", "logger", "callbacks", "evaluation", "pictures",
    "metric", "plot",
    "latent", "seed", "epochs", "name", "ckpt",
)  # fmt: skip
# The options of the sections that no class checks.
PLAIN = {
    "evaluation": ("checkpoint", "parts", "ema", *NAMES),
    "pictures": ("every", "projection", "projector"),
}
PIECES = ("network", "posterior", "likelihood", "prior")  # groups that a model may leave out
REFERENCE = re.compile(r"\$\{(?:oc\.\w+:)?([A-Za-z_]\w*)")


def check_read(config: Mapping[str, object], words: Sequence[str]) -> None:
    """Raise an InputError where an override sets what no part of a run reads.

    **Arguments**
        config: the composed configuration with its interpolations as they stand.
        words: the overrides of the command line, Hydra's own included.
    """
    read = _sections_read(config, words)
    for word in words:
        key = word.partition("=")[0].lstrip("+~")
        section, _, option = key.partition(".")
        if section in config and section not in read and not word.endswith("=none"):
            where = " in this model" if section in PIECES else ""
            raise InputError(f"{word}: nothing reads {section!r}{where}; leave it out")
        if option and option.partition(".")[0] not in PLAIN.get(section, (option.partition(".")[0],)):
            close = difflib.get_close_matches(option, PLAIN[section], n=1) or PLAIN[section][:1]
            raise InputError(
                f"{word}: nothing reads {key}; leave it out, or take one of {', '.join(PLAIN[section])}, "
                f"such as {section}.{close[0]}"
            )


def _sections_read(config: Mapping[str, object], words: Sequence[str]) -> set[str]:
    """The sections and top-level options that a run reads, directly or by interpolation."""
    read: set[str] = set()
    waiting = [*ROOTS, *_references([word for word in words if word.startswith("hydra")])]
    while waiting:
        name = waiting.pop()
        if name in config and name not in read:
            read.add(name)
            waiting += _references(config[name])
    return read


def _references(value: object) -> Iterator[str]:
    """The first names of all interpolations in ``value``: of ``${network.output}``, ``network``."""
    if isinstance(value, str):
        yield from REFERENCE.findall(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _references(inner)
