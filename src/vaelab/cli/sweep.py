"""`vaelab sweep ...` is `python train.py -m ...`."""

import sys

from vaelab.cli import train
from vaelab.cli.overrides import MULTIRUN


def main() -> None:
    """Train every combination of the options in the arguments, then report them."""
    if not {"-h", "--help", *MULTIRUN} & set(sys.argv[1:]):
        sys.argv.append(MULTIRUN[0])
    train.main()
