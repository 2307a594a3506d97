"""What this project uses of Lightning beyond its documentation: each test fails where Lightning changes it."""

import csv
from types import SimpleNamespace

import pytest
import torch
from compositions import module_of, small_data
from lightning import Callback, Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import nn

from vaelab.data.batches import Batches
from vaelab.training.lightning_internals import (
    AveragedWeights,
    BestCheckpoint,
    Bfloat16Products,
    MetricsCSV,
    checkpoint_at_end,
    data_of,
    epochs_done,
    steps_between_logs,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::FutureWarning:lightning.*")


def make_trainer(folder, **options) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    return Trainer(default_root_dir=folder, accelerator="cpu", use_distributed_sampler=False, **{**quiet, **options})


def test_the_trainer_has_its_data_its_interval_and_its_position(tmp_path):
    seen = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.append((epochs_done(trainer), steps_between_logs(trainer), data_of(trainer)))

    data = small_data()  # 4 batches
    trainer = make_trainer(tmp_path, max_epochs=2, log_every_n_steps=3, enable_checkpointing=False, callbacks=[Watch()])
    trainer.fit(module_of(), datamodule=data)
    assert [position for position, _, _ in seen] == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]
    assert {interval for _, interval, _ in seen} == {3}
    assert all(found is data for _, _, found in seen)


def test_lightning_itself_refuses_to_clip_under_fused_optimizers():
    """Where it no longer does, Bfloat16Products is not needed."""
    parameter = nn.Parameter(torch.ones(3))
    parameter.grad = torch.full((3,), 10.0)
    optimizer = torch.optim.Adam([parameter], fused=True)
    optimizer._step_supports_amp_scaling = True
    with pytest.raises((RuntimeError, MisconfigurationException)):
        MixedPrecision("bf16-mixed", "cpu").clip_gradients(optimizer, 1.0)
    Bfloat16Products("cpu").clip_gradients(optimizer, 1.0)
    assert float(parameter.grad.norm()) == pytest.approx(1, rel=1e-3)


def test_a_loader_is_told_the_epoch_also_after_a_resume(tmp_path):
    epochs = []
    data = small_data()
    data.setup()
    loader = data.train_dataloader()
    original = loader.set_epoch
    loader.set_epoch = lambda epoch: (epochs.append(epoch), original(epoch))
    data.train_dataloader = lambda: loader
    make_trainer(tmp_path, max_epochs=2).fit(module_of(), datamodule=data)
    (saved,) = tmp_path.rglob("*.ckpt")
    make_trainer(tmp_path, max_epochs=4).fit(module_of(), datamodule=data, ckpt_path=saved, weights_only=True)
    assert sorted(set(epochs)) == [0, 1, 2, 3]
    assert epochs[-1] == 3


def test_lightning_asks_a_loader_with_a_sampler_for_its_batch_sampler(tmp_path, monkeypatch):
    """Where it no longer does, Batches needs no ``batch_sampler``."""
    monkeypatch.delattr(Batches, "batch_sampler")
    with pytest.raises(AttributeError, match="batch_sampler"):
        make_trainer(tmp_path, max_epochs=1).fit(module_of(), datamodule=small_data())


def test_the_average_is_on_the_device_and_is_what_the_test_measures(tmp_path):
    module, data = module_of(), small_data()
    average = AveragedWeights(0.9)
    trainer = make_trainer(tmp_path, max_epochs=1, callbacks=[average])
    trainer.fit(module, datamodule=data)
    assert next(average._average_model.parameters()).device == trainer.strategy.root_device
    (saved,) = tmp_path.rglob("*.ckpt")
    stored = torch.load(saved, weights_only=True)
    trainer.test(module, datamodule=data, ckpt_path=saved, weights_only=True, verbose=False)
    name = "model.posterior.network.1.0.weight"
    assert torch.equal(module.state_dict()[name], stored["state_dict"][name])
    assert not torch.equal(stored["state_dict"][name], stored["current_model_state"][name])


def test_the_average_is_made_on_the_device_that_the_strategy_names():
    """On a CPU the two are the same; a GPU's place is taken by the meta device."""
    module = module_of()
    average = AveragedWeights(0.9)
    average.setup(SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("meta"))), module, "fit")
    assert {parameter.device.type for parameter in average._average_model.parameters()} == {"meta"}
    assert {parameter.device.type for parameter in module.parameters()} == {"cpu"}


def test_the_best_checkpoints_score_moves_with_its_folder(tmp_path):
    module, data = module_of(), small_data()
    first, second = tmp_path / "first", tmp_path / "second"
    best = BestCheckpoint(first, "elbo/val", "max")
    make_trainer(tmp_path, max_epochs=1, callbacks=[best]).fit(module, datamodule=data)
    assert best.path.is_file()
    first.rename(second)
    moved = BestCheckpoint(second, "elbo/val", "max")
    moved.load_state_dict(best.state_dict())
    assert float(moved.best_model_score) == float(best.best_model_score)
    assert moved.best_model_path == str(second / "best.ckpt")
    restored, score = moved.state_dict(), best.best_model_score
    assert restored["best_k_models"] == {moved.best_model_path: score}
    assert (restored["kth_best_model_path"], restored["kth_value"]) == (moved.best_model_path, score)
    trainer = make_trainer(tmp_path, enable_checkpointing=False)
    assert not moved.check_monitor_top_k(trainer, score - 1)
    assert moved.check_monitor_top_k(trainer, score + 1)
    elsewhere = BestCheckpoint(tmp_path / "third", "elbo/val", "max")
    elsewhere.load_state_dict(best.state_dict())
    assert elsewhere.best_model_score is None


def test_a_resumed_runs_metrics_keep_the_rows_before_it(tmp_path):
    with (tmp_path / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["elbo/val", "epoch", "step"])
        writer.writeheader()
        writer.writerows({"elbo/val": -step, "epoch": step / 4, "step": step} for step in (4, 8, 12))
    metrics = MetricsCSV(tmp_path, 8)
    metrics.begin()
    metrics.log_metrics({"elbo/val": -9.0, "rate/val": 2.0, "epoch": 3}, step=12)
    metrics.save()
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["elbo/val"], row["rate/val"]) for row in rows] == [
        ("4", "-4", ""), ("8", "-8", ""), ("12", "-9.0", "2.0"),
    ]  # fmt: skip


def test_the_checkpoint_made_by_hand_has_lightnings_own_contents(tmp_path):
    module, data = module_of(), small_data()
    trainer = make_trainer(tmp_path, max_epochs=2)
    trainer.fit(module, datamodule=data)
    (saved,) = tmp_path.rglob("*.ckpt")
    theirs = torch.load(saved, weights_only=True)
    made = checkpoint_at_end(module.state_dict(), theirs["optimizer_states"][0], 2, 4, module.checkpoint_contents(data))
    assert made.keys() == theirs.keys()
    assert made["epoch"] == theirs["epoch"]
    assert made["global_step"] == theirs["global_step"]
    ours, loops = made["loops"]["fit_loop"], theirs["loops"]["fit_loop"]
    for name, value in ours.items():
        assert loops[name] == value, name
