"""The command score: python scripts/score.py --help"""

from vaelab.cli.score import main

if __name__ == "__main__":
    main()
