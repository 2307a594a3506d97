"""One run, from a composed configuration to results.json: check, take the directory, fit, test, describe.

The only module beside train.py that knows Hydra, for ``instantiate`` alone: the command line stays quick to import,
and a process that DDP starts can do a run without one.
"""

import logging
import os
import re
import shlex
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from hydra.errors import HydraException, InstantiationException
from hydra.utils import instantiate
from lightning import Trainer
from lightning.fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from yaml import YAMLError

import vaelab
from vaelab import hardware, noise, results
from vaelab.appraisal import PARTS, Settings, Subject, find
from vaelab.callbacks import (
    AveragedWeights,
    BestCheckpoint,
    EpochProgress,
    EventFiles,
    MetricsFile,
    Pictures,
    SaveMetrics,
    checkpoints,
    drop_idle_hooks,
)
from vaelab.cells import BEST, LAST, NOT_TRAINING, RESULTS, asked_parts, commit, differences, flat, missing_parts
from vaelab.cells import find as find_cell
from vaelab.checkpoints import AtomicCheckpointIO, check_fits, read_checkpoint
from vaelab.checks import Interrupted, Refused, cannot_use, one_of, whole
from vaelab.data import REMEDY, ImageData
from vaelab.experiment import Experiment, TrainingDiverged

log = logging.getLogger(__name__)

SUMMARY = logging.INFO + 5  # what a job of a sweep says on the console, where many say something
CHARTS = ("loss", "elbo", "rate", "distortion")  # what TensorBoard shows together
BRIEF = ("elbo", "rate", "distortion", "nll", "mse")  # of a sweep's job, on one line
GROUPS = ("model", "network", "posterior", "likelihood", "prior", "loss")  # the choices that results.json names


@dataclass
class Run:
    """One run as composed, in plain values, which can go to another process."""

    config: dict
    overrides: list[str]
    choices: dict[str, str]  # group -> member
    directory: Path
    multirun: bool = False
    side_by_side: bool = False  # an engine may have others at work on this machine

    @property
    def ckpt(self) -> Path | None:
        return Path(self.config["ckpt"]) if self.config["ckpt"] else None

    @property
    def resumes_in_place(self) -> bool:
        return self.ckpt is not None and self.ckpt.resolve().is_relative_to(self.directory.resolve())


@dataclass
class Progress:
    """How far a run is when it begins: at nothing, or where its checkpoint left it."""

    step: int = 0
    epochs: int = 0
    data: dict | None = None  # what it was trained on so far


@dataclass
class Parts:
    """The objects of a run, made and checked before anything is written."""

    data: ImageData
    experiment: Experiment
    trainer: Trainer | None  # None where the processes that train are yet to be started
    processes: int
    resumed: Progress
    begin_s: float  # what the model's start from the training images took


# ---- check -----------------------------------------------------------------------------------------------------


@contextmanager
def refusing() -> Iterator[None]:
    """What a part, a library or the file system objects to, as the one line of a Refused."""
    try:
        yield
    except InstantiationException as error:
        where, cause = str(error).splitlines()[-1].removeprefix("full_key: "), error.__cause__
        text = _one_line(cause or error)
        unexpected = re.search(r"unexpected keyword argument '(\w+)'", text)
        if unexpected:
            group = where.split(".")[-1]
            text = f"{text}: this {group} has no option {unexpected[1]!r}; leave {group}.{unexpected[1]} out, or take "
            text += f"another {group} or model, if the model sets it"
        raise Refused(text if isinstance(cause, (ValueError, Refused)) else f"{where}: {text}") from error
    except OSError as error:
        raise Refused(cannot_use(error)) from error
    except (ValueError, TypeError, HydraException, MisconfigurationException) as error:
        raise Refused(_one_line(error)) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def check_options(config: dict) -> None:
    """A ValueError where an option of a run, not of its pieces, has a value that there is not."""
    evaluation, trainer = config["evaluation"], config["trainer"]
    whole("seed", config["seed"], 0)
    whole("epochs", config["epochs"])
    for interval in ("max_epochs", "log_every_n_steps", "check_val_every_n_epoch"):
        whole(f"trainer.{interval}", trainer[interval])
    one_of("evaluation.checkpoint", evaluation["checkpoint"], ("best", "last"))
    for part in asked_parts(config):
        one_of("evaluation.parts", part, PARTS)
    whole("evaluation.aggregate_images", evaluation["aggregate_images"], 2)
    hardware.check_accelerator(trainer["accelerator"])
    hardware.check_compile(trainer["compile"])
    if trainer.get("fast_dev_run"):
        raise ValueError("+trainer.fast_dev_run saves nothing that could be tested: take trainer=debug")


def prepare(run: Run) -> Parts:
    """Make every part and check that they fit; nothing is written but downloaded data."""
    options = run.config["trainer"]
    check_options(run.config)
    processes = hardware.count_processes(options["accelerator"], options["devices"])
    resumed = check_resumable(run)
    hardware.spare_process()
    if _is_started_by_an_engine() and hardware.resolve(options["accelerator"]) == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    experiment = make_experiment(run.config)
    if run.ckpt and experiment.is_solved:
        raise ValueError(f"ckpt={run.ckpt}: a model in closed form has nothing to go on with; leave ckpt out")
    data = load_data(run.config)
    if resumed.data not in (None, data.describe()):
        raise ValueError(
            f"ckpt={run.ckpt} was trained on {resumed.data}, and this command on {data.describe()}: "
            "go on with the same, or leave ckpt out to train anew"
        )
    smallest = min([data.eval_batch_size, *(len(images) for images in data.sets.values() if len(images))])
    if smallest < processes:
        raise ValueError(f"every process needs an image to evaluate: {processes} processes share a batch of {smallest}")
    if data.batch_size % processes:
        raise ValueError(f"data.batch_size={data.batch_size} does not split evenly over {processes} processes")
    began = time.monotonic()
    begin(run, experiment, data)
    begin_s = time.monotonic() - began
    hardware.compile_networks(experiment.model, options["compile"])
    if processes == 1 or _is_started_by_an_engine():
        trainer = make_trainer(options, run, experiment, data, resumed)
    else:
        # Only to hear now, in one process, what is wrong with its options.
        make_trainer({**options, "devices": 1, "strategy": "auto"}, run, experiment, data, resumed)
        trainer = None
    return Parts(data, experiment, trainer, processes, resumed, begin_s)


def load_data(config: dict) -> ImageData:
    """The images, in memory."""
    data = instantiate(config["data"], _convert_="all")
    if not _is_started_by_an_engine():  # which began when they lay there
        data.prepare_data()
    data.setup()
    return data


def make_experiment(config: dict) -> Experiment:
    """The model with its objective, schedules and optimizer, its weights drawn by the run's seed."""
    evaluation, seed = config["evaluation"], config["seed"]
    torch.manual_seed(noise.mix(seed, noise.INIT))
    return Experiment(
        *(instantiate(config[part], _convert_="all") for part in ("model", "loss", "beta", "optimizer", "lr")),
        seed=seed,
        # Of a run that is reopened, the options that there were when it was made.
        **{
            name: evaluation[name]
            for name in ("nll_samples", "prior_samples", "chunk", "active_variance")
            if name in evaluation
        },
        config={key: value for key, value in config.items() if key not in ("name", "ckpt")},
    )


def reopen(directory: Path, reads_data: bool = True) -> tuple[Experiment, ImageData]:
    """A finished run's model with the weights that were tested, in evaluation mode on the CPU, and its data.

    Without ``reads_data`` the data's images are not looked for.
    """
    finished = results.read_results(directory)
    if finished.get("status") != "completed":
        raise ValueError(f"{directory} failed ({finished.get('error')}), so it has no weights to look at")
    try:
        path = directory / (BEST if finished["tested"]["checkpoint"] == "best" else LAST)
        weights = read_checkpoint(path)["state_dict"]
        config = OmegaConf.to_container(OmegaConf.load(directory / results.COMPOSED))
        with refusing():
            experiment = make_experiment(config)
            data = instantiate(config["data"], _convert_="all")
        experiment.load_state_dict(weights)
    except (Refused, OSError, YAMLError, OmegaConfBaseException, LookupError, TypeError, RuntimeError) as error:
        made, here = finished.get("versions", {}).get("vaelab"), vaelab.__version__
        whose = "" if made == here else f"was made by vaelab {made}, this is {here}: it "
        raise ValueError(
            f"{directory} {whose}cannot be opened: its files do not describe a model with its weights "
            f"({type(error).__name__}: {_one_line(error)[:200]})"
        ) from error
    if reads_data:
        with refusing():
            data.prepare_data()
            data.setup()
        there, here = finished["data"], data.describe()
        if there["name"] != here["name"] or there["binarize"] != here["binarize"]:
            raise ValueError(
                f"{directory} is a run on {there['name']}, of which there is none here (but {here['name']}): {REMEDY}"
            )
    return experiment.eval(), data


def begin(run: Run, experiment: Experiment, data: ImageData) -> None:
    """Let the model start from the training images, unless it goes on, and try it on two of them."""
    train = data.sets["train"]
    if getattr(experiment.objective, "images", 0) is None:
        experiment.objective.images = len(train)
    classes = experiment.model.classes
    if classes is not None and int(train.labels.max()) >= classes:
        raise ValueError(
            f"model.classes={classes} does not fit {data.name}, whose labels go up to {int(train.labels.max())}: "
            f"take model.classes={int(train.labels.max()) + 1}"
        )
    with noise.fixed_noise(torch.device("cpu"), run.config["seed"], noise.BEGIN), torch.no_grad():
        try:
            if run.ckpt is None:
                generator = noise.generator(run.config["seed"], noise.BEGIN)
                experiment.begin(lambda: data.scale(train.images, drawn=experiment.is_solved), generator)
            x, labels = train[torch.arange(min(2, len(train)))]
            x = data.scale(x)
            made = experiment.model.given(labels)(x).px.event_shape
            if made != x.shape[1:]:
                raise ValueError(f"network and likelihood make images {tuple(made)}, expected {tuple(x.shape[1:])}")
            experiment.infer((x, labels), 0)
        except RuntimeError as error:
            raise ValueError(f"the pieces do not fit together: {_one_line(error)}") from error


def check_resumable(run: Run) -> Progress:
    """Where ``run`` goes on; a ValueError where its checkpoint is none, another's or at its end."""
    if run.ckpt is None:
        return Progress()
    checkpoint = read_checkpoint(run.ckpt)
    check_fits(run.ckpt, checkpoint, run.config)
    if "current_model_state" in checkpoint and run.config["evaluation"]["ema"] is None:
        raise ValueError(f"ckpt={run.ckpt} holds averaged weights: go on with evaluation.ema=..., as that run had")
    last = run.directory / LAST
    if run.resumes_in_place and last.exists():
        furthest = read_checkpoint(last)
        if furthest["global_step"] > checkpoint["global_step"]:
            raise ValueError(
                f"ckpt={run.ckpt} is behind {last}, which going on here would overwrite: "
                f"take that one, or branch off into a directory of its own with name=..."
            )
    done, epochs = checkpoint["epoch"] + 1, run.config["trainer"]["max_epochs"]
    cut_off_before_its_test = run.resumes_in_place and not (run.directory / RESULTS).exists()
    if done > epochs or (done == epochs and not cut_off_before_its_test):
        raise ValueError(
            f"ckpt={run.ckpt} has its {done} epochs behind it, and this command asks for {epochs}: "
            f"say epochs={2 * done}, or another number above {done}, to train it for longer"
        )
    return Progress(checkpoint["global_step"], done, checkpoint["data"])


def make_trainer(options: dict, run: Run, experiment: Experiment, data: ImageData, resumed: Progress) -> Trainer:
    """Lightning's Trainer from the configuration; what it prints on its own account is said elsewhere."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    # Named, for Lightning would otherwise take a job that Slurm started for one process of a larger run.
    environment = TorchElasticEnvironment() if _is_started_by_an_engine() else LightningEnvironment()
    plugins = [AtomicCheckpointIO(), environment]
    options = dict(options)
    del options["compile"]  # done
    precision = hardware.resolve_precision(options.pop("precision"), options["accelerator"])
    if precision == "bf16-mixed":
        plugins.append(hardware.Bfloat16Products(hardware.resolve(options["accelerator"])))
    else:
        options["precision"] = precision
    title = f"{run.config['name']} · {data.name}"
    if experiment.objective.weighs_kl:
        title += f" · β = {run.config['beta']['weight']:g}"
    events = EventFiles(run.directory, resumed.step, CHARTS if experiment.model.has_bound else CHARTS[::3])
    metrics = MetricsFile(run.directory, resumed.step)
    callbacks = [
        EpochProgress(bar=not run.side_by_side),
        Pictures(run.directory, events, title, **run.config["pictures"]),
        SaveMetrics(metrics),
        *checkpoints(run.directory, experiment.criterion, data.val > 0),
        *([] if (decay := run.config["evaluation"]["ema"]) is None else [AveragedWeights(decay)]),
    ]
    drop_idle_hooks([experiment, *callbacks])
    return Trainer(
        **options,
        logger=[events, metrics],
        callbacks=callbacks,
        plugins=plugins,
        default_root_dir=run.directory,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # data.Batches splits every batch itself, without dropping or doubling
        enable_progress_bar=False,
        enable_model_summary=False,
    )


# ---- launch ----------------------------------------------------------------------------------------------------


def launch(run: Run) -> None:
    """Check, take the directory, then run here or, with several devices, in one process for each."""
    log_to_console(quiet=run.multirun)
    with refusing():  # before anything takes time
        if run.multirun:
            take_up(run)
        else:
            results.check_free(run.directory, run.resumes_in_place)
    try:
        with refusing():
            if run.side_by_side and run.config["trainer"]["devices"] == 1:
                hardware.pin_gpu()
            parts = prepare(run)
            if _is_first_process():
                results.claim(run.directory, run.resumes_in_place or run.multirun)
                results.describe_composition(run.directory, run.config, run.overrides)
    except Refused as error:
        if run.multirun:  # the other jobs go on; here it says why this one's row is empty
            with suppress(OSError):  # the first reason is the one to tell
                results.write_json(run.directory / RESULTS, failed(run, error))
        raise
    if parts.trainer is not None:
        execute(run, parts)
    else:
        launch_processes(run, parts.processes)


def take_up(run: Run) -> None:
    """In a sweep: go on where this job was cut off or failed, else begin it anew, with nothing lost.

    A ValueError where something else lies there.
    """
    last, described = run.directory / LAST, run.directory / results.COMPOSED
    cell = find_cell(run.directory)
    if cell.results is not None and cell.results.get("status") == "failed":
        (run.directory / RESULTS).unlink()  # it is tried again, and would fail with the same words
    if not described.is_file():
        results.check_free(run.directory, resumes=False)
        results.begin_anew(run.directory)
        return
    try:
        changed = differences(OmegaConf.to_container(OmegaConf.load(described)), run.config, NOT_TRAINING)
        if last.is_file() and not changed:
            read_checkpoint(last)
    except (ValueError, YAMLError, OmegaConfBaseException) as error:  # damaged
        log.warning(f"{run.directory.name} begins anew: {_one_line(error)}")
        results.begin_anew(run.directory)
        return
    if changed:
        raise ValueError(
            f"was cut off, but with {'; '.join(changed[:3])}; nothing was touched: delete it to have it made anew, "
            "or take another place with name=..."
        )
    if last.is_file():
        results.set_aside(run.directory / RESULTS)
        run.config["ckpt"] = str(last)
    else:
        results.begin_anew(run.directory)


def launch_processes(run: Run, processes: int) -> None:
    """``execute`` in several processes, by torch's elastic launcher; Lightning finds them as under torchrun.

    Lightning's own launcher runs the command line again for every process, which in a multirun is the whole sweep.
    """
    for name in (
        "distributed.elastic.agent.server.api",
        "distributed.elastic.multiprocessing.api",
        "multiprocessing.spawn",
    ):
        logging.getLogger(f"torch.{name}").setLevel(logging.CRITICAL)  # what failed is told below
    engine = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=str(os.getpid()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="spawn",
    )
    try:
        elastic_launch(engine, execute_in_child)(run)
    except SignalException as error:
        # A process that loses the other to the signal first takes that for a failure of its own.
        written = run.directory / RESULTS
        if written.exists() and results.read_results(run.directory)["status"] == "failed":
            written.unlink()
        if error.sigval == signal.SIGTERM:
            leave_to_the_queue()
        raise Interrupted(f"interrupted; {how_to_go_on(run)}") from error
    except ChildFailedError as error:
        if not (run.directory / RESULTS).exists():  # they were stopped, and had no time to say why
            raise Refused(f"the processes of {run.directory} ended early; {how_to_go_on(run)}") from error
        raise Refused(results.read_results(run.directory).get("error", "see train.log")) from error


def leave_to_the_queue() -> None:
    """After SIGTERM in a job that submitit started: have it queued again, to go on from its last epoch.

    On this machine alone that is asked for here. Slurm queues a preempted job again by itself, unless it ended
    before, and one that the user cancels must not come back: there the job waits for its end.
    """
    engine = os.environ.get("SUBMITIT_EXECUTOR")
    if engine == "local":
        signal.raise_signal(signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"])
    while engine == "slurm":
        time.sleep(1)


def execute_in_child(run: Run) -> None:
    log_to_console(quiet=run.multirun)
    try:
        with refusing():
            parts = prepare(run)
        execute(run, parts)
    except Refused as error:
        if _is_first_process():
            results.write_json(run.directory / RESULTS, failed(run, error))
        sys.exit(1)  # the launching process tells it


def _is_started_by_an_engine() -> bool:
    return "LOCAL_RANK" in os.environ


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


# ---- fit, test, describe ---------------------------------------------------------------------------------------


def execute(run: Run, parts: Parts) -> None:
    """Fit and test; results.json is the last thing that is written, whatever happens."""
    experiment, data, trainer = parts.experiment, parts.data, parts.trainer
    log_to_file(run.directory)
    introduce(run, parts)
    if trainer.is_global_zero:
        for logger in trainer.loggers:
            logger.begin()
    try:
        with warnings.catch_warnings():
            # What Lightning warns of is meant so: batches are gathered from memory and need no workers, there may
            # be no validation, few steps between logs, and a resumed run's checkpoint folder is not empty.
            warnings.filterwarnings("ignore", category=UserWarning, module="lightning.*")
            warnings.filterwarnings("ignore", category=FutureWarning, module="lightning.*")  # of torch, to Lightning
            began = time.monotonic()
            if not experiment.is_solved:
                trainer.fit(experiment, datamodule=data, ckpt_path=run.ckpt, weights_only=True)
            fit_s = time.monotonic() - began
            began = time.monotonic()
            best = tested(run, trainer)
            trainer.test(experiment, datamodule=data, ckpt_path=best, weights_only=True, verbose=False)
            test_s = time.monotonic() - began
            if experiment.is_solved:
                trainer.save_checkpoint(run.directory / LAST)
    except TrainingDiverged as error:
        finish(run, parts, failed(run, error))
        raise Refused(f"{error}; {run.directory} keeps what there was") from error
    except SystemExit as error:  # Lightning's answer to Ctrl-C and SIGTERM
        if error.code not in (None, 1):
            raise  # submitit's, which says with its code that the job is to be queued again
        if isinstance(error, SIGTERMException):
            leave_to_the_queue()
        raise Interrupted(f"interrupted; {how_to_go_on(run)}") from error
    except OSError as error:
        with suppress(Refused):  # a disk without room for a checkpoint may have none for this either
            finish(run, parts, failed(run, error))
        raise Refused(f"{cannot_use(error)}; {how_to_go_on(run)}") from error
    except Exception as error:
        log.debug("the run failed", exc_info=True)  # Python prints it to the console, as it goes on
        finish(run, parts, failed(run, error))
        raise
    epochs, epoch = trainer.current_epoch - parts.resumed.epochs, tested_epoch(run, best)
    figures = {
        "status": "completed",
        **identity(run),
        **({} if experiment.objective.weighs_kl else {"beta": None}),
        **({"epochs": 0} if experiment.is_solved else {}),
        "steps": trainer.global_step,
        "parameters": sum(weight.numel() for weight in experiment.model.parameters()),
        "data": {**data.describe(), "test": experiment.tested_images},
        "tested": {"checkpoint": "best" if best else "last", "epoch": epoch},
        "validation": results.validated(run.directory, epoch),
        "test": experiment.results,
        "time": {"begin_s": parts.begin_s, "fit_s": fit_s, "epoch_s": fit_s / max(1, epochs), "test_s": test_s},
        "device": hardware.describe_device(run.config["trainer"]["accelerator"], trainer.world_size),
        "precision": trainer.precision,
        "versions": results.versions(),
    }
    finish(run, parts, figures)
    if trainer.is_global_zero:
        try:
            # Lightning has moved the model to the CPU when it was done.
            appraise(run, experiment.to(trainer.strategy.root_device).eval(), data)
        except KeyboardInterrupt as error:
            raise Interrupted(
                f"interrupted; the run is complete, and python scripts/evaluate.py {run.directory} does what is missing"
            ) from error
        except OSError as error:
            raise Refused(f"{cannot_use(error)}; the run itself is complete in {run.directory}") from error


def appraise(run: Run, experiment: Experiment, data: ImageData) -> None:
    """Add the parts of an appraisal that every run ends with, of the tested weights, to its results."""
    asked = run.config["evaluation"]
    same = ("chunk", "prior_samples", "active_variance", "aggregate_images")
    settings = Settings(nll_samples=max(2, asked["nll_samples"]), **{name: asked[name] for name in same})
    subject = Subject(experiment, data, settings)
    for part in missing_parts(find_cell(run.directory), run.config):
        results.add_evaluation(run.directory, part, find(part, subject))
    if asked["parts"]:
        log.info(f"evaluated {', '.join(asked['parts'])}; more by python scripts/evaluate.py {run.directory}")


def appraise_finished(run: Run) -> None:
    """The same for a job of a sweep that was cut off after its test."""
    log_to_console(quiet=run.multirun)
    with refusing():
        check_options(run.config)
    experiment, data = reopen(run.directory)
    root = torch.device(hardware.resolve(run.config["trainer"]["accelerator"]))
    appraise(run, experiment.to(root), data)


def tested(run: Run, trainer: Trainer) -> Path | None:
    """The checkpoint whose weights are tested; None for those that are in memory, the last."""
    if run.config["evaluation"]["checkpoint"] == "last":
        return None
    best = [callback.path for callback in trainer.checkpoint_callbacks if isinstance(callback, BestCheckpoint)]
    return next((path for path in best if path.is_file()), None)  # none where nothing was validated


def tested_epoch(run: Run, best: Path | None) -> int:
    """After which epoch the tested weights were saved, from 1; 0 where there was none."""
    path = best or run.directory / LAST
    checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return checkpoint["epoch"] + 1 if checkpoint["global_step"] else 0


def identity(run: Run) -> dict[str, object]:
    """What a run is, as far as its configuration says it."""
    config = run.config
    return {
        "name": config["name"],
        "overrides": run.overrides,
        **{group: run.choices.get(group) for group in GROUPS},
        "latent": config["latent"],
        "beta": config["beta"]["weight"],
        "seed": config["seed"],
        "epochs": config["trainer"]["max_epochs"],
        "choices": run.choices,
        "config": config,
        "commit": commit(),
    }


def overridden(run: Run) -> dict[str, bool | int | float | str]:
    """The options that the command line named, such as optimizer.lr, as far as they are single values."""
    names = {word.lstrip("+~").partition("=")[0] for word in run.overrides} - {"name", "ckpt"}
    composed = flat(run.config)
    return {name: composed[name] for name in sorted(names) if isinstance(composed.get(name), (bool, int, float, str))}


def failed(run: Run, error: BaseException) -> dict[str, object]:
    return {"status": "failed", "error": _one_line(error) or type(error).__name__, **identity(run)}


def how_to_go_on(run: Run) -> str:
    last = run.directory / LAST
    if last.exists():
        return f"go on with: python train.py {shlex.quote(f'ckpt={last}')}"
    return f"it had finished no epoch, so there is nothing to go on from in {run.directory}"


class ConsoleHandler(logging.StreamHandler):
    """Standard output, until nobody reads it any more: `train.py | head` shall not stop a run, nor fill the screen."""

    def handleError(self, record: logging.LogRecord) -> None:
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            logging.getLogger("vaelab").removeHandler(self)
        else:
            super().handleError(record)


def log_to_console(quiet: bool = False) -> None:
    """vaelab's messages as they are, to standard output, from one process only; ``quiet`` leaves a line or two."""
    root = logging.getLogger("vaelab")
    for handler in root.handlers[:]:  # of the job before, in a multirun
        root.removeHandler(handler)
        handler.close()
    root.setLevel(logging.DEBUG)
    console = ConsoleHandler(sys.stdout) if _is_first_process() else logging.NullHandler()
    console.setLevel(SUMMARY if quiet else logging.INFO)
    root.addHandler(console)


def log_to_file(directory: Path) -> None:
    """The same with times, and every epoch's line, to train.log."""
    if _is_first_process():
        file = logging.FileHandler(directory / "train.log", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logging.getLogger("vaelab").addHandler(file)


def introduce(run: Run, parts: Parts) -> None:
    """What is about to run, in two lines."""
    described = parts.data.describe()
    choices = ", ".join(f"{group} {run.choices.get(group)}" for group in GROUPS)
    log.log(
        SUMMARY if run.multirun else logging.DEBUG,
        f"{run.directory.name}: {'goes on' if run.ckpt else 'begins'}",
    )
    log.info(f"{run.directory}: {choices}, latent {run.config['latent']}")
    log.info(
        f"{described['name']} with {described['train']:,} images to train, {described['val']:,} to validate, "
        f"{described['test']:,} to test, batches of {described['batch_size']}; "
        f"{hardware.describe_device(run.config['trainer']['accelerator'], 1)}, {parts.trainer.precision}, "
        f"{parts.processes} process(es)"
    )
    if parts.data.is_stand_in:
        log.warning(STAND_IN)
    if run.ckpt:
        log.info(f"going on from {run.ckpt}, step {parts.resumed.step}")


STAND_IN = "WARNING: this is not MNIST but mnist5k, 5,000 of its images; the figures must not be compared with MNIST's"


def finish(run: Run, parts: Parts, figures: dict[str, object]) -> None:
    """results.json, TensorBoard's HParams, and what the user sees at the end."""
    if not _is_first_process():
        return
    if figures["status"] == "completed":
        test = figures["test"]
        told = {key: figures[key] for key in (*GROUPS, "latent", "beta", "seed", "epochs") if figures[key] is not None}
        if run.multirun:  # of a single run they would hide the others
            told |= overridden(run)
        events = parts.trainer.logger
        events.log_hyperparams(
            told, {f"test/{name}": value for name, value in test.items()}, step=parts.trainer.global_step
        )
        events.experiment.flush()
    try:
        results.write_json(run.directory / RESULTS, figures)
    except OSError as error:
        raise Refused(cannot_use(error)) from error
    if figures["status"] == "completed":
        show(run, parts, figures)


def show(run: Run, parts: Parts, figures: dict) -> None:
    """The test's figures as a short table, where things are, and how to look at them."""
    table = Table(title=f"{figures['data']['test']:,} test images of {figures['data']['name']}", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("what it is", overflow="fold")
    explained = {
        "elbo": "nats per image, codes sampled, beta = 1",
        "rate": "KL(q(z|x) || p(z))",
        "distortion": "-E log p(x|z)",
        "nll": f"-log p(x), {figures['test'].get('nll_samples')} importance samples",
        "nll_stderr": "Monte Carlo standard error of nll",
        "gap": "KL(q(z|x) || p(z|x)) = -elbo - nll",
        "active_units": f"of {figures['latent']} latents",
        "posterior_std": "the posterior's standard deviation, mean over latents",
        "iwae": "the importance-weighted bound with loss.samples codes",
        "mutual_information": "I(x; z), estimated from batches",
        "total_correlation": "KL(q(z) || prod_d q(z_d)), estimated from batches",
        "dimension_kl": "sum_d KL(q(z_d) || p(z_d)), estimated from batches",
        "mse": "squared error per image, summed over pixels",
    }
    if run.choices.get("likelihood") == "bernoulli" and figures["data"]["binarize"] == "none":
        table.caption = "Grey pixels: nats of a cross-entropy, not of a likelihood; not to be compared with nats of "
        table.caption += "binarised images (data.binarize)."
        table.caption_justify = "left"
    for name, what in explained.items():
        if name in figures["test"]:
            value = figures["test"][name]
            table.add_row(name, str(value) if isinstance(value, int) else f"{value:.3f}", what)
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(table)
    log.info(captured.get().rstrip())
    took = figures["time"]
    checkpoint = figures["tested"]
    log.info(
        f"fit {took['fit_s']:.1f} s ({took['epoch_s']:.2f} s per epoch), test {took['test_s']:.1f} s "
        f"of the {checkpoint['checkpoint']} weights, epoch {checkpoint['epoch']}"
    )
    told = (f"{name} {figures['test'][name]:.3f}" for name in explained if name in figures["test"] and name in BRIEF)
    log.log(
        SUMMARY if run.multirun else logging.DEBUG,
        f"{run.directory.name}: {', '.join(told)} after {took['begin_s'] + took['fit_s'] + took['test_s']:.0f} s",
    )
    log.info(f"results   {run.directory / RESULTS}")
    log.info(f"pictures  {run.directory / 'figures'}")
    log.info(f"curves    {os.path.relpath(Path(sys.executable).parent / 'tensorboard')} --logdir {run.directory}")
    if parts.data.is_stand_in and not run.multirun:
        log.warning(STAND_IN)
