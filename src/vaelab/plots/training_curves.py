"""Charts over the training: β schedules, metrics by epoch, KL terms of the latents by epoch."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vaelab.evaluation.metrics import CURVES, METRICS
from vaelab.plots.style import FONT, TRAIN, VAL, chart, dress, latent_name

Curve = tuple[list[float], list[float]]  # epochs and values
History = dict[str, dict[str, Curve]]  # metric -> split -> curve

FIRST_PART = 0.05  # of the training, which does not set the range of the y axis
MOST_NAMES = 40  # latents named along an axis; of more, every second, third, ...


def schedules(betas: Mapping[str, Callable[[int, int], float]], steps: int = 1_000) -> Figure:
    """A panel for each schedule of β.

    **Arguments**
        betas: the name of each schedule, and the schedule: a function of the step and the number of steps.
        steps: the number of steps.
    """
    figure = chart(2.6 * len(betas), 2.1)
    for position, (name, beta) in enumerate(betas.items(), start=1):
        axes = figure.add_subplot(1, len(betas), position)
        axes.plot([step / steps for step in range(steps)], [beta(step, steps) for step in range(steps)], color=TRAIN)
        dress(axes, f"beta={name}", "share of the training", "β" if position == 1 else "")
        axes.set_ylim(-0.05, 1.1)
    return figure


def curves(history: History, title: str = "") -> Figure:
    """Training and validation curves: a panel for each metric of CURVES that ``history`` has.

    **Arguments**
        history: metric -> split -> (epochs, values), as ``read_history`` returns it.
        title: one line or more.
    """
    names = [name for name in CURVES if name in history]
    columns = 2 if len(names) > 1 else 1
    rows = max(1, -(-len(names) // columns))
    figure = chart(4.6 * columns, 3.0 * rows + 0.4, title)
    for position, name in enumerate(names, start=1):
        axes = figure.add_subplot(rows, columns, position)
        _draw_curves(axes, history[name])
        dress(axes, f"{name}: {METRICS[name].short}", "epoch", "nats per image")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.legend(frameon=False, fontsize=FONT - 1)
    return figure


def _draw_curves(axes: Axes, splits: Mapping[str, Curve]) -> None:
    shown: list[float] = []
    for split, colour in (("train", TRAIN), ("val", VAL)):
        if split in splits:
            epochs, values = splits[split]
            marker = "." if len(epochs) < 3 else ""
            axes.plot(epochs, values, color=colour, label=split, linewidth=1.4, marker=marker)
            start = FIRST_PART * epochs[-1]
            shown += [value for epoch, value in zip(epochs, values, strict=True) if epoch > start]
    if shown:  # with the steep start in the range, later changes would be invisible
        low, high = min(shown), max(shown)
        margin = 0.06 * (high - low) or 1.0
        axes.set_ylim(low - margin, high + margin)


def kl_over_training(epochs: Sequence[float], kl: np.ndarray, title: str = "") -> Figure:
    """The KL term of every latent over the epochs as a map, the latent with the largest last KL term on top.

    **Arguments**
        epochs: ``(E,)``.
        kl: ``(E, D)``, in nats per image.
        title: one line or more.
    """
    latents = kl.shape[1]
    order = np.argsort(-kl[-1], kind="stable")
    figure = chart(6.4, min(8.0, max(2.8, 1.6 + 0.16 * latents)), title)
    axes = figure.add_subplot()
    step = (epochs[-1] - epochs[0]) / max(1, len(epochs) - 1) or 1.0
    extent = (epochs[0] - step / 2, epochs[-1] + step / 2, latents - 0.5, -0.5)
    shown = axes.imshow(
        kl[:, order].T, aspect="auto", cmap="viridis", vmin=0, interpolation="nearest", extent=extent
    )  # fmt: skip
    dress(axes, "", "epoch", "latents, by last KL")
    axes.grid(visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    named = range(0, latents, -(-latents // MOST_NAMES))
    axes.set_yticks(named, [latent_name(int(order[position])) for position in named])
    figure.colorbar(shown, ax=axes).set_label("KL, nats per image", fontsize=FONT - 1)
    return figure


def read_kl(path: Path) -> tuple[list[float], np.ndarray]:
    """The validation's KL term of every latent in a metrics.csv: epochs ``(E,)`` and nats per image ``(E, D)``.

    The columns ``kl/0``, ``kl/1``, ... may have any order: Lightning writes them in that of the alphabet.
    """
    epochs, kl = [], []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        names = [name for name in reader.fieldnames or () if name.startswith("kl/")]
        names.sort(key=lambda name: int(name.removeprefix("kl/")))
        for row in reader:
            if names and row[names[0]]:
                epochs.append(float(row["epoch"]))
                kl.append([float(row[name]) for name in names])
    return epochs, np.asarray(kl)


def read_history(path: Path) -> History:
    """The curves in a metrics.csv: metric -> split -> (epochs, values)."""
    history: History = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for key, value in row.items():
                name, split = _split_column(key)
                if split and value:
                    epochs, values = history.setdefault(name, {}).setdefault(split, ([], []))
                    epochs.append(float(row["epoch"]))
                    values.append(float(value))
    return history


def _split_column(column: str) -> tuple[str, str]:
    """(metric, split) of a column such as ``elbo/val``, or ``val/elbo`` as older versions wrote it; else ("", "")."""
    left, _, right = column.partition("/")
    if right in ("train", "val"):
        return left, right
    return (right, left) if left in ("train", "val") else ("", "")
