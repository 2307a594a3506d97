"""The commands, and how they are typed: ``vaelab train``, or in a checkout ``python train.py``."""

import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from vaelab.files import IS_CHECKOUT, PROJECT

NAME = "vaelab"
# Each command is the function ``main`` of the module vaelab.cli.<name>.
COMMANDS: Mapping[str, str] = {
    "train": "train, test, evaluate and plot a model",
    "sweep": "train every combination of options, and report them",
    "evaluate": "evaluate a finished run further",
    "sample": "draw images from a run's prior",
    "encode": "posterior means and standard deviations of images",
    "reconstruct": "your own images beside their reconstructions",
    "score": "ELBO and -log p(x) of each image",
    "compare": "options and metrics of finished runs side by side",
    "report": "tables and plots of one or several sweeps",
    "explore": "a page in the browser to explore runs and sweeps",
    "export": "encoder and decoder as ONNX files",
}
OF_CHECKOUT = {"train": "train.py", "sweep": "train.py -m"}  # the others are scripts
TYPED = re.compile(r"python (train\.py -m|train\.py|scripts/(\w+)\.py)")


def typed(command: str) -> str:
    """``command`` as the user types it: by its file in a checkout, unless the installed command was used.

    The file has the folder before it that the running command has: ``python ../vaelab/train.py``.

    >>> typed("sweep"), typed("evaluate")
    ('python train.py -m', 'python scripts/evaluate.py')
    """
    if not IS_CHECKOUT or Path(sys.argv[0]).name.startswith(NAME):
        return f"{NAME} {command}"
    return f"python {_folder_of_checkout()}{OF_CHECKOUT.get(command, f'scripts/{command}.py')}"


def _folder_of_checkout() -> str:
    """The checkout's folder, relative to where the running command was typed: ``../vaelab/``, or nothing in it."""
    script = Path(sys.argv[0])
    home = script.resolve().parent
    if home == PROJECT:
        folder = script.parent
    elif home == PROJECT / "scripts":
        folder = script.parent.parent if script.parent.name == "scripts" else script.parent / ".."
    else:
        return ""
    return "" if folder == Path() else f"{shlex.quote(str(folder))}/"


def as_typed(text: str) -> str:
    """``text``, in which commands are written as in a checkout, with each as the user types it."""
    return TYPED.sub(_retyped, text)


def _retyped(found: re.Match[str]) -> str:
    command = {"train.py -m": "sweep", "train.py": "train"}.get(found[1], found[2])
    return typed(command) if command in COMMANDS else found[0]
