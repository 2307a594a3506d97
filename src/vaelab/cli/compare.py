"""Compare finished runs on the same images: their options, their metrics, and samples from the same noise.

    python scripts/compare.py outputs/runs/one outputs/runs/two outputs/runs/three
    python scripts/compare.py outputs/runs/one outputs/runs/two --to one-and-two.png

A figure shows the same test images through each model, and samples of the same noise. It goes to outputs/comparisons,
unless --to names a file.
"""

import argparse
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from vaelab.checks import whole
from vaelab.cli import tools
from vaelab.errors import InputError
from vaelab.sweeps.comparison import Comparison, Row
from vaelab.sweeps.comparison_plot import draw
from vaelab.sweeps.names import directory_name

SUFFIXES = (".png",)
WIDEST = 250  # characters in a line of a table, at most
SINGLE = (
    "An error (±) is that of the estimate for this model. Single runs do not say how much another seed would change a "
    "metric: sweep over seeds (docs/sweeps.md)."
)


def work() -> None:
    arguments = parse()
    comparison = Comparison.of(arguments.runs)
    file = target(arguments, comparison)
    console = Console(highlight=False, width=WIDEST, soft_wrap=True)
    for name, job in zip(comparison.names, comparison.jobs, strict=True):
        print(f"{name}: {job.directory}")
    console.print(options_table(comparison))
    rows = list(comparison.rows())
    reasons = list(dict.fromkeys(text for row in rows if (text := reason(row))))
    console.print(metrics_table(comparison, rows, reasons))
    for number, text in enumerate(reasons, start=1):
        print(f"  {number}) {text}")
    print(SINGLE)
    figure = draw(comparison, arguments.images, tools.folders(arguments))
    with tools.writing(file) as part:
        figure.savefig(part)
    print(file)


def parse() -> argparse.Namespace:
    parser = tools.plain_parser(__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="directories of finished runs, such as outputs/runs/two")
    tools.add_folder(parser)
    parser.add_argument("--to", type=Path, dest="file", help="the .png file to write")
    parser.add_argument("--force", action="store_true", help="overwrite the file that --to names")
    parser.add_argument("--images", type=int, default=12, help="how many test images and samples (default: 12)")
    arguments = parser.parse_args()
    if whole("--images", arguments.images) > 100:
        raise InputError(f"--images must be at most 100, got {arguments.images}")
    return arguments


def target(arguments: argparse.Namespace, comparison: Comparison) -> Path:
    """The file that ``--to`` names, else one for these runs, which the same command writes again."""
    if arguments.file is not None:
        return tools.target(arguments, SUFFIXES)
    name = directory_name([str(job.directory) for job in comparison.jobs])
    return Path("outputs") / "comparisons" / f"{name}.png"


def options_table(comparison: Comparison) -> Table | str:
    """The options in which the runs differ."""
    options = comparison.options()
    if not options:
        return "The runs have the same options."
    table = Table("option", *comparison.names, box=SIMPLE_HEAD)
    for name, values in options.items():
        table.add_row(name, *values)
    return table


def metrics_table(comparison: Comparison, rows: list[Row], reasons: list[str]) -> Table:
    """The metrics of the runs; a star marks the best of those that are comparable, a number says why others are not."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column("metric", no_wrap=True)
    for name in comparison.names:
        table.add_column(name, justify="right")
    for name in ("unit", "better", "comparable"):
        table.add_column(name)
    for row in rows:
        values = [f"{row.text(run)}{' *' if run == row.best else '  '}" for run in range(len(comparison.jobs))]
        note = f", {reasons.index(text) + 1})" if (text := reason(row)) else ""
        table.add_row(row.name, *values, row.metric.unit, row.metric.better, f"{'no' if row.why_not else 'yes'}{note}")
    return table


def reason(row: Row) -> str:
    """Why the values of a row are not comparable, or only with care; "" where they are."""
    if row.why_not:
        return f"not comparable: different {row.why_not}"
    return f"estimated differently ({row.caution}), which may explain a small difference" if row.caution else ""


def main() -> None:
    tools.main(work)
