"""Pictures: tensors in, a matplotlib Figure out. When they are drawn and where they go is for callbacks.py.

Digits are enlarged by whole factors without interpolation, so that every pixel is a crisp square.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

SCALE = 3  # screen pixels per image pixel
GAP = 2  # image pixels between two images
GAP_GREY = 0.35
DPI = 100
FONT, LEAST_FONT = 10, 6.5
INK = "#222222"
TRAIN, VAL = "#4878a8", "#d1603d"
CURVES = {
    "loss": "minimised, at the β of the moment",
    "elbo": "at β = 1",
    "rate": "KL(q(z|x) ‖ p(z))",
    "distortion": "-E log p(x|z)",
}


def sheet(images: Tensor, columns: int) -> np.ndarray:
    """Images ``(N, 1, H, W)`` in [0, 1] side by side, row by row: ``(rows · H + gaps, columns · W + gaps)``."""
    count, _, height, width = images.shape
    rows = -(-count // columns)
    page = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP), GAP_GREY, np.float32)
    for index, image in enumerate(images.detach().cpu().float().clamp(0, 1).numpy()):
        top = GAP + index // columns * (height + GAP)
        left = GAP + index % columns * (width + GAP)
        page[top : top + height, left : left + width] = image[0]
    return page


def canvas(width: float, height: float) -> Figure:
    """An empty figure of so many screen pixels."""
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _figure_of_sheet(page: np.ndarray, title: str, rows: Sequence[str] = ()) -> Figure:
    """``page`` at a whole factor, ``title`` above it, the names of its rows to its left."""
    height, width = (SCALE * side for side in page.shape)
    top = 34 if title else 0
    left = 16 + 8 * max(len(name) for name in rows) if rows else 0
    figure = canvas(left + width, top + height)
    axes = figure.add_axes((left / (left + width), 0, width / (left + width), height / (top + height)), frameon=False)
    axes.imshow(page, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    if title:
        middle = 1 - 0.5 * top / (top + height)
        title, size = fitted(title, left + width - 12)
        figure.text(6 / (left + width), middle, title, fontsize=size, color=INK, va="center")
    for index, name in enumerate(rows):
        middle = (len(rows) - index - 0.5) / len(rows) * height / (top + height)
        figure.text(
            (left - 8) / (left + width), middle, name.strip(), fontsize=FONT, color=INK, ha="right", va="center"
        )
    return figure


def samples(images: Tensor, title: str = "", columns: int = 8) -> Figure:
    """Images ``(N, 1, H, W)`` in a grid: the likelihood's means at codes from the prior."""
    return _figure_of_sheet(sheet(images, columns), title)


def rows(images: Mapping[str, Tensor], title: str = "") -> Figure:
    """Images ``(N, 1, H, W)`` in a row for each name, the name to its left; a row may have fewer than others."""
    longest = max(len(row) for row in images.values())
    sheets = [sheet(row, longest) for row in images.values()]
    return _figure_of_sheet(np.concatenate([sheets[0], *(row[GAP:] for row in sheets[1:])]), title, list(images))


def reconstructions(originals: Tensor, reconstructed: Tensor, title: str = "") -> Figure:
    """Originals ``(N, 1, H, W)`` in a row over their reconstructions."""
    return rows({"original": originals, "reconstruction": reconstructed}, title)


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


def codes(points: Tensor, labels: Tensor, title: str = "", axes_names: tuple[str, str] = ("z0", "z1")) -> Figure:
    """Points ``(N, 2)``, each in the colour of its label ``(N,)``."""
    figure = chart(6.4, 5.4, title)
    axes = figure.add_subplot()
    found = sorted(set(labels.tolist()))
    # Ten colours that differ; more classes, as of EMNIST, share a gradual map.
    palette = colormaps["tab10"] if len(found) <= 10 else colormaps["turbo"].resampled(len(found))
    for position, label in enumerate(found):
        chosen = points[labels == label].cpu()
        axes.scatter(
            chosen[:, 0], chosen[:, 1], s=5, color=palette(position), label=str(label), linewidths=0, alpha=0.7
        )
    dress(axes, "", *axes_names)
    columns = -(-len(found) // 20)
    axes.legend(
        frameon=False, fontsize=FONT - 1, markerscale=3, loc="center left", bbox_to_anchor=(1, 0.5), ncols=columns
    )
    return figure


def kl_bars(kl: Sequence[float], linear: Sequence[float] | None = None, title: str = "") -> Figure:
    """KL terms of the latents, the largest first, beside those of a linear model where given."""
    figure = chart(max(4.6, 0.5 + 0.28 * min(len(kl), 60)), 3.2, title)
    axes = figure.add_subplot()
    axes.bar(range(1, len(kl) + 1), kl, color=TRAIN, width=0.8, label="this model")
    if linear is not None:
        marks = {"marker": "_", "linewidth": 0, "markersize": 9, "markeredgewidth": 2}
        axes.plot(range(1, len(linear) + 1), linear, color=VAL, label="a linear model", **marks)
        axes.set_ylim(0, 1.3 * max(*kl, *linear, 1e-3))  # room for the legend above the bars
        axes.legend(frameon=False, fontsize=FONT - 1, loc="upper right", ncols=2)
    dress(axes, "", "latent, by its KL term", "KL, nats per image")
    axes.set_xlim(0.4, len(kl) + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, min_n_ticks=1))
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


def spread(stds: Tensor, title: str = "") -> Figure:
    """Histogram of the posterior's standard deviations ``(N, D)``, over images and latents."""
    figure = chart(4.6, 3.2, title)
    axes = figure.add_subplot()
    values = stds.detach().cpu().flatten().numpy()
    axes.hist(values, bins=np.linspace(0, max(1.0, float(values.max())) * 1.02, 60), color=TRAIN)
    dress(axes, "", "standard deviation of q(z_d|x)", "images x latents")
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
                split, _, name = key.partition("/")
                if name and value and split in ("train", "val"):
                    epochs, values = history.setdefault(name, {}).setdefault(split, ([], []))
                    epochs.append(float(row["epoch"]))
                    values.append(float(value))
    return history


def pixels(figure: Figure) -> np.ndarray:
    """The figure as uint8 ``(H, W, 3)``, as TensorBoard takes it."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
