"""The command explore: python scripts/explore.py --help"""

import installed  # noqa: F401
from vaelab.cli.explore import main

if __name__ == "__main__":
    main()
