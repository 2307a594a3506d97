"""The command evaluate: python scripts/evaluate.py --help"""

import installed  # noqa: F401
from vaelab.cli.evaluate import main

if __name__ == "__main__":
    main()
