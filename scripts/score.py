"""The command score: python scripts/score.py --help"""

import installed  # noqa: F401
from vaelab.cli.score import main

if __name__ == "__main__":
    main()
