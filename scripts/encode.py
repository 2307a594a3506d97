"""The command encode: python scripts/encode.py --help"""

import installed  # noqa: F401
from vaelab.cli.encode import main

if __name__ == "__main__":
    main()
