"""The traceback of a bug, without the frames of Hydra and Lightning, and with the piece that it arose in."""

import traceback
from types import TracebackType

from vaelab.models.contracts import Network, Objective, Piece, Schedule

FRAMEWORKS = ("hydra", "omegaconf", "lightning", "lightning_fabric", "pytorch_lightning", "lightning_utilities")
LAUNCHERS = ("joblib", "submitit", "ray", "hydra_plugins", "torch/distributed", "multiprocessing", "concurrent")
HIDDEN = tuple(f"/{name}/" for name in (*FRAMEWORKS, *LAUNCHERS))


def shortened(error: BaseException) -> str:
    """The traceback of ``error`` as Python prints it, but for the frames of the frameworks."""
    report = traceback.TracebackException.from_exception(error, compact=True)
    part: traceback.TracebackException | None = report
    while part is not None:
        kept = [frame for frame in part.stack if not _is_hidden(frame.filename)]
        part.stack = traceback.StackSummary.from_list(kept or part.stack[-1:])
        part = part.__cause__ or (None if part.__suppress_context__ else part.__context__)
    lines = "".join(report.format()).rstrip()
    notes = list(getattr(error, "__notes__", ()))
    if notes:
        return lines if notes[0] in lines else "\n".join([lines, *notes])  # Python 3.10 does not print notes
    piece = piece_of(error.__traceback__)
    return lines if piece is None else f"{lines}\nin the piece {piece}"


def _is_hidden(filename: str) -> bool:
    path = filename.replace("\\", "/")
    return "/vaelab/" not in path.rpartition("site-packages")[2] and any(name in path for name in HIDDEN)


def piece_of(trace: TracebackType | None) -> str | None:
    """The innermost piece whose method was running: its class, and where that is defined."""
    found = None
    while trace is not None:
        owner = trace.tb_frame.f_locals.get("self")
        if isinstance(owner, (Piece, Objective, Schedule, Network)):
            found = f"{type(owner).__module__}.{type(owner).__qualname__}"
        trace = trace.tb_next
    return found
