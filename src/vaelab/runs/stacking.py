"""Train the jobs of a sweep together, stacked in one process, where they differ in numbers alone."""

import csv
import io
import math
import time
from collections.abc import Sequence

import torch

from vaelab import hardware
from vaelab.commands import typed
from vaelab.errors import InputError
from vaelab.files import write_text
from vaelab.runs.directory import LAST, claim, write_composition
from vaelab.runs.options import COSMETIC, differences
from vaelab.runs.prepare import check_options, load_data, make_module, start_model
from vaelab.runs.results import METRICS
from vaelab.runs.run import Run
from vaelab.tensor_files import save_tensors
from vaelab.training.stacked import Stack

NUMBERS = ("seed", "data.seed", "beta.weight", "optimizer.lr")  # options in which stacked runs may differ
TRAINER = {
    "max_epochs", "precision", "log_every_n_steps", "check_val_every_n_epoch", "gradient_clip_val", "compile",
    "benchmark", "accelerator", "devices", "strategy", "max_steps", "max_time", "val_check_interval",
}  # fmt: skip
NEEDED = {
    ("trainer", "gradient_clip_val"): None, ("trainer", "max_steps"): None, ("trainer", "max_time"): None,
    ("trainer", "val_check_interval"): None, ("trainer", "precision"): "32-true", ("trainer", "devices"): 1,
    ("evaluation", "ema"): None, ("evaluation", "checkpoint"): "last",
}  # fmt: skip


def check_stackable(configs: Sequence[dict]) -> None:
    """Raise an InputError where runs of ``configs`` cannot be trained together."""
    for config in configs:
        changed = differences(configs[0], config, (*COSMETIC, *NUMBERS))
        if changed:
            raise InputError(
                f"stacked runs may differ in seed, beta.weight and optimizer.lr alone, and here {changed[0]}"
            )
        if config["ckpt"]:
            raise InputError(f"stacked runs start anew, got ckpt={config['ckpt']}")
    config = configs[0]
    for (section, option), value in NEEDED.items():
        if config[section][option] != value:
            wanted = "null" if value is None else value
            raise InputError(f"stacked runs need {section}.{option}={wanted}, got {config[section][option]}")
    if config.get("callbacks"):
        raise InputError(f"stacked runs have no callbacks: leave callbacks=[{','.join(config['callbacks'])}] out")
    added = sorted(config["trainer"].keys() - TRAINER)
    if added:
        raise InputError(f"stacked runs are trained without Lightning's Trainer: leave +trainer.{added[0]} out")


def train_stacked(runs: Sequence[Run]) -> None:
    """Train ``runs`` together, and save each as if it had been trained alone, except those that diverge."""
    for run in runs:
        check_options(run.config)
    config = runs[0].config
    device = hardware.resolve(config["trainer"]["accelerator"])
    hardware.tune_process()
    data = load_data(config)
    modules = []
    for run in runs:
        module = make_module(run.config)
        start_model(run, module, data)
        modules.append(module.to(device))
    stack = Stack(modules, data, config["trainer"]["max_epochs"], config["trainer"]["compile"])
    rows = _train(stack)
    for run, row, checkpoint in zip(runs, rows, stack.checkpoints(), strict=True):
        _save(run, row, checkpoint)
    torch.cuda.empty_cache()  # for the processes that test


def _train(stack: Stack) -> list[list[dict[str, float]]]:
    """Train for all epochs; the rows of metrics.csv of each run."""
    rows: list[list[dict[str, float]]] = [[] for _ in stack.modules]
    began = time.monotonic()
    for epoch in range(stack.epochs):
        losses = stack.train_epoch(epoch)
        for row, loss in zip(rows, losses, strict=True):
            row.append({"epoch": epoch + 1, "step": stack.step, "loss/train": loss})
        pace = (time.monotonic() - began) / (epoch + 1)
        finite = [loss for loss in losses if math.isfinite(loss)] or losses
        print(f"epoch {epoch + 1:3d}/{stack.epochs}  {len(rows)} runs  loss {min(finite):.2f} to {max(finite):.2f}  "
              f"{pace:.2f} s/epoch", flush=True)  # fmt: skip
    return rows


def _save(run: Run, rows: list[dict[str, float]], checkpoint: dict) -> None:
    has_finite_loss = all(math.isfinite(row["loss/train"]) for row in rows)
    if not has_finite_loss or not all(weight.isfinite().all() for weight in checkpoint["state_dict"].values()):
        print(f"{run.directory.name}: diverged, so it is not saved; {typed('sweep')} trains it alone")
        return
    claim(run.directory, resumes=True)
    table = io.StringIO()
    writer = csv.DictWriter(table, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    write_text(run.directory / METRICS, table.getvalue())
    save_tensors(checkpoint, run.directory / LAST)
    write_composition(run.directory, run.config, run.overrides, run.folders)
