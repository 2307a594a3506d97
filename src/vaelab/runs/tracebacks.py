"""The traceback of a bug, without the frames of Hydra and Lightning, and with the piece that it arose in."""

import itertools
import os
import sysconfig
import traceback
from pathlib import Path
from types import TracebackType

from torch import nn

import vaelab
from vaelab.models.contracts import Network, Objective, Piece, Schedule

FRAMEWORKS = ("hydra", "omegaconf", "lightning", "lightning_fabric", "pytorch_lightning", "lightning_utilities")
LAUNCHERS = ("joblib", "submitit", "ray", "hydra_plugins", "torch/distributed", "multiprocessing", "concurrent")
MODULE_CALLS = "torch/nn/modules/module.py"  # two frames for each call of a module
HIDDEN = (*(f"{name}/" for name in (*FRAMEWORKS, *LAUNCHERS)), MODULE_CALLS)
STANDARD_LIBRARY = f"{Path(sysconfig.get_path('stdlib')).as_posix()}/"
OWN = str(Path(vaelab.__file__).parent)
INSTALLED = ("/site-packages/", "/dist-packages/", STANDARD_LIBRARY)  # where libraries lie; the innermost first


def report_of(error: BaseException) -> str:
    """The traceback of a bug as it is shown: shortened, unless VAELAB_TRACEBACK=1 is set."""
    if os.environ.get("VAELAB_TRACEBACK"):
        return "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip()
    return shortened(error)


def shortened(error: BaseException) -> str:
    """The traceback of ``error`` as Python prints it, but for the frames of the frameworks, and the piece."""
    piece = piece_of(error.__traceback__)
    report = traceback.TracebackException.from_exception(error, compact=True)
    part: traceback.TracebackException | None = report
    while part is not None:
        kept = [frame for frame in part.stack if not _is_hidden(frame.filename)]
        if piece is not None and not piece.startswith("vaelab."):  # without the calls that lead to a user's own piece
            kept = list(itertools.dropwhile(lambda frame: frame.filename.startswith(OWN), kept)) or kept
        part.stack = traceback.StackSummary.from_list(kept or part.stack[-1:])
        part = part.__cause__ or (None if part.__suppress_context__ else part.__context__)
    lines = "".join(report.format()).rstrip()
    # Python 3.10 does not print notes.
    below = [note for note in getattr(error, "__notes__", ()) if note not in lines]
    if piece is not None:
        below.append(f"in the piece {piece}")
    return "\n".join([lines, *below])


def _is_hidden(filename: str) -> bool:
    path = filename.replace("\\", "/")
    for folder in INSTALLED:
        if folder in path:
            return path.rpartition(folder)[2].startswith(HIDDEN)
    return False


def piece_of(trace: TracebackType | None) -> str | None:
    """The innermost piece whose method was running: its class, with the module that defines it."""
    found = None
    while trace is not None:
        owner = trace.tb_frame.f_locals.get("self")
        if _is_piece(owner):
            found = f"{type(owner).__module__}.{type(owner).__qualname__}"
        trace = trace.tb_next
    return found


def _is_piece(owner: object) -> bool:
    """Whether ``owner`` is a piece of a model, or a module that a network is built of and no library has."""
    if isinstance(owner, (Piece, Objective, Schedule, Network)):
        return True
    return isinstance(owner, nn.Module) and type(owner).__module__.split(".")[0] not in ("torch", "lightning", "vaelab")
