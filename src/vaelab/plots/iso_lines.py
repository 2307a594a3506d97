"""Lines of equal ELBO in a plane of rate and distortion."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from vaelab.plots.style import FONT

ISO_LINES = 7
LINE, TEXT = "#999999", "#777777"
SHORTEST = 0.1  # of a line with a label, as a share of the plot's width


def iso_elbo(axes: Axes) -> None:
    """Lines of equal rate + distortion, which is -ELBO, with the ELBO at the end where they leave the plot."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for level in MaxNLocator(ISO_LINES).tick_values(left + bottom, right + top):
        x = np.array([left, right])
        axes.plot(x, level - x, linestyle="--", linewidth=0.7, color=LINE, zorder=0)
        start, end = max(left, level - top), min(right, level - bottom)
        if end - start > SHORTEST * (right - left):
            axes.annotate(
                f"{-level:g}", (start, level - start), textcoords="offset points", xytext=(5, -12),
                fontsize=FONT - 3, color=TEXT, zorder=0.5, bbox={"color": "white", "pad": 0.8},
            )  # fmt: skip
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)


def margins(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Limits of ``axes`` somewhat beyond the values ``x`` and ``y``."""
    for values, limit in ((x, axes.set_xlim), (y, axes.set_ylim)):
        low, high = float(values.min()), float(values.max())
        margin = 0.08 * (high - low) or 1.0
        limit(low - margin, high + margin)
