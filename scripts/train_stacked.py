"""Train the jobs of a sweep together, stacked in one process, where they differ in numbers alone.

    python scripts/train_stacked.py name=grid experiment=stackable beta.weight=0.5,1,2,4 seed=1,2 optimizer.lr=4e-3,8e-3

Words are those of `python train.py -m`, with a name. Each job gets the directory and the checkpoint that it would have
got alone; then `python train.py -m` with the same words tests them all and makes the sweep's report. A job that is
there already, or at which another process is at work, is left to that.
"""

import csv
import io
import math
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vaelab import files, hardware
from vaelab.cli import tools
from vaelab.cli.arguments import MULTIRUN, explain, with_sweep_directory
from vaelab.errors import InputError, refusing
from vaelab.runs import directory
from vaelab.runs.prepare import begin, check_options, load_data, make_experiment
from vaelab.runs.run import Run
from vaelab.runs.stacking import check_stackable
from vaelab.sweeps import names
from vaelab.training.checkpoints import AtomicCheckpointIO
from vaelab.training.stacked import Stack

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"


def work() -> None:
    words = [word for word in sys.argv[1:] if word not in MULTIRUN]
    if not words or words[0] in ("-h", "--help"):
        print(__doc__)
        return
    with ExitStack() as locks:
        runs = [run for run in jobs(words) if locks.enter_context(locks.locked(run.directory / directory.LOCK))]
        try:
            with refusing():
                train([run for run in runs if not (run.directory / directory.COMPOSED).exists()])
        finally:
            for run in runs:
                directory.release(run.directory)
    sys.exit(subprocess.run([sys.executable, str(ROOT / "train.py"), "-m", *words]).returncode)


def jobs(words: list[str]) -> list[Run]:
    """Those of the sweep that ``words`` mean."""
    if not any(word.startswith("name=") for word in words):
        raise InputError("the sweep needs a name, which its directory is called by: name=...")
    _, sweep = with_sweep_directory(words)
    try:
        overrides = OverridesParser.create().parse_overrides(words)
        for override in overrides:  # train.py's jobs would be others, or elsewhere
            if override.key_or_group.startswith(("hydra/sweeper", "hydra.sweeper", "hydra.sweep.subdir", "hydra.job")):
                raise InputError(f"stacked runs cannot take {override.input_line}: leave it out")
        overrides = [override for override in overrides if not override.is_hydra_override()]
        found = []
        for job in BasicSweeper.split_arguments(overrides, None)[0]:
            with initialize_config_dir(str(CONF), version_base="1.3"):
                config = OmegaConf.to_container(compose("config", overrides=job), resolve=True)
            directory = sweep / names.job_name(job, config["seed"], ["name"])
            config["name"] = directory.name
            found.append(Run(config, job, {}, directory, multirun=True))
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(explain(error, CONF)) from error
    check_stackable([run.config for run in found])
    return found


def train(runs: list[Run]) -> None:
    """Train ``runs`` together, and save each as if it had been trained alone; one that diverges is left to that."""
    if not runs:
        return
    for run in runs:
        check_options(run.config)
    config = runs[0].config
    device = hardware.resolve(config["trainer"]["accelerator"])
    hardware.tune_process()
    data = load_data(config)
    experiments = []
    for run in runs:
        experiment = make_experiment(run.config)
        begin(run, experiment, data)
        experiments.append(experiment.to(device))
    epochs = config["trainer"]["max_epochs"]
    stack = Stack(experiments, data, epochs, config["trainer"]["compile"])
    rows: list[list[dict[str, float]]] = [[] for _ in runs]
    began = time.monotonic()
    for epoch in range(epochs):
        losses = stack.train_epoch(epoch)
        for row, loss in zip(rows, losses, strict=True):
            row.append({"epoch": epoch + 1, "step": stack.step, "train/loss": loss})
        pace = (time.monotonic() - began) / (epoch + 1)
        told = [loss for loss in losses if math.isfinite(loss)] or losses
        print(f"epoch {epoch + 1:3d}/{epochs}  {len(runs)} runs  loss {min(told):.2f} to {max(told):.2f}  "
              f"{pace:.2f} s/epoch", flush=True)  # fmt: skip
    for run, row, checkpoint in zip(runs, rows, stack.checkpoint_callbacks(), strict=True):
        weights = checkpoint["state_dict"].values()
        finite = all(math.isfinite(figures["train/loss"]) for figures in row)
        if not finite or not all(weight.isfinite().all() for weight in weights):
            print(f"{run.directory.name}: diverged, so it is not saved, but trained alone")
            continue
        directory.claim(run.directory, resumes=True)
        table = io.StringIO()
        writer = csv.DictWriter(table, row[0])
        writer.writeheader()
        writer.writerows(row)
        files.write_text(run.directory / "metrics.csv", table.getvalue())
        AtomicCheckpointIO().save_checkpoint(checkpoint, run.directory / directory.LAST)
        directory.write_composition(run.directory, run.config, run.overrides)
    torch.cuda.empty_cache()  # for the processes that test


if __name__ == "__main__":
    tools.main(work)
