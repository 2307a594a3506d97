"""The command reconstruct: python scripts/reconstruct.py --help"""

from vaelab.cli.reconstruct import main

if __name__ == "__main__":
    main()
