"""Charts over β: the rate-distortion curve, and the KL terms of the latents."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from vaelab.plots.iso_lines import iso_elbo, margins
from vaelab.plots.style import FONT, TRAIN, chart, dress, latent_name

MOST_NAMES = 20  # latents in the legend


def rate_distortion_curve(
    betas: Sequence[float], rates: Sequence[float], distortions: Sequence[float], title: str = ""
) -> Figure:
    """Distortions over rates in nats per image, each point labelled with its β."""
    figure = chart(6.4, 4.8, title)
    axes = figure.add_subplot()
    axes.plot(rates, distortions, marker="o", markersize=4.5, linewidth=1.3, color=TRAIN)
    for beta, rate, distortion in zip(betas, rates, distortions, strict=True):
        axes.annotate(
            f"β = {beta:.3g}", (rate, distortion), textcoords="offset points", xytext=(7, 4), fontsize=FONT - 2,
            color=TRAIN,
        )  # fmt: skip
    dress(axes, "", "rate: KL(q(z|x) ‖ p(z)), nats per image", "distortion: -E log p(x|z), nats per image")
    margins(axes, np.asarray(rates), np.asarray(distortions))
    iso_elbo(axes)
    return figure


def kl_along_beta(betas: Sequence[float], kl: Sequence[Sequence[float]], title: str = "") -> Figure:
    """A line for the KL term of each latent over β.

    **Arguments**
        kl: for each β the KL terms of latent 0, 1, ... in nats per image.
    """
    figure = chart(6.4, 4.2, title)
    axes = figure.add_subplot()
    values = np.asarray(kl)
    order = np.argsort(-values[0], kind="stable")
    for position, latent in enumerate(order):
        colour = colormaps["viridis"](0.9 * position / max(1, len(order) - 1))
        name = latent_name(int(latent)) if position < MOST_NAMES else None
        axes.plot(betas, values[:, latent], color=colour, linewidth=1.2, label=name)
    dress(axes, "", "β", "KL, nats per image")
    _logarithmic(axes, betas)
    axes.legend(
        frameon=False, fontsize=FONT - 3, loc="center left", bbox_to_anchor=(1, 0.5), title="by KL",
        title_fontsize=FONT - 2,
    )  # fmt: skip
    return figure


def _logarithmic(axes: Axes, betas: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(list(betas), [f"{beta:.3g}" for beta in betas])
    axes.xaxis.set_minor_locator(NullLocator())
