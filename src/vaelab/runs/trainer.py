"""Lightning's Trainer of a run, from its options."""

import logging

from lightning import Callback, Trainer
from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment
from lightning.fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from vaelab import hardware
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError, one_line
from vaelab.runs import ranks
from vaelab.runs.extensions import make_callbacks, make_loggers
from vaelab.runs.extras import make_plots
from vaelab.runs.pieces import call_library
from vaelab.runs.run import ResumePoint, Run
from vaelab.runs.trainer_options import validates_within_epoch
from vaelab.training.callbacks import PlotCallback, SaveMetrics, ShowProfile
from vaelab.training.checkpoints import AtomicCheckpointIO, checkpoint_callbacks
from vaelab.training.epoch_position import EpochPosition
from vaelab.training.lightning_internals import AveragedWeights, Bfloat16Products
from vaelab.training.module import VAEModule
from vaelab.training.progress import ProgressReporter
from vaelab.training.reporting import takes_latents

# Arguments that Lightning's Trainer does not take as null.
OPTIONAL = ("max_steps", "val_check_interval")


def make_trainer(options: dict, run: Run, module: VAEModule, data: ImageDataModule, resumed: ResumePoint) -> Trainer:
    """Lightning's Trainer with the run's loggers and callbacks; this project prints what Lightning would print.

    **Raises**
        InputError: Lightning rejects one of ``options``.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Named, because Lightning would otherwise take a job that Slurm started for one process of a larger run.
    environment = TorchElasticEnvironment() if ranks.is_worker() else LightningEnvironment()
    plugins: list[Precision | ClusterEnvironment | CheckpointIO] = [AtomicCheckpointIO(), environment]
    options = {name: value for name, value in options.items() if name not in OPTIONAL or value is not None}
    options.pop("compile")  # done before
    precision = hardware.resolve_precision(options.pop("precision"), options["accelerator"])
    if precision == "bf16-mixed":
        plugins.append(Bfloat16Products(hardware.resolve(options["accelerator"])))
    else:
        options["precision"] = precision
    loggers = make_loggers(run, module, resumed)
    callbacks = _callbacks(run, module, data, resumed)
    if run.config["pictures"]["projector"] and not takes_latents(loggers):
        raise InputError("pictures.projector=true is TensorBoard's: add it, logger=[tensorboard], or leave it out")
    try:
        return call_library(
            "trainer",
            Trainer,
            **options,
            logger=loggers,
            callbacks=callbacks,
            plugins=plugins,
            default_root_dir=run.directory,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # data.batches splits every batch itself, without dropping or doubling
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except MisconfigurationException as error:
        raise InputError(f"trainer: {one_line(error)}") from error


def _callbacks(run: Run, module: VAEModule, data: ImageDataModule, resumed: ResumePoint) -> list[Callback]:
    title = f"{run.config['name']} · {data.name}"
    if module.objective.weighs_kl:
        title += f" · β = {module.beta.end:g}"
    decay, within_epoch = run.config["evaluation"]["ema"], validates_within_epoch(run.config["trainer"])
    return [
        ProgressReporter(bar=not run.side_by_side),
        SaveMetrics(),  # before the plots, one of which reads the file
        PlotCallback(run.directory, title, **run.config["pictures"], own=make_plots(run.config)),
        EpochPosition(),
        *checkpoint_callbacks(run.directory, module.criterion, data.val > 0, within_epoch),
        *([] if run.config["trainer"].get("profiler") is None else [ShowProfile()]),
        *([] if decay is None else [AveragedWeights(decay)]),
        *make_callbacks(run, module, data, resumed),
    ]
