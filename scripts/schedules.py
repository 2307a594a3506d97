"""docs/schedules.png: every schedule of β in conf/beta, with the options that stand there.

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
    parser.add_argument("picture", type=Path, help="the file to write")
    picture = parser.parse_args().picture
    betas = {path.stem: instantiate(OmegaConf.load(path)) for path in sorted(CONF.glob("*.yaml"))}
    training_curves.schedules(betas).savefig(picture)


if __name__ == "__main__":
    main()
