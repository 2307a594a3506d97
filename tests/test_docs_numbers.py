"""Metrics of one command agree wherever README, docs and recipes state them."""

import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RECIPES = sorted((ROOT / "conf" / "experiment").rglob("*.yaml"))
COLUMNS = {
    "elbo": "elbo", "test elbo": "elbo", "rate": "rate", "distortion": "distortion", "nll (k = 100)": "nll",
    "nll, k = 100": "nll", "mse": "mse", "squared error": "mse",
}  # fmt: skip
NUMBER = r"(-?\d+\.\d+)"
STATED = {
    "elbo": re.compile(rf"(?i)\belbo(?: of)? {NUMBER}"),
    "rate": re.compile(rf"\brate {NUMBER}(?! nats of)"),
    "distortion": re.compile(rf"\bdistortion\s{NUMBER}"),
    "nll": re.compile(rf"\bnll(?: of)? {NUMBER}"),
}
COMMAND = re.compile(r"^ {4}(python train\.py[^#]*?)\s*(?:#(.*))?$")
Stated = tuple[str, str, str, str]  # command, metric, value, place


def test_a_command_has_the_same_metrics_on_every_page():
    found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for command, metric, value, place in [*_in_pages(), *_in_recipes()]:
        found[command, metric].append((value, place))
    several = {key: stated for key, stated in found.items() if len(stated) > 1}
    assert len(several) >= 8  # else the pages have changed, and this test finds nothing
    wrong = {key: stated for key, stated in several.items() if not _agree([value for value, _ in stated])}
    assert not wrong


def _agree(values: list[str]) -> bool:
    """Whether ``values`` are the same at the precision of the least precise."""
    numbers = [Decimal(value) for value in values]
    step = max(Decimal(1).scaleb(int(number.as_tuple().exponent)) for number in numbers)
    return max(numbers) - min(numbers) <= step / 2 if len({*numbers}) > 1 else True


def _in_pages() -> Iterator[Stated]:
    for page in PAGES:
        lines = page.read_text(encoding="utf-8").splitlines()
        yield from _in_tables(lines, page)
        yield from _in_text(lines, page)


def _in_tables(lines: list[str], page: Path) -> Iterator[Stated]:
    header: list[str] = []
    for number, line in enumerate(lines, 1):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] if line.startswith("|") else []
        if not header:
            header = [cell.lower() for cell in cells]
        elif not cells:
            header = []
        elif header[0] == "command" and (command := _normal(cells[0])):
            for name, cell in zip(header, cells, strict=False):
                if name in COLUMNS and re.fullmatch(NUMBER, cell):
                    yield command, COLUMNS[name], cell, f"{page.name}:{number}"


def _in_text(lines: list[str], page: Path) -> Iterator[Stated]:
    """What a command's comment says, and the text between one command and the next command, heading or table."""
    command, text = "", ""
    for number, line in enumerate([*lines, "#"], 1):
        typed = COMMAND.match(line)
        if typed and typed[2]:
            yield from _stated(_normal(f"`{typed[1]}`"), typed[2], f"{page.name}:{number}")
        if typed or line.startswith(("#", "|", "- ", "`experiment=")):
            yield from _stated(command, text, f"{page.name}:{number}")
            named = re.match(r"`(experiment=\S+)`:", line)
            is_second = bool(typed and command and not text)  # then the text is about both
            chosen = typed[1] if typed and not typed[2] and not is_second else named[1] if named else ""
            command, text = _normal(f"`{chosen}`"), "" if typed else line
        else:
            text += f" {line}"


def _in_recipes() -> Iterator[Stated]:
    for recipe in RECIPES:
        name = recipe.relative_to(ROOT / "conf" / "experiment").with_suffix("").as_posix()
        for expected in re.findall(r"^# Expected: (.*(?:\n# .*)*)", recipe.read_text(encoding="utf-8"), re.MULTILINE):
            yield from _stated(f"python train.py experiment={name}", expected, recipe.name)


def _stated(command: str, text: str, place: str) -> Iterator[Stated]:
    for metric, pattern in STATED.items():
        values = pattern.findall(text) if command else []
        if values:  # the first is the command's own, others compare it with something
            yield command, metric, values[0], place


def _normal(cell: str) -> str:
    """The command in a table's cell, complete; empty where the cell holds none."""
    typed = re.match(r"`([^`]+)`", cell)
    if typed is None or ("=" not in typed[1] and not typed[1].startswith("python train.py")):
        return ""
    words = typed[1].removeprefix("python train.py").split()
    return " ".join(["python train.py", *sorted(words)])
