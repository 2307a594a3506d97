"""The command export: python scripts/export.py --help"""

from vaelab.cli.export import main

if __name__ == "__main__":
    main()
