"""A pickle that runs code."""

import os
from pathlib import Path


class Bomb:
    """Unpickled, it makes a folder: harmless, and seen."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)
