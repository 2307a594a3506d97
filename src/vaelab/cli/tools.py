"""What the commands share: arguments, a finished run to work on, the file to write, errors and progress."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from vaelab import collector, hardware
from vaelab.cli.messages import fail, print_bug
from vaelab.commands import as_typed
from vaelab.data import image_files
from vaelab.errors import InputError, VaelabError, describe_os_error, one_line
from vaelab.files import replacing
from vaelab.progress import progress as progress  # for the scripts
from vaelab.runs.console import log_to_console
from vaelab.runs.extensions import is_installed
from vaelab.runs.finished import FinishedRun, load
from vaelab.runs.inputs import label_tensor


def main(work: Callable[[], None]) -> None:
    """Call ``work``; an error ends the script with exit status 1, with one line or, for a bug, with its traceback."""
    collector.begin_command()
    log_to_console()
    try:
        work()
    except VaelabError as error:
        fail(one_line(error))
    except OSError as error:
        fail(describe_os_error(error))
    except KeyboardInterrupt:
        fail("interrupted")
    except Exception as error:
        print_bug(error)
        sys.exit(1)


def plain_parser(description: str | None, epilog: str = "") -> argparse.ArgumentParser:
    """An argument parser that shows its texts with their line breaks."""
    return argparse.ArgumentParser(
        description=as_typed(description or ""), epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def parser(
    description: str | None, epilog: str = "", device: bool = True, beta: bool = True
) -> argparse.ArgumentParser:
    """An argument parser whose first argument is a run's directory."""
    made = plain_parser(description, epilog)
    made.add_argument("run", type=Path, help="the directory of a finished run, such as outputs/runs/two")
    add_folder(made)
    if beta:
        made.add_argument("--beta", type=float, help="of a model for a range of beta: which one (default: 1)")
    else:
        made.set_defaults(beta=None)
    if device:
        made.add_argument("--device", default="auto", help="cpu, cuda, mps or auto (default)")
    else:
        made.set_defaults(device="cpu")
    return made


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Add the folder of the user's own pieces."""
    parser.add_argument(
        "--config-dir", type=Path, metavar="FOLDER",
        help="where your own pieces are now; default: where they were when the run was trained",
    )  # fmt: skip


def folders(arguments: argparse.Namespace) -> tuple[Path, ...]:
    """The folder of own pieces that the arguments name, if they name one.

    **Raises**
        InputError: there is no such folder.
    """
    folder = arguments.config_dir
    if folder is not None and not folder.is_dir():
        raise InputError(f"--config-dir {folder}: there is no such folder; without pieces of your own leave it out")
    return () if folder is None else (folder.absolute(),)


def add_target(parser: argparse.ArgumentParser, suffixes: tuple[str, ...]) -> None:
    """Add the file that the script writes, as its second argument."""
    parser.add_argument("file", type=Path, help=f"the file to write: {', '.join(suffixes)}")
    parser.add_argument("--force", action="store_true", help="overwrite the file")


def add_images(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the user's own images, as the argument or option ``name``."""
    parser.add_argument(name, type=Path, nargs="+", help="image files, or folders of them")
    add_image_options(parser)


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--invert`` and ``--label``, which describe the user's own images."""
    parser.add_argument("--invert", action="store_true", help="the images are dark on a bright background")
    parser.add_argument("--label", type=int, help="the class of all images, for a conditional model")


def open_run(arguments: argparse.Namespace) -> FinishedRun:
    """The run in the arguments, on the device and at the beta in the arguments."""
    run = load(arguments.run, hardware.find_device(arguments.device, "--device "), *folders(arguments))
    return run if arguments.beta is None else run.at(arguments.beta)


def label(run: FinishedRun, label: int | None) -> int | None:
    """The label that ``--label`` gives; an InputError where the model has no such label."""
    if label is not None:
        label_tensor(label, 1, run.classes, "--label ")
    return label


def own_images(arguments: argparse.Namespace, paths: list[Path], run: FinishedRun) -> tuple[Tensor, int | None]:
    """The images at ``paths``, uint8 ``(N, C, H, W)``, and their label, for a model that is conditioned on labels."""
    given = label(run, arguments.label)
    if run.classes is not None and given is None:
        raise InputError(
            f"this model is conditioned on labels: name the images' class with --label, 0 to {run.classes - 1}"
        )
    return image_files.read(paths, run.shape, arguments.invert), given


def target(arguments: argparse.Namespace, suffixes: tuple[str, ...]) -> Path:
    """The file to write.

    **Raises**
        InputError: its name has another suffix, or it exists and ``--force`` is missing.
    """
    path = arguments.file
    if path.suffix not in suffixes:
        raise InputError(f"{path} must end in {', '.join(suffixes)}")
    if path.exists() and not arguments.force:
        raise InputError(f"{path} exists already and was not touched; take another name, or --force")
    if path.suffix == ".parquet":
        require(str(path), "pyarrow", instead=f", or take {suffixes[0]}")
    return path


def require(what: str, *packages: str, instead: str = "") -> None:
    """Raise an InputError where ``what`` needs packages that are not installed; ``instead`` ends its line."""
    missing = [package for package in packages if not is_installed(package)]
    if missing:
        raise InputError(
            f"{what} needs {', '.join(packages)}, and there is no {', '.join(missing)} here: "
            f"pip install {' '.join(missing)}{instead}"
        )


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path``, which replaces ``path`` when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        yield part
