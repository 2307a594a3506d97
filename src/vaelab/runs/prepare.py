"""From a composed configuration to the objects of a run: all is made and checked before anything is written."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from vaelab import hardware, rng
from vaelab.checks import is_folder_name, number, one_of, shown, whole
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError
from vaelab.evaluation.curve import check_betas
from vaelab.evaluation.settings import Settings
from vaelab.evaluation.suite import PARTS
from vaelab.models.contracts import Model, Objective, Schedule
from vaelab.runs import ranks
from vaelab.runs.extras import make_measures
from vaelab.runs.options import RATES, evaluation_parts, flatten
from vaelab.runs.pieces import make_factory, make_optimizer, make_piece
from vaelab.runs.resume import find_resume_point
from vaelab.runs.run import Components, Run
from vaelab.runs.trainer import make_trainer
from vaelab.runs.trainer_options import check_limits, check_trainer
from vaelab.runs.trial import check_contracts, check_image_shape, check_labels, trial_batch
from vaelab.runs.trial_networks import check_networks
from vaelab.runs.trial_tensors import check_device
from vaelab.training.module import VAEModule

log = logging.getLogger(__name__)

STARTING_PIXELS = 250_000_000  # of the images that a model starts from, 1 GB as floats, where they are in a file
# Options of the evaluation that the test needs; a run of an older version may lack some of them.
TESTING = ("nll_samples", "prior_samples", "precision", "chunk", "active_variance")


def check_options(config: dict, typed: str = "") -> None:
    """Raise an InputError where an option of the run itself, not of its pieces, has an invalid value.

    **Arguments**
        typed: what the user typed to choose the accelerator.
    """
    evaluation, trainer = config["evaluation"], config["trainer"]
    whole("seed", config["seed"], 0)
    whole("epochs", config["epochs"])
    is_word = isinstance(config["name"], str | int | float) and not isinstance(config["name"], bool)
    if not is_word or not is_folder_name(str(config["name"])):
        raise InputError(f"name must be the plain name of a folder, such as name=two, got {shown(config['name'])}")
    if not isinstance(config["ckpt"], str | None):
        raise InputError(f"ckpt must be the path of a checkpoint, or null, got {shown(config['ckpt'])}")
    check_trainer(trainer, config["epochs"])
    _check_shapes_and_paths(config)
    for rate in RATES:
        if rate in config["optimizer"]:
            number(f"optimizer.{rate}", config["optimizer"][rate], above=True)
    one_of("evaluation.checkpoint", evaluation["checkpoint"], ("best", "last"))
    for part in evaluation_parts(config):
        one_of("evaluation.parts", part, PARTS)
    Settings.of_run(evaluation)
    others = "accelerator=cpu, accelerator=auto or, for several processes without a GPU, accelerator=ddp_cpu"
    hardware.check_accelerator(trainer["accelerator"], typed, others)


def _check_shapes_and_paths(config: dict) -> None:
    """The options of several groups that classes of different packages share."""
    for option, value in flatten(config).items():
        if option.endswith(".image"):
            if not isinstance(value, list) or len(value) != 3:
                raise InputError(
                    f"{option} must be a list [channels, height, width], such as [1,28,28], got {shown(value)}"
                )
            for size in value:
                whole(f"each size in {option}", size)
    root = config["data"].get("root")
    if not isinstance(root, str | None):
        raise InputError(f"data.root must be the path of a folder, or null, got {shown(root)}")


def _typed_accelerator(run: Run) -> str:
    """What chose the accelerator: its option, if that was typed, else the member of the group."""
    words = [word.lstrip("+") for word in run.overrides]
    typed = [word for word in words if word.startswith("trainer.accelerator=")]
    return typed[-1] if typed else f"accelerator={run.choices.get('accelerator')}"


def prepare(run: Run) -> Components:
    """Make the model, the data and the trainer, and check that they fit; nothing is written but downloaded data."""
    options = run.config["trainer"]
    check_options(run.config, _typed_accelerator(run))
    processes = hardware.count_processes(options["accelerator"], options["devices"])
    resumed = find_resume_point(run)
    hardware.tune_process()
    if ranks.is_worker() and hardware.resolve(options["accelerator"]) == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    with _explaining_memory():
        module = make_module(run.config)
    check_betas(module.model, run.config["evaluation"].get("betas"), "evaluation.")
    if run.ckpt and module.model.is_solved:
        raise InputError(f"ckpt={run.ckpt}: a model in closed form has nothing to go on with; leave ckpt out")
    measures = make_measures(run.config)
    data = load_data(run.config)
    if resumed.data not in (None, data.describe()):
        raise InputError(
            f"ckpt={run.ckpt} was trained on {resumed.data}, and this command on {data.describe()}: "
            "go on with the same, or leave ckpt out to train from the beginning"
        )
    _check_shares(data, processes)
    check_limits(options, data)
    began = time.monotonic()
    with _explaining_memory():
        untrained = start_model(run, module, data)
    begin_s = time.monotonic() - began
    compile_networks(module, options["compile"])
    if processes > 1 and not ranks.is_worker():
        # Made to find wrong options now, in this process; the processes that train make their own.
        make_trainer({**options, "devices": 1, "strategy": "auto"}, run, module, data, resumed)
        return Components(data, module, None, processes, resumed, begin_s, untrained, measures)
    trainer = make_trainer(options, run, module, data, resumed)
    return Components(data, module, trainer, processes, resumed, begin_s, untrained, measures)


@contextmanager
def _explaining_memory() -> Iterator[None]:
    """A model that does not fit into the memory is wrong input: its sizes are options."""
    try:
        yield
    except Exception as error:
        if not hardware.is_out_of_memory(error):
            raise
        raise InputError(
            "the model does not fit into the memory of this machine: take smaller sizes, such as latent=20, "
            "network.hidden=[400] or data.batch_size=512"
        ) from error


def _check_shares(data: ImageDataModule, processes: int) -> None:
    smallest = min([data.eval_batch_size, *(len(images) for images in data.sets.values() if len(images))])
    if smallest < processes:
        raise InputError(f"every process needs an image to evaluate: {processes} processes share a batch of {smallest}")
    if data.batch_size % processes:
        raise InputError(f"data.batch_size={data.batch_size} does not split evenly over {processes} processes")


def make_data(config: dict) -> ImageDataModule:
    """The data module, its images not read yet."""
    return make_piece("data", config["data"], ImageDataModule)


def load_data(config: dict) -> ImageDataModule:
    """The data module with its images in memory."""
    data = make_data(config)
    if not ranks.is_worker():  # its launcher has fetched the data already
        data.prepare_data()
    data.setup()
    return data


def make_module(config: dict) -> VAEModule:
    """The model with its objective, schedules and optimizer; its weights are drawn with the run's seed."""
    evaluation, seed = config["evaluation"], config["seed"]
    torch.manual_seed(rng.mix(seed, rng.INIT))
    module = VAEModule(
        make_piece("model", config["model"], Model),
        make_piece("loss", config["loss"], Objective),
        make_piece("beta", config["beta"], Schedule),
        make_factory("optimizer", config["optimizer"]),
        make_piece("lr", config["lr"], Schedule),
        seed=seed,
        **{name: evaluation[name] for name in TESTING if name in evaluation},
        config={key: value for key, value in config.items() if key not in ("name", "ckpt")},
    )
    for schedule in (module.beta, module.lr):
        schedule.epochs = config["trainer"]["max_epochs"]
    make_optimizer(module.optimizer, list(module.model.parameters()))  # finds wrong options before the data are read
    return module


def start_model(run: Run, module: VAEModule, data: ImageDataModule) -> dict[str, float]:
    """Let the model start from the training images, unless it resumes, and try it on two of them, for its metrics."""
    train, seed = data.sets["train"], run.config["seed"]
    module.objective.set_training_images(len(train))
    check_labels(module.model, data)
    check_image_shape(run.config, data)
    with rng.fixed_noise(torch.device("cpu"), seed, rng.BEGIN), torch.no_grad():
        check_networks(run.config["model"], trial_batch(data)[0])
    with rng.fixed_noise(torch.device("cpu"), seed, rng.BEGIN), torch.no_grad():
        if run.ckpt is None:
            generator = rng.generator(seed, rng.BEGIN)
            module.start_from_images(lambda: _starting_images(data, module.model.is_solved), generator)
        untrained = check_contracts(module, data)
        trainer = run.config["trainer"]
        device = hardware.resolve(trainer["accelerator"])
        is_alone = not ranks.is_worker() and hardware.count_processes(trainer["accelerator"], trainer["devices"]) == 1
        if device != "cpu" and is_alone and not module.model.is_solved:
            check_device(module, trial_batch(data), torch.device(device))
    return untrained


def _starting_images(data: ImageDataModule, is_solved: bool) -> Tensor:
    """The training images as models get them; of images in a file evenly spaced ones, as many as fit into memory."""
    train = data.sets["train"]
    step = 1 if train.file is None else -(-train.images.numel() // STARTING_PIXELS)
    chosen = train.images if step == 1 else train[torch.arange(0, len(train), step)][0]
    if step > 1 and is_solved:
        log.warning(f"WARNING: the model is solved for {len(chosen):,} of the {len(train):,} training images")
    return data.scale(chosen, drawn=is_solved)


def compile_networks(module: VAEModule, mode: str | None) -> None:
    """Compile encoder and decoder with torch.compile at their first batch, which takes some ten seconds; None: not."""
    if mode is not None:
        for piece in module.pieces():
            for network in piece.networks():
                network.compile(mode=mode)
