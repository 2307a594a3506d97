"""The command reconstruct: python scripts/reconstruct.py --help"""

import installed  # noqa: F401
from vaelab.cli.reconstruct import main

if __name__ == "__main__":
    main()
