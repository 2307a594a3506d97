"""Train, test and plot one model, or a sweep of them: `python train.py --help` shows the command line."""

import sys

try:
    from vaelab.cli.train import main
except ModuleNotFoundError as error:
    if error.name != "vaelab":
        raise
    sys.exit(
        f"error: {sys.executable} has no vaelab: make env, then . .venv/bin/activate; or pip install . for this Python"
    )

if __name__ == "__main__":
    main()
