"""The plots that a run has, and where they go.

A plot that has no meaning for a model is left out: the KL terms of an auto-encoder, the interpolation of a mixture.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from vaelab import rng
from vaelab.errors import one_line
from vaelab.plots import style
from vaelab.plots.history_plots import curves, kl_over_training
from vaelab.plots.latent_plots import kl_per_latent, latent_means, posterior_std
from vaelab.plots.path_plots import interpolation, manifold, traversal
from vaelab.plots.plotted_run import PlottedRun
from vaelab.plots.projection import projector
from vaelab.plots.ranked_plots import hardest_and_easiest, ranked_samples
from vaelab.plots.sample_plots import pseudo_inputs, reconstructions, samples

__all__ = ["AT_END", "WATCHED", "RunPlots", "projector", "save"]

log = logging.getLogger(__name__)

WATCHED = (samples, reconstructions, manifold, kl_over_training)  # during the training
AT_END = (
    samples, ranked_samples, reconstructions, interpolation, traversal, manifold, latent_means, kl_per_latent,
    kl_over_training, posterior_std, hardest_and_easiest, pseudo_inputs, curves,
)  # fmt: skip


class RunPlots(PlottedRun):
    """Draws the plots of a run; the same model gets the same latent samples every time.

    Example:
        >>> RunPlots(module.evaluated(data), "my run").at_end()["samples"].shape  # doctest: +SKIP
        (780, 726, 3)
    """

    def during_training(self) -> dict[str, np.ndarray]:
        """The plots that show progress, each under its name as uint8 ``(H, W, 3)``."""
        return self.draw(*WATCHED)

    def at_end(self) -> dict[str, np.ndarray]:
        """All plots that the model has, each under its name as uint8 ``(H, W, 3)``."""
        return self.draw(*AT_END)

    def draw(self, *plots: Callable[[PlottedRun], Figure | None]) -> dict[str, np.ndarray]:
        """Those of ``plots`` that the model has, each under its function's name as uint8 ``(H, W, 3)``.

        A plot that fails is left out with a warning, because a training is worth more than one of its plots.
        """
        drawn = {}
        with torch.no_grad():
            for plot in plots:
                try:
                    with rng.fixed_noise(self.device, self.evaluated.seed, rng.PLOTS):
                        figure = plot(self)
                    if figure is not None:
                        drawn[plot.__name__] = style.pixels(figure)
                except Exception as error:
                    log.warning(f"the plot {plot.__name__} failed: {type(error).__name__}: {one_line(error)}")
                    log.debug(f"the plot {plot.__name__} failed", exc_info=True)
        return drawn


def save(drawn: Mapping[str, np.ndarray], folder: Path) -> None:
    """Write each plot to ``folder``/<name>.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, plot in drawn.items():
        # Not optimised: that takes four times as long and saves one percent.
        style.as_image(plot).save(folder / f"{name}.png")
