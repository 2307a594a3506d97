"""Plots of a run: statistics of the latents over test images."""

from typing import cast

from matplotlib.figure import Figure

from vaelab.evaluation.latents import has_spread
from vaelab.evaluation.linear_model import linear_comparison
from vaelab.plots import latent_charts
from vaelab.plots.plotted_run import PlottedRun
from vaelab.plots.projection import project

LEAST_IMAGES = 5  # test images whose latents are projected, at least


def latent_means(run: PlottedRun) -> Figure | None:
    """Posterior means of test images in the colours of their labels, projected onto the plane."""
    if not run.model.has_continuous_latents or run.test_images < LEAST_IMAGES:
        return None
    means, labels = run.encoded.means, run.encoded.labels
    points, names = project(means, labels, run.projection)
    title = run.titled(f"posterior means of {len(means):,} test images")
    return latent_charts.scatter(points, labels.cpu(), title, names)


def kl_per_latent(run: PlottedRun) -> Figure | None:
    """The KL terms of the latents, beside those of as many components of probabilistic PCA at the same β."""
    if not run.model.has_kl_per_latent or run.encoded.kl is None:
        return None
    kl = run.encoded.kl
    linear = cast("list[float] | None", linear_comparison(run.evaluated, len(kl)).get("linear_kl"))
    title = run.titled(f"KL of each latent, mean over {len(run.encoded.labels):,} test images")
    return latent_charts.kl_bars(kl.tolist(), linear, title)


def posterior_std(run: PlottedRun) -> Figure | None:
    """A histogram of the posterior's standard deviations over images and latents."""
    if not has_spread(run.evaluated.model) or run.encoded.stds is None:
        return None
    return latent_charts.std_histogram(run.encoded.stds, run.titled("standard deviations of the posterior"))
