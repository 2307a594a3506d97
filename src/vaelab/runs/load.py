"""Open a finished run again: its model with the weights that were tested, and its data."""

from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

import vaelab
from vaelab.data.datamodule import REMEDY, ImageDataModule
from vaelab.errors import InputError, one_line
from vaelab.runs.directory import BEST, COMPOSED, LAST
from vaelab.runs.migrate import migrate
from vaelab.runs.prepare import make_data, make_module
from vaelab.runs.results import read_results
from vaelab.training.checkpoints import read_checkpoint
from vaelab.training.module import VAEModule


def load_run(directory: Path, reads_data: bool = True) -> tuple[VAEModule, ImageDataModule]:
    """The module of a finished run, with the tested weights, in evaluation mode on the CPU, and its data module.

    **Arguments**
        reads_data: whether the images are read; without it they need not be there.

    **Raises**
        InputError: the run failed or is not finished, its files are damaged, or its data are missing.
    """
    results = read_results(directory)
    if results.get("status") != "completed":
        raise InputError(f"{directory} failed ({results.get('error')}), so it has no weights to look at")
    try:
        path = directory / (BEST if results["tested"]["checkpoint"] == "best" else LAST)
        weights = read_checkpoint(path)["state_dict"]
        config = migrate(OmegaConf.to_container(OmegaConf.load(directory / COMPOSED)))
        module, data = make_module(config), make_data(config)
        module.load_state_dict(weights)
    except (InputError, OSError, YAMLError, OmegaConfBaseException, LookupError, TypeError, RuntimeError) as error:
        # What is wrong here is a file of the run: damaged, or written by another version.
        made, here = results.get("versions", {}).get("vaelab"), vaelab.__version__
        whose = "" if made == here else f"was made by vaelab {made}, this is {here}: it "
        raise InputError(
            f"{directory} {whose}cannot be opened: its files do not describe a model with its weights "
            f"({type(error).__name__}: {one_line(error)[:200]})"
        ) from error
    if reads_data:
        _read_data(directory, data, results["data"])
    return module.eval(), data


def _read_data(directory: Path, data: ImageDataModule, there: dict) -> None:
    data.prepare_data()
    data.setup()
    here = data.describe()
    if there["name"] != here["name"] or there["binarize"] != here["binarize"]:
        raise InputError(
            f"{directory} is a run on {there['name']}, of which there is none here (but {here['name']}): {REMEDY}"
        )
