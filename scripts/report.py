"""The command report: python scripts/report.py --help"""

import installed  # noqa: F401
from vaelab.cli.report import main

if __name__ == "__main__":
    main()
