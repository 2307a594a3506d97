"""Plots of a run: statistics of the latents over test images."""

from typing import cast

from matplotlib.figure import Figure
from torch import Tensor

from vaelab.evaluation.linear_model import linear_comparison
from vaelab.plots import latent_charts
from vaelab.plots.plotted_run import PlottedRun
from vaelab.plots.projection import project

IMAGES, LEAST_IMAGES = 5_000, 5  # test images, at most and at least


def posterior_means(run: PlottedRun) -> tuple[Tensor, Tensor]:
    """Posterior means ``(N, D)`` and labels ``(N,)`` of test images."""
    return run.evaluated.posterior_means("test", IMAGES)


def kl_terms(run: PlottedRun) -> Tensor | None:
    """The KL term of each latent ``(D,)`` in nats, averaged over test images; None where latents have none."""
    if not run.model.has_kl_per_latent:
        return None
    x, labels = run.test(IMAGES)
    return run.model.given(labels)(x).kl_per_latent.mean(0)


def latent_means(run: PlottedRun) -> Figure | None:
    """Posterior means of test images in the colours of their labels, projected onto the plane."""
    if not run.model.has_continuous_latents or run.test_images < LEAST_IMAGES:
        return None
    means, labels = posterior_means(run)
    points, names = project(means, labels, run.projection)
    title = run.titled(f"posterior means of {len(means):,} test images")
    return latent_charts.scatter(points, labels.cpu(), title, names)


def kl_per_latent(run: PlottedRun) -> Figure | None:
    """The KL terms of the latents, beside those of as many components of probabilistic PCA at the same β."""
    kl = kl_terms(run)
    if kl is None:
        return None
    linear = cast("list[float] | None", linear_comparison(run.evaluated, len(kl)).get("linear_kl"))
    return latent_charts.kl_bars(kl.tolist(), linear, run.titled(f"KL of each latent, β = {run.evaluated.beta:g}"))


def posterior_std(run: PlottedRun) -> Figure | None:
    """A histogram of the posterior's standard deviations over images and latents."""
    if not run.evaluated.has_spread:
        return None
    x, labels = run.test(IMAGES)
    stds = run.model.given(labels).encode(x).stddev
    return latent_charts.std_histogram(stds, run.titled("standard deviations of the posterior"))
