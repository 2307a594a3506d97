"""Files that are written whole or not at all."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
PROJECT = PACKAGE.parents[1]  # of a checkout: the folder of train.py and conf
IS_CHECKOUT = (PROJECT / "train.py").is_file() and (PROJECT / "conf").is_dir()
CONF = PROJECT / "conf" if IS_CHECKOUT else PACKAGE / "conf"  # an installation has the configuration in the package


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path``. It replaces ``path`` at the end of the block, unless the block raises."""
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path``, whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write ``content`` to ``path``, whole or not at all; nan and infinity become null, because JSON has neither."""
    write_text(path, json.dumps(_plain(content), indent=1, allow_nan=False) + "\n")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
