"""Pictures of a sweep: a table of cells in, a matplotlib Figure out."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from torch import Tensor

from vaelab.plots.image_grids import GAP, sheet
from vaelab.plots.style import DPI, FONT, INK, TRAIN, VAL, canvas, chart, dress, fitted

BETWEEN_PANELS = 8  # image pixels
WIDE = 8  # an axis that spans so many times its least value is shown by its logarithm
LEAST_MOSAIC = 560  # pixels, for its title
WRITTEN = 150  # a heat map of more cells shows colours alone
ISO_LINES = 7
TITLES = {
    "elbo": "ELBO, nats",
    "rate": "rate, nats",
    "distortion": "distortion, nats",
    "nll": "-log p(x), nats",
    "mse": "squared error",
    "active_units": "active units: variance of the mean",
    "used_units": "used units: KL above 0.05 nats",
    "linear_kept": "units that a linear model keeps",
}


def plane(cells: pd.DataFrame, curves: str | None, along: str | None, on_front: pd.Series, title: str = "") -> Figure:
    """The rate-distortion plane: a curve for each value of ``curves`` through its values of ``along``.

    Dashed lines join what has the same ELBO; rings mark the Pareto front ``on_front``.
    Fixing a Broken ELBO (Alemi et al., 2018).
    """
    figure = chart(7.2, 5.6, title)
    axes = figure.add_subplot()
    groups = [("", cells)] if curves is None else list(cells.groupby(curves, sort=True))
    palette = colormaps["viridis"]
    named = len(groups) <= 12
    for position, (value, group) in enumerate(groups):
        line = group.sort_values(along) if along is not None else group
        colour = palette(0.88 * position / max(1, len(groups) - 1))  # its yellow end is not seen on white
        joined = "-" if _is_ordered(cells, along) and len(cells) <= 2_000 else ""
        axes.plot(
            line["rate"], line["distortion"], marker="o", markersize=4.5, linestyle=joined, linewidth=1.3, color=colour,
            label=f"{curves}={short(value)}" if curves is not None and named else None,
        )  # fmt: skip
        if along is not None and len(cells) <= 40:
            for end in {0, len(line) - 1}:
                axes.annotate(
                    short(line[along].iloc[end]), (line["rate"].iloc[end], line["distortion"].iloc[end]),
                    textcoords="offset points", xytext=(5, 4), fontsize=FONT - 3, color=colour,
                )  # fmt: skip
    best = cells[on_front].sort_values("rate")
    axes.plot(
        best["rate"], best["distortion"], marker="o", markersize=9, fillstyle="none", color=VAL, linewidth=0.8,
        linestyle=":", label="Pareto front",
    )  # fmt: skip
    dress(axes, "", "rate: KL(q(z|x) ‖ p(z)), nats per image", "distortion: -E log p(x|z), nats per image")
    _margins(axes, cells["rate"], cells["distortion"])
    _iso_elbo(axes)
    note = f"numbers at the ends of curves: {along}; " if along is not None and len(cells) <= 40 else ""
    axes.set_title(f"{note}dashed: the same ELBO", fontsize=FONT - 2, color=INK, loc="left")
    axes.legend(frameon=False, fontsize=FONT - 1, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _margins(axes: Axes, x: pd.Series, y: pd.Series) -> None:
    for values, limit in ((x, axes.set_xlim), (y, axes.set_ylim)):
        low, high = float(values.min()), float(values.max())
        margin = 0.08 * (high - low) or 1.0
        limit(low - margin, high + margin)


def _iso_elbo(axes: Axes) -> None:
    """Lines on which rate + distortion, which is -ELBO, is the same; each says its ELBO where it leaves the picture."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for level in MaxNLocator(ISO_LINES).tick_values(left + bottom, right + top):
        x = np.array([left, right])
        axes.plot(x, level - x, linestyle="--", linewidth=0.7, color="#999999", zorder=0)
        start = max(left, level - top)
        if start < right and bottom < level - start:
            axes.annotate(
                f"{-level:g}", (start, level - start), textcoords="offset points", xytext=(3, -9),
                fontsize=FONT - 3, color="#777777", annotation_clip=True,
            )  # fmt: skip
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)


def heat_maps(cells: pd.DataFrame, rows: str | None, columns: str, figures: Sequence[str], title: str = "") -> Figure:
    """A panel for each of ``figures``: a map over ``rows`` and ``columns``, or a line over the one axis there is."""
    shown = [name for name in figures if name in cells and cells[name].notna().any()]
    across = 4 if len(shown) > 6 else 3
    down = -(-len(shown) // across)
    if rows is None:
        figure = chart(3.4 * across, 2.7 * down + 0.4, title)
        for position, name in enumerate(shown, start=1):
            axes = figure.add_subplot(down, across, position)
            line = cells.sort_values(columns)
            at = range(len(line))
            axes.errorbar(
                at, line[name], yerr=line.get(f"{name}_sd"), marker="o", markersize=4, capsize=2, color=VAL,
                linestyle="-" if _is_ordered(cells, columns) else "",
            )  # fmt: skip
            _ticks(axes.set_xticks, list(at), [short(value) for value in line[columns]])
            dress(axes, TITLES[name], columns, "")
        return figure
    table = cells.set_index([rows, columns])
    grids = {name: table[name].unstack(columns).sort_index() for name in shown}
    height, width = next(iter(grids.values())).shape
    figure = chart(
        max(2.9 * across, min(16.0, across * (1.1 + 0.55 * width))), down * min(6.0, 1.1 + 0.33 * height) + 0.4, title
    )
    for position, name in enumerate(shown, start=1):
        axes = figure.add_subplot(down, across, position)
        values = grids[name].to_numpy(dtype=float)
        image = axes.imshow(values, cmap="viridis", aspect="auto", interpolation="nearest")
        _ticks(axes.set_xticks, range(width), [short(value) for value in grids[name].columns])
        _ticks(axes.set_yticks, range(height), [short(value) for value in grids[name].index])
        dress(axes, TITLES[name], columns, rows)
        axes.grid(visible=False)
        if width * height <= WRITTEN:
            _write_values(axes, values, "{:.1f}" if np.nanmax(np.abs(values)) < 1000 else "{:.0f}")
        else:
            figure.colorbar(image, ax=axes).ax.tick_params(labelsize=FONT - 3)
    return figure


def scatter(cells: pd.DataFrame, axes: Sequence[str], figure: str, title: str = "") -> Figure:
    """What became of ``figure`` for each value of each of ``axes``, whatever the others were: a search's picture."""
    made = chart(3.6 * len(axes), 3.3, title)
    for position, axis in enumerate(axes, start=1):
        panel = made.add_subplot(1, len(axes), position)
        panel.plot(cells[axis], cells[figure], marker="o", markersize=4, linestyle="", color=TRAIN, alpha=0.7)
        panel.plot(cells[axis].iloc[:1], cells[figure].iloc[:1], marker="o", markersize=10, fillstyle="none", color=VAL)
        dress(panel, "the best in a ring" if position == 1 else "", axis, TITLES[figure] if position == 1 else "")
        if pd.api.types.is_numeric_dtype(cells[axis]):
            low, high = float(cells[axis].min()), float(cells[axis].max())
            if low > 0 and high > WIDE * low:
                panel.set_xscale("log")
                panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
                panel.xaxis.set_major_formatter("{x:g}")
                panel.xaxis.set_minor_locator(NullLocator())
    return made


def _is_ordered(cells: pd.DataFrame, axis: str | None) -> bool:
    """Whether a line between two values of ``axis`` means anything: there is nothing between two networks."""
    return axis is not None and pd.api.types.is_numeric_dtype(cells[axis])


def _write_values(axes: Axes, values: np.ndarray, form: str) -> None:
    low, high = np.nanmin(values), np.nanmax(values)
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            bright = high > low and (value - low) / (high - low) > 0.55
            axes.text(
                column, row, form.format(value), ha="center", va="center", fontsize=FONT - 3,
                color="black" if bright else "white",
            )  # fmt: skip


def _ticks(place: object, positions: Sequence[int], names: Sequence[str]) -> None:
    """At most a dozen of them, evenly."""
    step = -(-len(names) // 12)
    place(list(positions)[::step], list(names)[::step])


def short(value: object) -> str:
    """``value`` as it fits beside a tick."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 18 else text[:17] + "…"


def panels_of_images(
    originals: Tensor,
    panels: Sequence[Sequence[tuple[Tensor, Tensor] | None]],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str = "",
    scale: int = 2,
) -> Figure:
    """The same images by many models: a panel for each, reconstructions above samples, the originals in the corner.

    Args:
        originals: ``(N, 1, H, W)``.
        panels: by row and column ``(reconstructions, samples)``, each ``(N, 1, H, W)``; None where there is no model.
        rows: what stands beside each row.
        columns: what stands above each column.
        scale: screen pixels per image pixel.
    """
    across = -(-len(originals) // 2)
    height = 2 * sheet(originals, across).shape[0] - GAP
    width = sheet(originals, across).shape[1]
    page = np.ones((len(panels) * (height + BETWEEN_PANELS), len(panels[0]) * (width + BETWEEN_PANELS)), np.float32)
    for row, line in enumerate(panels):
        for column, panel in enumerate(line):
            if panel is not None:
                upper, lower = (sheet(images, across) for images in panel)
                top, left = row * (height + BETWEEN_PANELS), column * (width + BETWEEN_PANELS)
                page[top : top + height, left : left + width] = np.concatenate([upper, lower[GAP:]])
    side = max(scale * width + 16, 8 + 8 * max(map(len, rows)))
    head = 34 + scale * (height // 2 + BETWEEN_PANELS)
    wide, high = max(side + scale * page.shape[1], LEAST_MOSAIC), head + scale * page.shape[0]
    figure = canvas(wide, high)
    _place(figure, page, side, head, scale)
    _place(figure, sheet(originals, across), 8, 34, scale)
    shortened, size = fitted(title, wide - 12)
    figure.text(6 / wide, 1 - 17 / high, shortened, fontsize=size, color=INK, va="center")
    for index, name in enumerate(columns):
        middle = side + scale * (index * (width + BETWEEN_PANELS) + width / 2)
        figure.text(middle / wide, 1 - (head - 10) / high, name, fontsize=FONT, color=INK, ha="center", va="center")
    for index, name in enumerate(rows):
        middle = head + scale * (index * (height + BETWEEN_PANELS) + height / 2)
        figure.text((side - 8) / wide, 1 - middle / high, name, fontsize=FONT, color=INK, ha="right", va="center")
    return figure


def _place(figure: Figure, page: np.ndarray, left: int, top: int, scale: int) -> None:
    wide, high = (side * DPI for side in figure.get_size_inches())
    height, width = (scale * side for side in page.shape)
    axes = figure.add_axes((left / wide, 1 - (top + height) / high, width / wide, height / high), frameon=False)
    axes.imshow(page, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
