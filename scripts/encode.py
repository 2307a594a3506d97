"""The command encode: python scripts/encode.py --help"""

from vaelab.cli.encode import main

if __name__ == "__main__":
    main()
