"""The command report: python scripts/report.py --help"""

from vaelab.cli.report import main

if __name__ == "__main__":
    main()
