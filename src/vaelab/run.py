"""One run, from a composed configuration to results.json: check, take the directory, fit, test, describe.

The only module beside train.py that knows Hydra, for ``instantiate`` alone: the command line stays quick to import,
and a process that DDP starts can do a run without one.
"""

import logging
import os
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
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from rich.console import Console
from rich.table import Table
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from vaelab import hardware, noise, results
from vaelab.callbacks import EpochProgress, EventFiles, MetricsFile, Pictures, SaveMetrics, checkpoints
from vaelab.checkpoints import AtomicCheckpointIO, check_fits, read_checkpoint
from vaelab.checks import Refused, cannot_use, one_of, whole
from vaelab.data import ImageData
from vaelab.experiment import Experiment, TrainingDiverged

log = logging.getLogger(__name__)

GROUPS = ("model", "network", "likelihood", "prior", "loss")  # the choices that results.json names


@dataclass
class Run:
    """One run as composed, in plain values, which can go to another process."""

    config: dict
    overrides: list[str]
    choices: dict[str, str]  # group -> member
    directory: Path
    multirun: bool = False

    @property
    def ckpt(self) -> Path | None:
        return Path(self.config["ckpt"]) if self.config["ckpt"] else None

    @property
    def resumes_in_place(self) -> bool:
        return self.ckpt is not None and self.ckpt.resolve().is_relative_to(self.directory.resolve())


@dataclass
class Parts:
    """The objects of a run, made and checked before anything is written."""

    data: ImageData
    experiment: Experiment
    trainer: Trainer | None  # None where the processes that train are yet to be started
    processes: int
    resumed_step: int


# ---- check -----------------------------------------------------------------------------------------------------


@contextmanager
def refusing() -> Iterator[None]:
    """What a part, a library or the file system objects to, as the one line of a Refused."""
    try:
        yield
    except InstantiationException as error:
        where, cause = str(error).splitlines()[-1].removeprefix("full_key: "), error.__cause__
        text = _one_line(cause or error)
        raise Refused(text if isinstance(cause, (ValueError, Refused)) else f"{where}: {text}") from error
    except OSError as error:
        raise Refused(cannot_use(error)) from error
    except (ValueError, TypeError, HydraException, MisconfigurationException) as error:
        raise Refused(_one_line(error)) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def prepare(run: Run) -> Parts:
    """Make every part and check that they fit; nothing is written but downloaded data."""
    config = run.config
    name, evaluation, trainer = config["name"], config["evaluation"], config["trainer"]
    if not isinstance(name, str) or Path(name).name != name or not name.strip():
        raise ValueError(f"name must be the plain name of a folder, got {name!r}")
    seed = whole("seed", config["seed"], 0)
    whole("epochs", config["epochs"])
    whole("trainer.max_epochs", trainer["max_epochs"])  # the same number, unless somebody says it there
    one_of("evaluation.checkpoint", evaluation["checkpoint"], ("best", "last"))
    hardware.check_accelerator(trainer["accelerator"])
    processes = hardware.count_processes(trainer["accelerator"], trainer["devices"])
    resumed_step = check_resumable(run)
    # Before the first product, so that torch's threads inherit it: the gradients of pixels that are never lit get
    # ever smaller, and arithmetic on denormal numbers is many times slower.
    torch.set_flush_denormal(True)
    if processes > 1 and hardware.resolve(trainer["accelerator"]) == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    torch.manual_seed(noise.mix(seed, noise.INIT))
    experiment = Experiment(
        *(instantiate(config[part], _convert_="all") for part in ("model", "loss", "beta", "optimizer", "lr")),
        seed=seed,
        nll_samples=evaluation["nll_samples"],
        chunk=evaluation["chunk"],
        config={key: value for key, value in config.items() if key not in ("name", "ckpt")},
    )
    data = instantiate(config["data"], _convert_="all")
    if not _is_started_by_an_engine():
        data.prepare_data()
    data.setup()
    if data.batch_size % processes:
        raise ValueError(f"data.batch_size={data.batch_size} does not split evenly over {processes} processes")
    trains_here = processes == 1 or _is_started_by_an_engine()
    return Parts(
        data,
        experiment,
        make_trainer(run, experiment, data, resumed_step) if trains_here else None,
        processes,
        resumed_step,
    )


def check_resumable(run: Run) -> int:
    """The step at which ``run`` goes on; a ValueError where its checkpoint is none, another's or at its end."""
    if run.ckpt is None:
        return 0
    checkpoint = read_checkpoint(run.ckpt)
    check_fits(run.ckpt, checkpoint, run.config)
    last = run.directory / results.LAST
    if run.resumes_in_place and last.exists():
        furthest = read_checkpoint(last)
        if furthest["global_step"] > checkpoint["global_step"]:
            raise ValueError(
                f"ckpt={run.ckpt} is behind {last}, which going on here would overwrite: "
                f"take that one, or branch off into a directory of its own with name=..."
            )
    done, epochs = checkpoint["epoch"] + 1, run.config["trainer"]["max_epochs"]
    cut_off_before_its_test = run.resumes_in_place and not (run.directory / results.RESULTS).exists()
    if done > epochs or (done == epochs and not cut_off_before_its_test):
        raise ValueError(
            f"ckpt={run.ckpt} has its {done} epochs behind it: ask for more than that, not epochs={epochs}"
        )
    return checkpoint["global_step"]


def make_trainer(run: Run, experiment: Experiment, data: ImageData, resumed_step: int) -> Trainer:
    """Lightning's Trainer from the configuration; what it prints on its own account is said elsewhere."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    options = dict(run.config["trainer"])
    options["precision"] = hardware.resolve_precision(options["precision"], options["accelerator"])
    title = f"{run.config['name']} · {data.name}"
    if experiment.objective.weighs_kl:
        title += f" · β = {run.config['beta']['weight']:g}"
    return Trainer(
        **options,
        logger=[
            EventFiles(run.directory, resumed_step),
            MetricsFile(run.directory),
        ],
        callbacks=[
            EpochProgress(),
            Pictures(run.directory, run.config["pictures"]["every"], title),
            SaveMetrics(),
            *checkpoints(run.directory, experiment.model.has_bound, data.val > 0),
        ],
        plugins=[AtomicCheckpointIO()],
        default_root_dir=run.directory,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # data.Batches splits every batch itself, without dropping or doubling
        enable_progress_bar=False,
        enable_model_summary=False,
    )


# ---- launch ----------------------------------------------------------------------------------------------------


def launch(run: Run) -> None:
    """Check, take the directory, then run here or, with several devices, in one process for each."""
    log_to_console()
    try:
        with refusing():
            parts = prepare(run)
            if _is_first_process():
                results.claim(run.directory, run.resumes_in_place)
                results.describe_composition(run.directory, run.config, run.overrides)
    except Refused as error:
        if run.multirun and not (run.directory / results.RESULTS).exists():
            # The other jobs go on; here it says why this one's row is empty.
            results.write_json(run.directory / results.RESULTS, failed(run, error))
        else:
            results.release(run.directory)
        raise
    if parts.trainer is not None:
        execute(run, parts)
    else:
        launch_processes(run, parts.processes)


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
        written = run.directory / results.RESULTS
        if written.exists() and results.read_results(run.directory)["status"] == "failed":
            written.unlink()
        raise Refused(f"interrupted; {how_to_go_on(run)}") from error
    except ChildFailedError as error:
        if not (run.directory / results.RESULTS).exists():  # they were stopped, and had no time to say why
            raise Refused(f"the processes of {run.directory} ended early; {how_to_go_on(run)}") from error
        raise Refused(results.read_results(run.directory).get("error", "see train.log")) from error


def execute_in_child(run: Run) -> None:
    log_to_console()
    try:
        with refusing():
            parts = prepare(run)
        execute(run, parts)
    except Refused as error:
        if _is_first_process():
            results.write_json(run.directory / results.RESULTS, failed(run, error))
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
            if isinstance(logger, MetricsFile):
                logger.go_on(parts.resumed_step)
    try:
        with warnings.catch_warnings():
            # What Lightning warns of is meant so: batches are gathered from memory and need no workers, there may
            # be no validation, few steps between logs, and a resumed run's checkpoint folder is not empty.
            warnings.filterwarnings("ignore", category=UserWarning, module="lightning.*")
            warnings.filterwarnings("ignore", category=FutureWarning, module="lightning.*")  # of torch, to Lightning
            began = time.monotonic()
            trainer.fit(experiment, datamodule=data, ckpt_path=run.ckpt, weights_only=True)
            fit_s = time.monotonic() - began
            began = time.monotonic()
            trainer.test(experiment, datamodule=data, ckpt_path=tested(run, trainer), weights_only=True, verbose=False)
            test_s = time.monotonic() - began
    except TrainingDiverged as error:
        finish(run, parts, failed(run, error))
        raise Refused(f"{error}; {run.directory} keeps what there was") from error
    except SystemExit as error:  # Lightning's answer to Ctrl-C
        raise Refused(f"interrupted; {how_to_go_on(run)}") from error
    except OSError as error:
        with suppress(Refused):  # a disk without room for a checkpoint may have none for this either
            finish(run, parts, failed(run, error))
        raise Refused(f"{cannot_use(error)}; {how_to_go_on(run)}") from error
    except Exception as error:
        log.debug("the run failed", exc_info=True)  # Python prints it to the console, as it goes on
        finish(run, parts, failed(run, error))
        raise
    epochs = trainer.current_epoch - (parts.resumed_step // max(1, trainer.num_training_batches))
    figures = {
        "status": "completed",
        **identity(run),
        **({} if experiment.objective.weighs_kl else {"beta": None}),
        "steps": trainer.global_step,
        "parameters": sum(weight.numel() for weight in experiment.model.parameters()),
        "data": data.describe(),
        "test": experiment.results,
        "time": {"fit_s": fit_s, "epoch_s": fit_s / max(1, epochs), "test_s": test_s},
        "device": hardware.describe_device(run.config["trainer"]["accelerator"], trainer.world_size),
        "precision": trainer.precision,
        "versions": results.versions(),
        "commit": results.commit(),
    }
    finish(run, parts, figures)


def tested(run: Run, trainer: Trainer) -> str | None:
    """The checkpoint whose weights are tested; None for those that are in memory, the last."""
    best = [callback.best_model_path for callback in trainer.checkpoint_callbacks if callback.monitor]
    return best[0] if best and run.config["evaluation"]["checkpoint"] == "best" else None


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
    }


def failed(run: Run, error: BaseException) -> dict[str, object]:
    return {"status": "failed", "error": _one_line(error) or type(error).__name__, **identity(run)}


def how_to_go_on(run: Run) -> str:
    last = run.directory / results.LAST
    if last.exists():
        return f"go on with: python train.py ckpt={last}"
    return f"it had finished no epoch, so there is nothing to go on from in {run.directory}"


def log_to_console() -> None:
    """vaelab's messages as they are, to standard output, from one process only."""
    root = logging.getLogger("vaelab")
    for handler in root.handlers[:]:  # of the job before, in a multirun
        root.removeHandler(handler)
        handler.close()
    root.setLevel(logging.DEBUG)
    console = logging.StreamHandler(sys.stdout) if _is_first_process() else logging.NullHandler()
    console.setLevel(logging.INFO)
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
    log.info(f"{run.directory}: {choices}, latent {run.config['latent']}")
    log.info(
        f"{described['name']} with {described['train']:,} images to train, {described['val']:,} to validate, "
        f"{described['test']:,} to test; {hardware.describe_device(run.config['trainer']['accelerator'], 1)}, "
        f"{parts.trainer.precision}, {parts.processes} process(es)"
    )
    if parts.data.is_stand_in:
        log.warning(STAND_IN)
    if run.ckpt:
        log.info(f"going on from {run.ckpt}, step {parts.resumed_step}")


STAND_IN = "WARNING: this is not MNIST but mnist5k, 5,000 of its images; the figures must not be compared with MNIST's"


def finish(run: Run, parts: Parts, figures: dict[str, object]) -> None:
    """results.json, TensorBoard's HParams, and what the user sees at the end."""
    if not _is_first_process():
        return
    if figures["status"] == "completed":
        test = figures["test"]
        flat = {key: figures[key] for key in (*GROUPS, "latent", "beta", "seed", "epochs") if figures[key] is not None}
        for logger in parts.trainer.loggers:
            if isinstance(logger, EventFiles):
                logger.log_hyperparams(flat, {f"test/{name}": value for name, value in test.items()})
                logger.experiment.flush()
    try:
        results.write_json(run.directory / results.RESULTS, figures)
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
        "mse": "squared error per image, summed over pixels",
    }
    for name, what in explained.items():
        if name in figures["test"]:
            value = figures["test"][name]
            table.add_row(name, str(value) if isinstance(value, int) else f"{value:.3f}", what)
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(table)
    log.info(captured.get().rstrip())
    took = figures["time"]
    log.info(f"fit {took['fit_s']:.1f} s ({took['epoch_s']:.2f} s per epoch), test {took['test_s']:.1f} s")
    log.info(f"results   {run.directory / results.RESULTS}")
    log.info(f"pictures  {run.directory / 'figures'}")
    log.info(f"curves    {os.path.relpath(Path(sys.executable).parent / 'tensorboard')} --logdir {run.directory}")
    if parts.data.is_stand_in:
        log.warning(STAND_IN)
