"""The command explore: python scripts/explore.py --help"""

from vaelab.cli.explore import main

if __name__ == "__main__":
    main()
