"""The command sample: python scripts/sample.py --help"""

import installed  # noqa: F401
from vaelab.cli.sample import main

if __name__ == "__main__":
    main()
