"""The examples of docs/extending.md as files: the page and the tests have the same text."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending.md"
FILE = re.compile(r"^`(mine/[\w/.]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples() -> dict[str, str]:
    """File -> its text, for each code block of the page that the name of a file stands above."""
    return dict(FILE.findall(PAGE.read_text(encoding="utf-8")))


def members() -> dict[str, str]:
    """Group -> the member that the page adds to it."""
    return {Path(name).parts[1]: Path(name).stem for name in examples() if name.endswith(".yaml")}


def write_examples(folder: Path) -> Path:
    """Write all of them below ``folder``; returns what ``--config-dir`` names."""
    for name, text in examples().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "mine"
