"""A run in MLflow's database or server, with its plots."""

import logging
from argparse import Namespace
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lightning.pytorch.loggers import Logger, MLFlowLogger
from lightning.pytorch.utilities import rank_zero_only

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

SQLITE = "sqlite:///"


class MLflowRun(Logger):
    """Lightning's MLFlowLogger, which is made at the first use: it makes the database at once.

    A run that is resumed goes on with the same run in MLflow. What MLflow knows of its hyperparameters stays, because
    MLflow does not let them change.

    **Arguments**
        experiment_name: the experiment that the run belongs to.
        run_name: the run's name.
        tracking_uri: a database such as ``sqlite:///outputs/mlflow.db``, or a server.
        tags: of the run.
        artifact_location: where a new experiment keeps its plots; None: in ``mlflow-artifacts`` beside an SQLite
            database, and elsewhere where MLflow says.
        run_id: of the run in MLflow that goes on; None: a new one.
    """

    def __init__(
        self,
        experiment_name: str = "vaelab",
        run_name: str | None = None,
        tracking_uri: str = f"{SQLITE}outputs/mlflow.db",
        tags: dict[str, Any] | None = None,
        artifact_location: str | None = None,
        run_id: str | None = None,
    ) -> None:
        super().__init__()
        self.options: dict[str, Any] = {
            "experiment_name": experiment_name, "run_name": run_name, "tracking_uri": tracking_uri, "tags": tags,
            "artifact_location": artifact_location, "run_id": run_id,
        }  # fmt: skip
        self.is_used = False

    @cached_property
    def inner(self) -> MLFlowLogger:
        """Lightning's logger."""
        import_module("mlflow")  # which sets the levels of its messages
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        uri = self.options["tracking_uri"]
        if uri.startswith(SQLITE):
            folder = Path(uri.removeprefix(SQLITE)).absolute().parent
            folder.mkdir(parents=True, exist_ok=True)
            self.options["artifact_location"] = (
                self.options["artifact_location"] or (folder / "mlflow-artifacts").as_uri()
            )
        self.is_used = True
        return MLFlowLogger(**self.options)

    @property
    def experiment(self) -> "MlflowClient":
        """MLflow's client."""
        return self.inner.experiment

    @property
    def name(self) -> str | None:
        return self.inner.name

    @property
    def version(self) -> str:
        return str(self.inner.version)

    def begin(self) -> None:
        """Start the run, or say that it runs again."""
        self.experiment.update_run(self.version, status="RUNNING")

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: object, **kwargs: object) -> None:
        known = self.experiment.get_run(self.version).data.params
        given = vars(params) if isinstance(params, Namespace) else params
        self.inner.log_hyperparams({name: value for name, value in given.items() if name not in known})

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.inner.log_metrics(metrics, step)

    @rank_zero_only
    def log_plot(self, name: str, plot: np.ndarray, step: int) -> None:
        """Keep ``plot``, uint8 ``(H, W, 3)``, as an image of this step."""
        self.experiment.log_image(self.version, plot, key=f"plots/{name}", step=step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self.is_used:
            self.inner.finalize(status)
