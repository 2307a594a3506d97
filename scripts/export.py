"""The command export: python scripts/export.py --help"""

import installed  # noqa: F401
from vaelab.cli.export import main

if __name__ == "__main__":
    main()
