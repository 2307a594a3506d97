"""Pictures: tensors in, a matplotlib Figure out. When they are drawn and where they go is for callbacks.py.

Digits are enlarged by whole factors without interpolation, so that every pixel is a crisp square.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from vaelab.plots.style import FONT, TRAIN, VAL, chart, dress


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


def spread(stds: Tensor, title: str = "") -> Figure:
    """Histogram of the posterior's standard deviations ``(N, D)``, over images and latents."""
    figure = chart(4.6, 3.2, title)
    axes = figure.add_subplot()
    values = stds.detach().cpu().flatten().numpy()
    axes.hist(values, bins=np.linspace(0, max(1.0, float(values.max())) * 1.02, 60), color=TRAIN)
    dress(axes, "", "standard deviation of q(z_d|x)", "images x latents")
    return figure
