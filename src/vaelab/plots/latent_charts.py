"""Charts of latents: their posterior means, KL terms and standard deviations."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor

from vaelab.plots.style import FONT, TRAIN, VAL, chart, dress, latent_name

MOST_NAMES = 60  # latents named along an axis; of more, every second, third, ...


def scatter(points: Tensor, labels: Tensor, title: str = "", axes_names: tuple[str, str] = ("z0", "z1")) -> Figure:
    """Points ``(N, 2)`` in the colours of their labels ``(N,)``."""
    figure = chart(6.4, 5.4, title)
    axes = figure.add_subplot()
    found = sorted(set(labels.tolist()))
    # Up to ten labels get colours that are easy to tell apart, more of them a continuous map.
    palette = colormaps["tab10"] if len(found) <= 10 else colormaps["turbo"].resampled(len(found))
    for position, label in enumerate(found):
        x, y = points[labels == label].cpu().T
        axes.scatter(x, y, s=5, color=palette(position), label=str(label), linewidths=0, alpha=0.7)
    dress(axes, "", *axes_names)
    columns = -(-len(found) // 20)
    legend = axes.legend(
        title="label", frameon=False, fontsize=FONT - 1, markerscale=3, loc="center left", bbox_to_anchor=(1, 0.5),
        ncols=columns,
    )  # fmt: skip
    legend.get_title().set_fontsize(FONT - 1)
    return figure


def kl_bars(kl: Sequence[float], linear: Sequence[float] | None = None, title: str = "") -> Figure:
    """A bar for the KL term of each latent, the largest first.

    **Arguments**
        kl: the KL term of latent 0, 1, ... in nats per image.
        linear: the KL terms of as many components of probabilistic PCA, the largest first; None for no marks.
        title: one line or more.
    """
    order = sorted(range(len(kl)), key=lambda latent: -kl[latent])
    figure = chart(max(4.6, 0.6 + 0.28 * min(len(kl), MOST_NAMES)), 3.4, title)
    axes = figure.add_subplot()
    axes.bar(range(len(kl)), [kl[latent] for latent in order], color=TRAIN, width=0.8, label="this model")
    if linear is not None:
        axes.plot(
            range(len(linear)), linear, color=VAL, label="what probabilistic PCA would use at this β",
            marker="_", linewidth=0, markersize=9, markeredgewidth=2,
        )  # fmt: skip
        axes.set_ylim(0, 1.4 * max(*kl, *linear, 1e-3))  # room for the legend above the bars
        axes.legend(frameon=False, fontsize=FONT - 1, loc="upper right")
    dress(axes, "", "latents, the largest KL first", "KL, nats per image")
    axes.set_xlim(-0.6, len(kl) - 0.4)
    named = range(0, len(kl), -(-len(kl) // MOST_NAMES))
    axes.set_xticks(named, [latent_name(order[position]) for position in named], rotation=90 if len(kl) > 12 else 0)
    return figure


def std_histogram(stds: Tensor, title: str = "") -> Figure:
    """A histogram of the posterior's standard deviations ``(N, D)`` over images and latents."""
    figure = chart(4.6, 3.2, title)
    axes = figure.add_subplot()
    values = stds.detach().cpu().flatten().numpy()
    axes.hist(values, bins=np.linspace(0, max(1.0, float(values.max())) * 1.02, 60).tolist(), color=TRAIN)
    dress(axes, "", "standard deviation of q(z_d|x)", "pairs of an image and a latent")
    return figure
