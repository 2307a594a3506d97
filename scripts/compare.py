"""The command compare: python scripts/compare.py --help"""

from vaelab.cli.compare import main

if __name__ == "__main__":
    main()
