"""style."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 100
FONT, LEAST_FONT = 10, 6.5
INK = "#222222"
TRAIN, VAL = "#4878a8", "#d1603d"


def canvas(width: float, height: float) -> Figure:
    """An empty figure of so many screen pixels."""
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def chart(width: float, height: float, title: str = "") -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        title, size = fitted(title, width * DPI - 12)
        figure.suptitle(title, fontsize=size, color=INK, x=0.01, ha="left")
    return figure


def fitted(title: str, width: float) -> tuple[str, float]:
    """``title``, shortened if need be, and its size for ``width`` pixels: not smaller than one can read."""
    per_point = 0.62 * DPI / 72  # pixels that a letter is wide
    longest = max(2, int(width / (per_point * LEAST_FONT)))
    if len(title) > longest:
        title = title[: longest - 1] + "…"
    return title, min(FONT, width / (per_point * max(1, len(title))))


def dress(axes: Axes, title: str, x: str, y: str) -> None:
    """The one look of all charts."""
    axes.set_title(title, fontsize=FONT, color=INK, loc="left")
    axes.set_xlabel(x, fontsize=FONT - 1)
    axes.set_ylabel(y, fontsize=FONT - 1)
    axes.tick_params(labelsize=FONT - 2)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def pixels(figure: Figure) -> np.ndarray:
    """The figure as uint8 ``(H, W, 3)``, as TensorBoard takes it."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
