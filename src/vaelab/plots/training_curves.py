"""curves."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vaelab.plots.style import FONT, TRAIN, VAL, chart, dress

CURVES = {
    "loss": "minimised, at the β of the moment",
    "elbo": "at β = 1",
    "rate": "KL(q(z|x) ‖ p(z))",
    "distortion": "-E log p(x|z)",
}


def schedules(betas: Mapping[str, Callable[[int, int], float]], steps: int = 1_000) -> Figure:
    """A panel for each schedule of β, over the training."""
    figure = chart(2.6 * len(betas), 2.1)
    for position, (name, beta) in enumerate(betas.items(), start=1):
        axes = figure.add_subplot(1, len(betas), position)
        axes.plot([step / steps for step in range(steps)], [beta(step, steps) for step in range(steps)], color=TRAIN)
        dress(axes, f"beta={name}", "share of the training", "β" if position == 1 else "")
        axes.set_ylim(-0.05, 1.1)
    return figure


def curves(history: dict[str, dict[str, tuple[list[float], list[float]]]], title: str = "") -> Figure:
    """Training and validation curves: one panel per figure of CURVES that the history has.

    Args:
        history: figure -> split -> (epochs, values), as ``read_history`` returns it.
    """
    names = [name for name in CURVES if name in history]
    columns = 2 if len(names) > 1 else 1
    rows = max(1, -(-len(names) // columns))
    figure = chart(4.6 * columns, 3.0 * rows + 0.4, title)
    for position, name in enumerate(names, start=1):
        axes = figure.add_subplot(rows, columns, position)
        shown = []
        for split, colour in (("train", TRAIN), ("val", VAL)):
            if split not in history[name]:
                continue
            epochs, values = history[name][split]
            axes.plot(
                epochs,
                values,
                color=colour,
                label=split,
                linewidth=1.4,
                marker="." if len(epochs) < 3 else "",
            )
            start = 0.05 * epochs[-1]
            shown += [value for epoch, value in zip(epochs, values, strict=True) if epoch > start]
        if shown:  # the fall of the first steps would press all the rest into a line
            low, high = min(shown), max(shown)
            margin = 0.06 * (high - low) or 1.0
            axes.set_ylim(low - margin, high + margin)
        dress(axes, f"{name}: {CURVES[name]}", "epoch", "nats per image")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.legend(frameon=False, fontsize=FONT - 1)
    return figure


def kl_over_training(epochs: Sequence[float], kl: np.ndarray, title: str = "") -> Figure:
    """KL term of every latent over the epochs, ``kl`` ``(E, D)``: rows in the order that they end in."""
    order = np.argsort(-kl[-1], kind="stable")
    figure = chart(6.4, min(8.0, max(2.8, 1.6 + 0.16 * kl.shape[1])), title)
    axes = figure.add_subplot()
    step = (epochs[-1] - epochs[0]) / max(1, len(epochs) - 1) or 1.0
    extent = (epochs[0] - step / 2, epochs[-1] + step / 2, kl.shape[1] + 0.5, 0.5)
    shown = axes.imshow(
        kl[:, order].T, aspect="auto", cmap="viridis", vmin=0, interpolation="nearest", extent=extent
    )  # fmt: skip
    dress(axes, "", "epoch", "latent, by its last KL term")
    axes.grid(visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    figure.colorbar(shown, ax=axes).set_label("KL, nats per image", fontsize=FONT - 1)
    return figure


def read_kl(path: Path) -> tuple[list[float], np.ndarray]:
    """The validation's KL term of every latent in a run's metrics.csv: epochs, and an array ``(E, D)``."""
    epochs, kl = [], []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            terms = [float(value) for key, value in row.items() if key.startswith("kl/") and value]
            if terms:
                epochs.append(float(row["epoch"]))
                kl.append(terms)
    return epochs, np.asarray(kl)


def read_history(path: Path) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
    """The curves in a run's metrics.csv: figure -> split -> (epochs, values)."""
    history: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
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
