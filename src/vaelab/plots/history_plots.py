"""Plots of a run: what metrics.csv recorded during the training."""

from matplotlib.figure import Figure

from vaelab.plots import training_curves
from vaelab.plots.plotted_run import PlottedRun


def kl_over_training(run: PlottedRun) -> Figure | None:
    """The validation's KL term of every latent over the epochs."""
    if run.metrics_file is None:
        return None
    epochs, kl = training_curves.read_kl(run.metrics_file)
    if len(epochs) < 2:
        return None
    return training_curves.kl_over_training(epochs, kl, f"KL of each latent on validation images\n{run.run}")


def curves(run: PlottedRun) -> Figure | None:
    """Training and validation curves, of a model that is trained."""
    if run.metrics_file is None or run.model.is_solved:
        return None
    return training_curves.curves(training_curves.read_history(run.metrics_file), run.run)
