"""Open a finished run again: its model with the weights that were tested, and its data."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

import vaelab
from vaelab.data.datamodule import REMEDY, ImageDataModule
from vaelab.errors import InputError, one_line
from vaelab.runs.directory import BEST, COMPOSED, LAST
from vaelab.runs.migrate import migrate
from vaelab.runs.options import read_config
from vaelab.runs.prepare import make_data, make_module
from vaelab.runs.results import read_results
from vaelab.training.checkpoints import read_checkpoint
from vaelab.training.module import VAEModule

SECTIONS = ("model", "loss", "beta", "optimizer", "lr", "data", "evaluation", "seed")  # that a run is made of


def load_run(directory: Path, reads_data: bool = True) -> tuple[VAEModule, ImageDataModule]:
    """The module of a finished run, with the tested weights, in evaluation mode on the CPU, and its data module.

    **Arguments**
        reads_data: whether the images are read; without it they need not be there.

    **Raises**
        InputError: the run failed or is not finished, its files are damaged, or its data are missing.
    """
    if directory.is_file():
        run = directory.parent.parent if directory.suffix == ".ckpt" else directory.parent
        raise InputError(f"{directory} is a file: name the run's directory, {run}")
    results = read_results(directory)
    if results.get("status") != "completed":
        raise InputError(f"{directory} failed ({results.get('error')}), so it has no weights to look at")
    with _explaining(directory, results, OSError, YAMLError, OmegaConfBaseException, LookupError):
        path = directory / (BEST if results["tested"]["checkpoint"] == "best" else LAST)
        weights = read_checkpoint(path)["state_dict"]
        config = _read_composition(directory / COMPOSED)
        there = results["data"]
    with _explaining(directory, results):
        module, data = make_module(config), make_data(config)
    with _explaining(directory, results, RuntimeError):  # torch's, where the weights are of another model
        module.load_state_dict(weights)
    if reads_data:
        read_images(directory, data, there)
    return module.eval(), data


@contextmanager
def _explaining(directory: Path, results: dict, *errors: type[Exception]) -> Iterator[None]:
    """What is wrong with a file of the run, which is damaged or of another version, as one line."""
    caught: tuple[type[Exception], ...] = (InputError, *errors)
    try:
        yield
    except caught as error:
        made, here = results.get("versions", {}).get("vaelab"), vaelab.__version__
        whose = "" if made == here else f"was made by vaelab {made}, this is {here}: it "
        raise InputError(
            f"{directory} {whose}cannot be opened: its files do not describe a model with its weights "
            f"({type(error).__name__}: {one_line(error)[:200]})"
        ) from error


def _read_composition(path: Path) -> dict:
    """The configuration of a run, of today's or an older version."""
    config = migrate(read_config(path))
    if missing := [name for name in SECTIONS if name not in config]:
        raise InputError(f"{path} lacks {', '.join(missing)}")
    return config


def read_images(directory: Path, data: ImageDataModule, there: dict) -> None:
    """Read the images of the run in ``directory``.

    **Arguments**
        there: the section ``data`` of its results.json.

    **Raises**
        InputError: they are missing, or others than those that the run was tested on.
    """
    data.prepare_data()
    data.setup()
    here = data.describe()
    if there["name"] != here["name"] or there["binarize"] != here["binarize"]:
        raise InputError(
            f"{directory} is a run on {there['name']}, of which there is none here (but {here['name']}): {REMEDY}"
        )
    if there.get("content") != here.get("content"):
        raise InputError(
            f"{directory} is a run on other images of {there['name']} than those that are there now (content "
            f"{there.get('content')} then, {here.get('content')} now): give back its images, or train anew"
        )
