"""What a run sends to its loggers besides the metrics of each step: hyperparameters, plots, and the final metrics.

A logger is any of Lightning's, or one of a user's own. What it can do is found by its methods:

    log_plot(name, plot, step)              takes plots, uint8 ``(H, W, 3)``; so do Lightning's log_image(key, images,
                                            step), which the logger of Weights & Biases has, and TensorBoard's writer
    log_result(hyperparameters, metrics, step)   takes both at the end of the run, together; other loggers get the
                                            hyperparameters when it begins, and the metrics as those of the last step
    log_latents(means, labels, images, step)     takes the latents of test images
    begin(), end()                          are called before the run and after it
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from torch import Tensor

Hyperparameters = Mapping[str, bool | int | float | str]


def begin(logger: Logger, hyperparameters: Hyperparameters) -> None:
    """Start ``logger`` and send it the hyperparameters, unless it takes them at the end."""
    if hasattr(logger, "begin"):
        logger.begin()
    if not hasattr(logger, "log_result"):
        logger.log_hyperparams(dict(hyperparameters))


def send_plot(loggers: Iterable[Logger], name: str, plot: np.ndarray, step: int) -> None:
    """Send a plot, uint8 ``(H, W, 3)``, to those loggers that take plots."""
    for logger in loggers:
        if hasattr(logger, "log_plot"):
            logger.log_plot(name, plot, step)
        elif hasattr(logger, "log_image"):
            logger.log_image(f"plots/{name}", [plot], step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(f"plots/{name}", plot, step, dataformats="HWC")


def takes_latents(loggers: Iterable[Logger]) -> bool:
    """Whether any logger takes the latents of test images."""
    return any(hasattr(logger, "log_latents") for logger in loggers)


def send_latents(loggers: Iterable[Logger], means: Tensor, labels: Sequence[int], images: Tensor, step: int) -> None:
    """Send the posterior means ``(N, D)`` of images ``(N, C, S, S)`` to those loggers that take them."""
    for logger in loggers:
        if hasattr(logger, "log_latents"):
            logger.log_latents(means, labels, images, step)


def send_result(
    loggers: Iterable[Logger], hyperparameters: Hyperparameters, metrics: Mapping[str, float], step: int
) -> None:
    """Send the metrics of the test, and to those loggers that want both together the hyperparameters."""
    for logger in loggers:
        if hasattr(logger, "log_result"):
            logger.log_result(hyperparameters, metrics, step)
        else:
            logger.log_metrics(dict(metrics), step)


def end(logger: Logger) -> None:
    """End the run in ``logger``: a process may start another one."""
    logger.save()
    if hasattr(logger, "end"):
        logger.end()
    elif (experiment := getattr(logger, "experiment", None)) is not None and hasattr(experiment, "finish"):
        experiment.finish()  # of Weights & Biases
