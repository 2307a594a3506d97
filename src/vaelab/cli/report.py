"""Tables and plots of a sweep, or of several together: python scripts/report.py outputs/sweeps/X [outputs/sweeps/Y]

A sweep writes its report when it ends. This command writes it again, also while the sweep runs or after it was cut off.
"""

from pathlib import Path

from vaelab.cli import tools
from vaelab.sweeps.names import directory_name
from vaelab.sweeps.report import report


def work() -> None:
    parser = tools.plain_parser(__doc__)
    parser.add_argument("sweeps", type=Path, nargs="+", help="directories of sweeps, such as outputs/sweeps/latent")
    parser.add_argument("--to", type=Path, help="where to write; default: the sweep's directory, or for several "
                        "sweeps outputs/reports/<their names>")  # fmt: skip
    parser.add_argument("--no-pictures", action="store_true", help="write the tables only")
    tools.add_folder(parser)
    arguments = parser.parse_args()
    to = arguments.to or default_directory(arguments.sweeps)
    report(arguments.sweeps, to, with_plots=not arguments.no_pictures, folders=tools.folders(arguments))
    print((to / "sweep.md").read_text(encoding="utf-8"))


def default_directory(sweeps: list[Path]) -> Path:
    """The directory of a single sweep, else one in outputs/reports that is named after all of them."""
    if len(sweeps) == 1:
        return sweeps[0]
    together = "+".join(sorted(sweep.resolve().name for sweep in sweeps))
    return Path("outputs") / "reports" / directory_name([together])


def main() -> None:
    tools.main(work)
