"""What the tools in scripts/ share: a finished run to work on, one line for what goes wrong, and progress."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from vaelab import hardware
from vaelab.checks import one_of
from vaelab.cli.messages import fail, print_bug
from vaelab.data import image_files
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError, VaelabError, describe_os_error, one_line
from vaelab.files import replacing
from vaelab.models.contracts import Model
from vaelab.runs.console import log_to_console
from vaelab.runs.load import load_run
from vaelab.training.module import VAEModule

log = logging.getLogger(__name__)


def parser(description: str, epilog: str = "", device: bool = True) -> argparse.ArgumentParser:
    """An argument parser that shows its texts as they are, with the run directory as the first argument."""
    made = argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("run", type=Path, help="the directory of a finished run, such as outputs/runs/two")
    if device:
        made.add_argument("--device", default="auto", help="cpu, cuda, mps or auto (default)")
    else:
        made.set_defaults(device="cpu")
    return made


def add_target(parser: argparse.ArgumentParser, kinds: tuple[str, ...]) -> None:
    """The file that the tool writes, as its second argument."""
    parser.add_argument("file", type=Path, help=f"to write: {', '.join(kinds)}")
    parser.add_argument("--force", action="store_true", help="also where the file exists")


def add_images(parser: argparse.ArgumentParser, name: str) -> None:
    """The user's own images, as the argument or option ``name``."""
    parser.add_argument(name, type=Path, nargs="+", help="image files, or folders of them")
    parser.add_argument("--invert", action="store_true", help="the images are dark on light")
    parser.add_argument("--label", type=int, help="of the images, which a conditional model has to be told")


def own_images(arguments: argparse.Namespace, paths: list[Path], model: Model) -> tuple[Tensor, Tensor]:
    """The images at ``paths``, uint8 ``(N, 1, H, W)``, and their labels ``(N,)``, as far as ``model`` wants any."""
    if model.classes is not None and arguments.label is None:
        raise InputError(f"this model has to be told what the images show: --label from 0 to {model.classes - 1}")
    shape = model.given(labels(model, 1, None)).decode(model.sample_latents(1)).event_shape
    images = image_files.read(paths, tuple(shape), arguments.invert)
    if image_files.look_inverted(images):
        log.warning(
            "the images are bright at their borders, where the training's are black: is --invert missing or amiss?"
        )
    return images, labels(model, len(images), arguments.label)


def target(arguments: argparse.Namespace, kinds: tuple[str, ...]) -> Path:
    """Where to write; an InputError where that is no such file, or one that would be lost."""
    path = arguments.file
    if path.suffix not in kinds:
        raise InputError(f"{path} must end in {', '.join(kinds)}")
    if path.exists() and not arguments.force:
        raise InputError(f"{path} exists already and was not touched; take another name, or --force")
    return path


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path``, which replaces ``path`` when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        yield part


def labels(model: Model, count: int, label: int | None) -> Tensor:
    """``count`` labels for a conditional model: ``label``, or one class after the other; without meaning to others."""
    device = next(model.parameters()).device
    if label is None:
        return torch.arange(count, device=device) % (model.classes or 1)
    if model.classes is None:
        raise InputError(f"--label {label}: this model knows no labels; leave it out, or take a run of model=cvae")
    if not 0 <= label < model.classes:
        raise InputError(f"--label must be from 0 to {model.classes - 1}, got {label}")
    return torch.full((count,), label, device=device)


def main(work: Callable[[], None]) -> None:
    """Do ``work``; a mistake of the user or the file system becomes one line and exit status 1."""
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


def open_run(arguments: argparse.Namespace, reads_data: bool = True) -> tuple[VAEModule, ImageDataModule]:
    """The model of the run that was named, on the device that was asked for, and its data, read or not."""
    experiment, data = load_run(arguments.run, reads_data)
    return experiment.to(device(arguments.device)), data


def device(name: str) -> torch.device:
    one_of("--device", name, ("auto", "cpu", "cuda", "mps"))
    wanted = {"cuda": "gpu"}.get(name, name)
    return torch.device(hardware.resolve(hardware.check_accelerator(wanted)))


def progress(items: Iterable, what: str) -> Iterable:
    """``items``, with a bar where there is a terminal."""
    return track(items, what, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
