"""The command evaluate: python scripts/evaluate.py --help"""

from vaelab.cli.evaluate import main

if __name__ == "__main__":
    main()
