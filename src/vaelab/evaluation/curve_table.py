"""The curve of a multi-rate model as a table, a row for each β."""

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from vaelab.evaluation.metrics import METRICS

COLUMNS = ("elbo", "rate", "distortion", "nll", "active_units", "mse")


def curve_table(points: Sequence[Mapping[str, float]]) -> Table:
    """The table of the ``points`` that the part ``curve`` of an evaluation holds."""
    title = "rate-distortion curve: one training, a row for each beta; elbo is at beta = 1"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("beta", "distortion\n+ beta rate", *COLUMNS):
        table.add_column(name.replace("_", "\n"), justify="right", no_wrap=True)
    for point in points:
        table.add_row(f"{point['beta']:.4g}", f"{bound_at(point):.3f}", *(_text(point, name) for name in COLUMNS))
    return table


def bound_at(point: Mapping[str, float]) -> float:
    """distortion + β rate, which the training minimised at the β of the point."""
    return point["distortion"] + point["beta"] * point["rate"]


def _text(point: Mapping[str, float], name: str) -> str:
    if name not in point:
        return ""
    value, error = point[name], point.get(f"{name}_stderr")
    shown = str(value) if isinstance(value, int) else f"{value:.{METRICS[name].digits}f}"
    return shown if error is None else f"{shown} ± {error:.{METRICS[name].digits}f}"
