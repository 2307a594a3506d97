"""The command compare: python scripts/compare.py --help"""

import installed  # noqa: F401
from vaelab.cli.compare import main

if __name__ == "__main__":
    main()
