"""Plots of a user's own: their contract."""

import re
from abc import ABC, abstractmethod

from matplotlib.figure import Figure

from vaelab.plots.plotted_run import PlottedRun


class Plot(ABC):
    """A plot of a run: ``plot=<name>`` on the command line. It goes to figures/<name>.png and to TensorBoard.

    It is called in evaluation mode, without gradients, with noise that depends on the run's seed alone.

    **Attributes**
        is_watched: it is drawn every ``pictures.every`` epochs too, for TensorBoard.

    **Example**
        >>> class ImageMeans(Plot):  # image_means.png
        ...     def __call__(self, run: PlottedRun) -> Figure:
        ...         images, labels = run.test(1_000)
        ...         figure = Figure()
        ...         figure.subplots().hist(images.mean((1, 2, 3)).tolist())
        ...         return figure
        >>> ImageMeans().name
        'image_means'
    """

    is_watched: bool = False

    @abstractmethod
    def __call__(self, run: PlottedRun) -> Figure | None:
        """The figure; None where the plot has no meaning for the model."""

    @property
    def name(self) -> str:
        """The name of the file: the class's name in small letters."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()
