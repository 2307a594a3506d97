"""The plots that a run has, and where they go.

A plot that has no meaning for a model is left out: the KL terms of an auto-encoder, the interpolation of a mixture.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from vaelab import rng
from vaelab.errors import InputError, one_line
from vaelab.plots import style
from vaelab.plots.beta_plots import digits_along_beta, kl_along_beta, rate_distortion_curve, samples_along_beta
from vaelab.plots.history_plots import curves, kl_over_training
from vaelab.plots.latent_plots import kl_per_latent, latent_means, posterior_std
from vaelab.plots.own import Plot
from vaelab.plots.path_plots import interpolation, manifold, traversal
from vaelab.plots.plotted_run import PlottedRun
from vaelab.plots.projection import projector
from vaelab.plots.ranked_plots import hardest_and_easiest, ranked_samples
from vaelab.plots.sample_plots import pseudo_inputs, reconstructions, samples

__all__ = ["AT_END", "WATCHED", "Plot", "RunPlots", "check_plot", "name_of", "projector", "save"]

log = logging.getLogger(__name__)
Drawer = Plot | Callable[[PlottedRun], Figure | None]

WATCHED = (samples, reconstructions, manifold, kl_over_training)  # during the training
AT_END = (
    samples, ranked_samples, reconstructions, interpolation, traversal, manifold, latent_means, kl_per_latent,
    kl_over_training, posterior_std, hardest_and_easiest, pseudo_inputs, rate_distortion_curve, digits_along_beta,
    samples_along_beta, kl_along_beta, curves,
)  # fmt: skip


def name_of(plot: Drawer) -> str:
    """The name of a plot's file: that of the function, or the ``name`` of a user's own plot."""
    return plot.name if isinstance(plot, Plot) else plot.__name__


def check_plot(where: str, plot: Plot) -> None:
    """Raise an InputError where a user's own plot has the name of a shipped one, whose file it would overwrite."""
    if plot.name in {name_of(shipped) for shipped in (*WATCHED, *AT_END)}:
        raise InputError(
            f"{where}: {plot.name}.png is a plot that vaelab ships: give {type(plot).__name__} another name"
        )


@dataclass
class RunPlots(PlottedRun):
    """Draws the plots of a run; the same model gets the same latent samples every time.

    **Arguments**
        own: the user's own plots.

    Example:
        >>> RunPlots(module.evaluated(data), "my run").at_end()["samples"].shape  # doctest: +SKIP
        (780, 726, 3)
    """

    own: Sequence[Plot] = ()

    def during_training(self) -> dict[str, np.ndarray]:
        """The plots that show progress, each under its name as uint8 ``(H, W, 3)``."""
        return self.draw(*WATCHED, *(plot for plot in self.own if plot.is_watched))

    def at_end(self) -> dict[str, np.ndarray]:
        """All plots that the model has, each under its name as uint8 ``(H, W, 3)``."""
        return self.draw(*AT_END, *self.own)

    def draw(self, *plots: Drawer) -> dict[str, np.ndarray]:
        """Those of ``plots`` that the model has, each under its name as uint8 ``(H, W, 3)``.

        A plot that fails is left out with a warning, so that it does not end the run.
        """
        drawn = {}
        with torch.no_grad():
            for plot in plots:
                name = name_of(plot)
                try:
                    with rng.fixed_noise(self.device, self.evaluated.seed, rng.PLOTS):
                        figure = plot(self)
                    if figure is not None:
                        drawn[name] = style.pixels(figure)
                except Exception as error:
                    log.warning(f"the plot {name} failed: {type(error).__name__}: {one_line(error)}")
                    log.debug(f"the plot {name} failed", exc_info=True)
        return drawn


def save(drawn: Mapping[str, np.ndarray], folder: Path) -> None:
    """Write each plot to ``folder``/<name>.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, plot in drawn.items():
        # Not optimised: that takes four times as long and saves one percent.
        style.as_image(plot).save(folder / f"{name}.png")
