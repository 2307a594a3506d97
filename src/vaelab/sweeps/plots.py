"""The plots of a sweep: a table of configurations in, a matplotlib figure out."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator, NullLocator

from vaelab.evaluation.metrics import CATALOGUE
from vaelab.plots.iso_lines import iso_elbo, margins
from vaelab.plots.style import DPI, FONT, INK, TRAIN, VAL, chart, dress
from vaelab.sweeps.jobs import as_text

LETTER = 0.58 * FONT * DPI / 72  # pixels that a letter of a title is wide, rather more than less
LINE = 0.19  # inches of a line of a title
LABEL = 18  # letters in a line of a label
MEANING = 52  # letters in a line below a panel's title
MOST_TICKS = 12
MOST_CURVES = 12  # named in the legend
MOST_POINTS = 40  # of a plane whose curves carry the values at their ends
MOST_JOINED = 2_000
WIDE = 8  # an axis whose largest value is so many times its smallest has a logarithmic scale
MOST_VALUES = 150  # written into a heat map; a larger one has a colour bar instead
BETTER, NEUTRAL = "viridis", "Greys"  # colour maps; the bright end of the first is better
GREY = "#777777"


def wrap(text: str, letters: float) -> str:
    """``text`` in lines of at most so many letters, broken at spaces and after punctuation where there is any."""
    lines = [""]
    for word in re.findall(r"[^\s,;+·]*(?:[,;+·]\s*|\s+|$)", text):
        if len(lines[-1]) + len(word.rstrip()) > letters and lines[-1]:
            lines.append("")
        while len(word.rstrip()) > letters:
            lines[-1], word = word[: int(letters)], word[int(letters) :]
            lines.append("")
        lines[-1] += word
    return "\n".join(line.rstrip() for line in lines if line.strip())


def label(value: object) -> str:
    """The value of an option, as it fits beside a tick."""
    return wrap(as_text(value), LABEL)


def titled_chart(width: float, height: float, *paragraphs: str) -> Figure:
    """An empty chart of ``width`` and ``height`` inches, below a title that has as many lines as it needs."""
    title = "\n".join(wrap(text, width * DPI / LETTER) for text in paragraphs if text)
    figure = chart(width, height + LINE * (title.count("\n") + bool(title)))
    if title:
        figure.suptitle(title, fontsize=FONT, color=INK, x=0.01, ha="left")
    return figure


def plane(
    configurations: pd.DataFrame, curves: str | None, along: str | None, on_front: pd.Series, title: str = ""
) -> Figure:
    """The rate-distortion plane: a curve for each value of ``curves`` through its values of ``along``.

    **References**
        Fixing a Broken ELBO (Alemi et al., 2018).

    **Arguments**
        on_front: whether a configuration is on the Pareto front, which rings mark.
    """
    is_labelled = along is not None and len(configurations) <= MOST_POINTS
    ends = f"Ends of curves: {along}. " if is_labelled else ""
    figure = titled_chart(7.2, 5.4, title, f"{ends}Dashed: equal ELBO, with its value.")
    axes = figure.add_subplot()
    lines = [("", configurations)] if curves is None else list(configurations.groupby(curves, sort=True))
    for position, (value, line) in enumerate(lines):
        colour = colormaps["viridis"](0.88 * position / max(1, len(lines) - 1))  # its yellow end is faint on white
        name = f"{curves}={value if isinstance(value, str) else as_text(value)}"
        ordered = line if along is None else line.sort_values(along)
        axes.plot(
            ordered["rate"], ordered["distortion"], marker="o", markersize=4.5, linewidth=1.3, color=colour,
            linestyle="-" if _is_ordered(configurations, along) and len(configurations) <= MOST_JOINED else "",
            label=wrap(name, 1.5 * LABEL) if curves is not None and len(lines) <= MOST_CURVES else None,
        )  # fmt: skip
        if is_labelled:
            _label_ends(axes, ordered, str(along), colour)
    front = configurations[on_front].sort_values("rate")
    axes.plot(
        front["rate"], front["distortion"], marker="o", markersize=9, fillstyle="none", color=VAL, linewidth=0.8,
        linestyle=":", label="Pareto front",
    )  # fmt: skip
    dress(axes, "", "rate: KL(q(z|x) ‖ p(z)), nats per image", "distortion: -E log p(x|z), nats per image")
    margins(axes, configurations["rate"].to_numpy(), configurations["distortion"].to_numpy())
    iso_elbo(axes)
    axes.legend(frameon=False, fontsize=FONT - 1, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _label_ends(axes: Axes, line: pd.DataFrame, along: str, colour: tuple[float, ...]) -> None:
    for end in {0, len(line) - 1}:
        axes.annotate(
            label(line[along].iloc[end]), (line["rate"].iloc[end], line["distortion"].iloc[end]),
            textcoords="offset points", xytext=(6, 5), fontsize=FONT - 3, color=colour,
        )  # fmt: skip


def heat_maps(configurations: pd.DataFrame, rows: str, columns: str, metrics: Sequence[str], title: str = "") -> Figure:
    """A map over the options ``rows`` and ``columns`` for each metric; bright is better in all of them."""
    table = configurations.set_index([rows, columns])
    grids = {name: table[name].unstack(columns).sort_index() for name in metrics}
    height, width = next(iter(grids.values())).shape
    across, down = _layout(len(metrics))
    legend = "Bright (yellow) is better in every coloured map."
    if any(not CATALOGUE[name].better for name in metrics):
        legend += " Grey maps: neither high nor low is better; dark is high."
    figure = titled_chart(
        max(3.3 * across, min(16.0, across * (1.1 + 0.55 * width))), down * min(6.4, 1.6 + 0.33 * height), title, legend
    )
    for position, (name, grid) in enumerate(grids.items(), start=1):
        axes = figure.add_subplot(down, across, position)
        values = grid.to_numpy(dtype=float)
        image = axes.imshow(values, cmap=colour_map(name), aspect="auto", interpolation="nearest")
        _ticks(axes.set_xticks, [label(value) for value in grid.columns])
        _ticks(axes.set_yticks, [label(value) for value in grid.index])
        _dress_panel(axes, name, columns, rows)
        axes.grid(visible=False)
        if width * height <= MOST_VALUES:
            _write_values(axes, image, values, CATALOGUE[name].digits)
        else:
            figure.colorbar(image, ax=axes).ax.tick_params(labelsize=FONT - 3)
    return figure


def lines(configurations: pd.DataFrame, option: str, metrics: Sequence[str], title: str = "") -> Figure:
    """A panel for each metric: its mean for each value of ``option``, and the deviation of one seed as error bars."""
    across, down = _layout(len(metrics))
    figure = titled_chart(3.4 * across, 2.8 * down, title, "Error bars: the standard deviation of one seed.")
    ordered = configurations.sort_values(option)
    for position, name in enumerate(metrics, start=1):
        axes = figure.add_subplot(down, across, position)
        axes.errorbar(
            range(len(ordered)), ordered[name], yerr=ordered.get(f"{name}_sd"), marker="o", markersize=4, capsize=2,
            color=VAL, linestyle="-" if _is_ordered(configurations, option) else "",
        )  # fmt: skip
        _ticks(axes.set_xticks, [label(value) for value in ordered[option]])
        axes.ticklabel_format(axis="y", useOffset=False)  # an offset would be written across the title
        _dress_panel(axes, name, option, "")
    return figure


def scatter(configurations: pd.DataFrame, options: Sequence[str], metric: str, title: str = "") -> Figure:
    """``metric`` over each option of a random search, whatever the other options were; the best one comes first."""
    figure = titled_chart(3.6 * len(options), 3.3, title, "The ring marks the best configuration.")
    for position, option in enumerate(options, start=1):
        axes = figure.add_subplot(1, len(options), position)
        x, y = configurations[option], configurations[metric]
        axes.plot(x, y, marker="o", markersize=4, linestyle="", color=TRAIN, alpha=0.7)
        axes.plot(x.iloc[:1], y.iloc[:1], marker="o", markersize=10, fillstyle="none", color=VAL)
        dress(axes, "", option, CATALOGUE[metric].title if position == 1 else "")
        if pd.api.types.is_numeric_dtype(x) and 0 < float(x.min()) < float(x.max()) / WIDE:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_locator(NullLocator())
    return figure


def colour_map(metric: str) -> str:
    """The colour map of ``metric``, whose bright end is better; a grey one where no value is better."""
    return {"higher": BETTER, "lower": f"{BETTER}_r"}.get(CATALOGUE[metric].better, NEUTRAL)


def _layout(panels: int) -> tuple[int, int]:
    """Panels side by side, and rows of them."""
    across = min(panels, 4 if panels > 6 else 3)
    return across, -(-panels // across)


def _dress_panel(axes: Axes, metric: str, x: str, y: str) -> None:
    """The metric's title, and below it, smaller, what it means."""
    meaning = wrap(CATALOGUE[metric].meaning, MEANING)
    dress(axes, "", wrap(x, 2 * LABEL), wrap(y, 2 * LABEL))
    axes.set_title(
        CATALOGUE[metric].title, fontsize=FONT - 1, color=INK, loc="left", pad=7 + 9 * (1 + meaning.count("\n"))
    )
    axes.annotate(
        meaning, (0, 1), xycoords="axes fraction", textcoords="offset points", xytext=(0, 4), fontsize=FONT - 3,
        color=GREY, va="bottom",
    )  # fmt: skip


def _is_ordered(configurations: pd.DataFrame, option: str | None) -> bool:
    """Whether a line between two values of ``option`` has a meaning: between two networks it has none."""
    return option is not None and pd.api.types.is_numeric_dtype(configurations[option])


def _write_values(axes: Axes, image: AxesImage, values: np.ndarray, digits: int) -> None:
    form = f"{{:.{max(1, digits - 1)}f}}" if np.nanmax(np.abs(values)) < 1000 else "{:.0f}"
    colours = image.to_rgba(values)
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            luminance = float(np.dot(colours[row, column, :3], (0.299, 0.587, 0.114)))
            axes.text(
                column, row, form.format(value), ha="center", va="center", fontsize=FONT - 3,
                color="black" if luminance > 0.5 else "white",
            )  # fmt: skip


def _ticks(place: Callable[[list[int], list[str]], object], names: Sequence[str]) -> None:
    step = -(-len(names) // MOST_TICKS)
    place(list(range(len(names)))[::step], list(names)[::step])
