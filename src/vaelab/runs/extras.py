"""A user's own metrics and plots, as the configuration describes them: ``metric=...`` and ``plot=...``."""

from collections.abc import Mapping

from vaelab.evaluation.own import Asked, Measure, check_measure
from vaelab.plots.run_plots import Plot, check_plot
from vaelab.runs.options import own_options
from vaelab.runs.pieces import make_piece


def make_measures(config: Mapping[str, dict]) -> Asked:
    """The metrics, each with the options that it was made of.

    **Raises**
        InputError: one of them does not exist, has a wrong option, or the name of a shipped metric.
    """
    asked = own_options(config, "metric").items()
    found = [(where, make_piece(where, options, Measure), options) for where, options in asked]
    for where, measure, _ in found:
        check_measure(where, measure)
    return [(measure, options) for _, measure, options in found]


def make_plots(config: Mapping[str, dict]) -> list[Plot]:
    """The plots.

    **Raises**
        InputError: one of them does not exist, has a wrong option, or the name of a shipped plot.
    """
    found = {where: make_piece(where, options, Plot) for where, options in own_options(config, "plot").items()}
    for where, plot in found.items():
        check_plot(where, plot)
    return list(found.values())
