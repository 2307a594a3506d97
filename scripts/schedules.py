"""A plot of every schedule of β in conf/beta, with its default options, for the documentation.

python scripts/schedules.py docs/schedules.png
"""

import argparse
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import OmegaConf

from vaelab.plots import training_curves

CONF = Path(__file__).resolve().parents[1] / "conf" / "beta"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="the image file to write")
    file = parser.parse_args().file
    betas = {path.stem: instantiate(OmegaConf.load(path)) for path in sorted(CONF.glob("*.yaml"))}
    training_curves.schedules(betas).savefig(file)


if __name__ == "__main__":
    main()
