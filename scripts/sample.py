"""The command sample: python scripts/sample.py --help"""

from vaelab.cli.sample import main

if __name__ == "__main__":
    main()
