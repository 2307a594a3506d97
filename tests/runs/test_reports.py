"""What loggers get of a run: Weights & Biases offline, MLflow with a database, Lightning's own, and one of a user's."""

import csv
import json
import struct
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import SMALL

from vaelab.runs import extensions

RUN = (*SMALL, "evaluation.parts=[latents]", "name=run", "epochs=1")
LAST = "ckpt=outputs/runs/run/checkpoints/last.ckpt"
has_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="pip install '.[wandb]'")
has_mlflow = pytest.mark.skipif(find_spec("mlflow") is None, reason="pip install '.[mlflow]'")


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "outputs/runs/run/metrics.csv").read_text().splitlines()))


# ---- Weights & Biases ------------------------------------------------------------------------------------------


def log_records(content: bytes) -> Iterator[bytes]:
    """The records of a log in LevelDB's format: blocks of 32 KiB, in which records may continue."""
    at, parts = 7, b""  # behind the header of the file
    while at + 7 <= len(content):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", content, at + 4)
        parts += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield parts
            parts = b""


def wandb_records(folder: Path) -> dict[str, list]:
    """The contents of an offline run, which another process writes, once they are complete."""
    for _ in range(100):
        found = read_wandb(folder)
        if found["exit"]:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{folder} has no end: {found}")


def read_wandb(folder: Path) -> dict[str, list]:
    """The configuration of an offline run, the rows of its history, its id and its exit code."""
    from wandb.proto.wandb_internal_pb2 import Record

    found: dict[str, list] = {"config": [], "history": [], "id": [], "exit": []}
    for data in log_records(b"".join(file.read_bytes() for file in folder.glob("*.wandb"))):
        record = Record()
        record.ParseFromString(data)
        for item in (*record.config.update, *record.run.config.update):
            found["config"].append((item.key or "/".join(item.nested_key), json.loads(item.value_json)))
        if record.HasField("history"):
            items = record.history.item
            found["history"].append({item.key or "/".join(item.nested_key): item.value_json for item in items})
        if record.HasField("run"):
            found["id"].append(record.run.run_id)
        if record.HasField("exit"):
            found["exit"].append(record.exit.exit_code)
    return found


@pytest.mark.engine
@has_wandb
def test_weights_and_biases_offline_and_resumed(command, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    status, _, err = command(*RUN, "logger=[tensorboard,wandb]", "pictures.every=1")
    assert status == 0, err
    (first,) = (tmp_path / "outputs/runs/run/wandb").glob("offline-run-*")
    found = wandb_records(first)
    config = dict(found["config"])
    assert (config["latent"], config["model"], config["beta.weight"]) == (4, "vae", 1.0)
    assert not any("wandb.project" in name or ".posterior." in name for name in config)
    names = {name for row in found["history"] for name in row}
    assert {"elbo/train", "elbo/val", "test/elbo", "test/nll", "evaluation/latents/active_units"} <= names
    plots = {name.split("/")[1] for name in names if name.startswith("plots/")}
    assert {"samples", "reconstructions", "curves"} <= plots
    assert list((first / "files/media/images/plots").glob("samples*.png"))
    assert found["exit"] == [0]
    status, _, err = command(LAST, "epochs=2")
    assert status == 0, err
    second = max((tmp_path / "outputs/runs/run/wandb").glob("offline-run-*"), key=lambda folder: folder.stat().st_mtime)
    assert second != first
    assert set(wandb_records(second)["id"]) == set(found["id"])  # the same run, for W&B to join


@has_wandb
@pytest.mark.engine
def test_two_jobs_of_a_sweep_are_two_runs(command, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    words = [word for word in RUN if word != "name=run"]
    status, _, err = command("-m", *words, "name=s", "logger=wandb", "latent=2,3")
    assert status == 0, err
    folders = sorted((tmp_path / "outputs/sweeps/s").glob("*/wandb/offline-run-*"))
    assert len(folders) == 2
    assert len({wandb_records(folder)["id"][0] for folder in folders}) == 2
    assert not list((tmp_path / "outputs/sweeps/s").glob("*/events.out*"))


@has_wandb
def test_nobody_is_logged_in_to_weights_and_biases(command, tmp_path, monkeypatch):
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    status, _, err = command(*RUN, "logger=wandb")
    assert status == 1
    assert "error: logger=wandb: nobody is logged in" in err
    assert "WANDB_MODE=offline" in err
    assert not (tmp_path / "outputs").exists()


# ---- MLflow ----------------------------------------------------------------------------------------------------


@has_mlflow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLflow about SQLAlchemy
@pytest.mark.engine
def test_mlflow_with_a_database_and_resumed(command, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    status, out, err = command(*RUN, "logger=mlflow", "pictures.every=1")
    assert (status, err) == (0, ""), err
    assert "mlflow ui --backend-store-uri sqlite:///outputs/mlflow.db" in out
    assert not list((tmp_path / "outputs/runs/run").glob("events.out*"))
    from mlflow.tracking import MlflowClient

    client = MlflowClient("sqlite:///outputs/mlflow.db")
    experiment = client.get_experiment_by_name("vaelab")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert (run.data.params["latent"], run.data.params["model"], run.data.params["epochs"]) == ("4", "vae", "1")
    results = json.loads((tmp_path / "outputs/runs/run/results.json").read_text())
    assert run.data.metrics["test/elbo"] == pytest.approx(results["test"]["elbo"])
    assert run.data.metrics["evaluation/latents/active_units"] == results["evaluation"]["latents"]["active_units"]
    images = {file.name for file in (tmp_path / "outputs/mlflow-artifacts").rglob("*.png")}
    assert any(name.startswith("plots~samples+step+8") for name in images), images

    status, _, err = command(LAST, "epochs=2")
    assert (status, err) == (0, "")
    (again,) = client.search_runs([experiment.experiment_id])
    assert (again.info.run_id, again.info.status) == (run.info.run_id, "FINISHED")
    history = client.get_metric_history(run.info.run_id, "elbo/val")
    assert [metric.step for metric in history] == [8, 16]


# ---- others ----------------------------------------------------------------------------------------------------


def test_metrics_csv_is_written_without_any_logger(command, tmp_path):
    status, out, err = command(*RUN, "logger=[]", "pictures.every=1")
    assert (status, err) == (0, "")
    assert "curves" not in "".join(line[:6] for line in out.splitlines())
    assert [row["step"] for row in rows(tmp_path) if row["elbo/val"]] == ["8"]
    assert not list((tmp_path / "outputs/runs/run").glob("events.out*"))
    assert (tmp_path / "outputs/runs/run/figures/samples.png").is_file()


MINE = """
from lightning.pytorch.loggers import Logger


class Mine(Logger):
    name, version = "mine", "7"
    got = []

    def __init__(self, save_dir, colour, run_id=None):
        super().__init__()
        self.got.append(("made", save_dir, colour, run_id))

    def log_hyperparams(self, params):
        self.got.append(("hyperparameters", params))

    def log_metrics(self, metrics, step=None):
        self.got.append(("metrics", step, metrics))

    def log_plot(self, name, plot, step):
        self.got.append(("plot", name, plot.shape[2], step))

    def end(self):
        self.got.append(("end",))
"""


def test_a_logger_and_a_callback_of_a_users_own(command, tmp_path, tmp_path_factory, monkeypatch):
    """In a folder of the user's own, beside Lightning's CSVLogger and LearningRateMonitor."""
    code, conf = tmp_path_factory.mktemp("code"), tmp_path_factory.mktemp("conf")
    (code / "mine.py").write_text(MINE)
    (conf / "logger").mkdir()
    (conf / "logger" / "mine.yaml").write_text("mine: {_target_: mine.Mine, colour: red}\n")
    (conf / "logger" / "other_csv.yaml").write_text(
        "other_csv: {_target_: lightning.pytorch.loggers.CSVLogger, name: other}\n"
    )
    monkeypatch.syspath_prepend(code)
    status, _, err = command(
        *RUN, f"--config-dir={conf}", "logger=[mine,other_csv]", "callbacks=lr_monitor", "pictures.every=1"
    )
    assert (status, err) == (0, "")
    got = sys.modules.pop("mine").Mine.got
    assert got[0] == ("made", str(tmp_path / "outputs/runs/run"), "red", None)
    assert got[-1] == ("end",)
    assert next(entry for entry in got if entry[0] == "hyperparameters")[1]["latent"] == 4
    assert ("plot", "samples", 3, 8) in got
    assert any("test/elbo" in entry[2] for entry in got if entry[0] == "metrics")
    assert list((tmp_path / "outputs/runs/run/other").rglob("metrics.csv"))
    assert [float(row["lr-Adam"]) for row in rows(tmp_path) if row["lr-Adam"]]
    assert json.loads((tmp_path / "outputs/runs/run" / extensions.IDS).read_text())["mine"] == "7"


def test_a_package_that_is_missing(command, tmp_path, monkeypatch):
    monkeypatch.setattr(extensions, "is_installed", lambda package: False)
    for name, install in (("wandb", "pip install wandb"), ("mlflow", "pip install mlflow-skinny sqlalchemy alembic")):
        status, _, err = command(*RUN, f"logger={name}")
        assert (status, err.count("\n")) == (1, 1)
        assert f"logger={name} needs the package {name}, which is not installed: {install}" in err
    assert not (tmp_path / "outputs").exists()
