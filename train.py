"""Train, test and plot one model, or a sweep of them: `python train.py --help` shows the command line."""

from vaelab.cli.train import main

if __name__ == "__main__":
    main()
