"""Open a finished run again: its model with the weights that were tested, and its data."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

import vaelab
from vaelab import own
from vaelab.data.datamodule import REMEDY, ImageDataModule
from vaelab.errors import InputError, MissingPiece, one_line
from vaelab.runs.directory import BEST, COMPOSED, LAST, folders_of
from vaelab.runs.migrate import migrate
from vaelab.runs.options import flatten, read_config
from vaelab.runs.prepare import make_data, make_module
from vaelab.runs.results import read_results
from vaelab.training.checkpoints import read_checkpoint
from vaelab.training.module import VAEModule

SECTIONS = ("model", "loss", "beta", "optimizer", "lr", "data", "evaluation", "seed")  # that a run is made of


def load_run(
    directory: Path, reads_data: bool = True, folders: Sequence[Path] = ()
) -> tuple[VAEModule, ImageDataModule]:
    """The module of a finished run, with the tested weights, in evaluation mode on the CPU, and its data module.

    **Arguments**
        reads_data: whether the images are read; without it they need not be there.
        folders: where the user's own pieces are now; empty for where they were when the run was trained.

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
    use_pieces(directory, folders)
    with _explaining(directory, results):
        module, data = make_module(config), make_data(config)
    with _explaining(directory, results, RuntimeError):  # torch's, where the weights are of another model
        module.load_state_dict(weights)
    if reads_data:
        read_images(directory, data, there)
    return module.eval(), data


def use_pieces(directory: Path, folders: Sequence[Path] = ()) -> None:
    """Let Python find the user's own pieces of the run in ``directory``, in ``folders`` or where they were.

    **Raises**
        InputError: those folders are gone.
    """
    before = folders_of(directory)
    if gone := [] if folders else [folder for folder in before if not folder.is_dir()]:
        needed = ", ".join(f"{module}.py" for module in _own_modules(directory)) or "its pieces"
        raise InputError(
            f"{directory} has pieces of its own, {needed}, which were in {gone[0]}, and that folder is gone: bring it "
            "back, or name the folder where they are now with --config-dir FOLDER"
        )
    if found := folders or before:
        own.use(found)


def _own_modules(directory: Path) -> list[str]:
    """The modules that the classes of the run in ``directory`` are in, but for those that are installed."""
    options = flatten(read_config(directory / COMPOSED))
    targets = (str(value) for name, value in options.items() if name.rpartition(".")[2] == "_target_")
    return sorted({top for target in targets if (top := target.partition(".")[0]) not in ("vaelab", "torch")})


@contextmanager
def _explaining(directory: Path, results: dict, *errors: type[Exception]) -> Iterator[None]:
    """Turn ``errors`` in the block, from a damaged file or one of another version, into an InputError of one line."""
    caught: tuple[type[Exception], ...] = (InputError, *errors)
    try:
        yield
    except MissingPiece as error:
        raise InputError(f"{directory} cannot be opened: {error}") from error
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
            f"{directory} was trained on {there['name']}, which is not here (only {here['name']}): {REMEDY}"
        )
    if there.get("content") != here.get("content"):
        raise InputError(
            f"{directory} was trained on other images of {there['name']} than those found now (content "
            f"{there.get('content')} then, {here.get('content')} now): restore its images, or train again"
        )
