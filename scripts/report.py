"""Tables and pictures of a sweep, or of several together: python scripts/report.py outputs/sweeps/X [outputs/sweeps/Y]

Also while it is still running, or after it was cut off; the end of a sweep does the same by itself.
"""

import argparse
from pathlib import Path

from vaelab.cli import tools
from vaelab.sweeps.report import report


def work() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweeps", type=Path, nargs="+", help="directories of sweeps, such as outputs/sweeps/latent")
    parser.add_argument("--to", type=Path, help="where to write; default: the sweep's directory, of several "
                        "outputs/reports/<their names>")  # fmt: skip
    parser.add_argument("--no-pictures", action="store_true", help="tables alone")
    arguments = parser.parse_args()
    to = arguments.to
    if to is None:
        names = "+".join(sorted(sweep.resolve().name for sweep in arguments.sweeps))
        several = Path("outputs") / "reports" / names.directory_name([names])
        to = arguments.sweeps[0] if len(arguments.sweeps) == 1 else several
    report(arguments.sweeps, to, pictures=not arguments.no_pictures)
    print((to / "sweep.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    tools.main(work)
