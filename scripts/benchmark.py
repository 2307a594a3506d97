"""Compare the speed of this framework with other implementations: a table of time ratios and their targets.

    python scripts/benchmark.py                      # all of it, an hour and a quarter on 2 cores
    python scripts/benchmark.py epoch nll --rounds 7 --json out.json

    epoch     the tutorials' VAE at batch 128: a tutorial's loop, pythae, a bare loop, its matrix products alone
    batches   the same at batch 512 and 2048, and in bfloat16 where the CPU multiplies it
    models    conv, resnet, IWAE of 50 samples and a VampPrior of 500, each beside a bare loop for the same model
    folder    the batches of 20,000 colour JPEG files: torchvision's ImageFolder and DataLoader
    nll       log p(x) with 5,000 samples: pythae, the decoder's products alone
    start     --help; launch to first step, and the end of training to the exit, beside importing torch and lightning
    sweep     8 jobs two by two (joblib) beside one after the other
    curve     the report over two latent sizes and five beta: a multi-rate run for each size, beside five separate runs
    stacked   16 runs that differ in their seeds trained together, beside one alone
    memory    peak of a run's memory beside the bare loop's
    growth    cost per image, latent and sample as they get more
    age       the 200th epoch beside the first
    quality   seconds to a test ELBO of -100.3 beside the tutorial's 200 epochs

The implementations alternate within one process, a round each, so that other load on the machine slows all of them. A
ratio is the median of the rounds' ratios, without the first round. This framework ("ours") trains through the Trainer
as `python train.py` does, with loggers, progress bar (on a terminal of its own), plots and checkpoints.
"""

import argparse
import copy
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from lightning import Callback, LightningModule, Trainer
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_sample_images
from torch import nn

import rivals
from vaelab import hardware
from vaelab.data.folder import FolderImages
from vaelab.evaluation.importance import importance_weights
from vaelab.runs.options import resolve
from vaelab.runs.prepare import make_module, prepare
from vaelab.runs.run import Components, Run
from vaelab.training.stacked import Stack

ROOT = Path(__file__).resolve().parents[1]
SEED_VAE = ("experiment=seed/vae",)
TUTORIAL_ELBO, TUTORIAL_EPOCHS = -100.3, 200  # docs/recipes.md


@dataclass
class Row:
    """One comparison: ``ratio`` is ours over the rival's, or with ``faster`` the rival's over ours."""

    what: str
    rival: str
    ours: float
    theirs: float
    unit: str
    ratio: float
    reach: float | None = None  # the target; None: there is none
    faster: bool = False

    @property
    def cells(self) -> tuple[str, ...]:
        if self.reach is None:
            reach, verdict = "", ""
        else:
            reach = f"{'≥' if self.faster else '≤'} {self.reach:g}"
            verdict = "yes" if (self.ratio >= self.reach if self.faster else self.ratio <= self.reach) else "no"
        values = (f"{self.ours:.3g} {self.unit}", f"{self.theirs:.3g} {self.unit}", f"{self.ratio:.2f}")
        return (self.what, self.rival, *values, reach, verdict)


def compared(what: str, rival: str, ours: list[float], theirs: list[float], unit: str = "s", **reach: object) -> Row:
    pairs = list(zip(ours, theirs, strict=True))
    ratio = statistics.median(b / a if reach.get("faster") else a / b for a, b in pairs)
    return Row(what, rival, statistics.median(ours), statistics.median(theirs), unit, ratio, **reach)


# ---- ours ------------------------------------------------------------------------------------------------------


def composed(*overrides: str) -> dict:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return resolve(compose("config", overrides=["name=benchmark", "accelerator=cpu", *overrides]))


@contextmanager
def terminal() -> Iterator[None]:
    """In the block, standard output is a terminal whose content is discarded."""
    master, slave = os.openpty()

    def drain() -> None:
        with suppress(OSError):
            while os.read(master, 65536):
                pass

    threading.Thread(target=drain, daemon=True).start()
    before = sys.stdout
    with os.fdopen(slave, "w") as sys.stdout:
        try:
            yield
        finally:
            sys.stdout = before
    os.close(master)


class Rounds(Callback):
    """Times every epoch of ours, with logging and saving, and runs a round of each rival after it."""

    def __init__(self, turns: dict[str, Callable[[], float]]) -> None:
        self.turns = turns
        self.times: dict[str, list[float]] = {name: [] for name in ("ours", *turns)}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.began = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning calls this before it saves the checkpoint, whose time therefore counts in the next round."""
        self.times["ours"].append(time.perf_counter() - self.began)
        for name, turn in self.turns.items():
            self.times[name].append(turn())
        self.began = time.perf_counter()


def rounds_of(
    make_turns: Callable[[Components], dict[str, Callable[[], float]]], rounds: int, *overrides: str
) -> dict[str, list[float]]:
    """Seconds of each of ``rounds`` epochs of ours and of each rival; ``make_turns`` makes the rivals."""
    config = composed(*overrides, f"epochs={rounds + 1}")
    with tempfile.TemporaryDirectory() as folder, terminal(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        components = prepare(Run(config, [], {}, Path(folder)))
        callback = Rounds(make_turns(components))
        components.trainer.callbacks.insert(len(components.trainer.callbacks) - 1, callback)
        for logger in components.trainer.loggers:
            logger.begin()
        components.trainer.fit(components.module, datamodule=components.data)
    return {name: times[1:] for name, times in callback.times.items()}


# ---- measurements ----------------------------------------------------------------------------------------------


def epoch(rounds: int) -> Iterator[Row]:
    def turns(components: Components) -> dict[str, Callable[[], float]]:
        train = components.data.sets["train"]
        made = {
            "tutorial": rivals.Tutorial(train.images, train.labels, 128).epoch,
            "bare loop": rivals.BareLoop(train.images, 128).epoch,
            "products": rivals.Products(len(train), 128).epoch,
        }
        if find_spec("pythae"):
            made["pythae"] = rivals.Pythae(train.images, 128).epoch
        return made

    reach = {
        "tutorial": {"reach": 2.3, "faster": True}, "pythae": {"reach": 1.8, "faster": True},
        "bare loop": {"reach": 1.2}, "products": {},
    }  # fmt: skip
    times = rounds_of(turns, rounds, *SEED_VAE, "trainer.precision=32-true")
    for rival in [name for name in reach if name in times]:
        yield compared("epoch, batch 128, fp32", rival, times["ours"], times[rival], **reach[rival])
    if hardware.cpu_has_bf16():  # what ours takes by itself
        times = rounds_of(turns, rounds, *SEED_VAE, "trainer.precision=auto")
        for rival in [name for name in reach if name in times]:
            faster = {"faster": True} if "faster" in reach[rival] else {}
            what = "epoch, batch 128, ours in bf16"
            yield compared(what, f"{rival}, fp32", times["ours"], times[rival], **faster)


def batches(rounds: int) -> Iterator[Row]:
    precisions = ["32-true", *(["bf16-mixed"] if hardware.cpu_has_bf16() else [])]
    for batch_size in (512, 2048):
        for precision in precisions:
            bf16 = precision == "bf16-mixed"

            def turns(components: Components, batch_size: int = batch_size, bf16: bool = bf16) -> dict[str, Callable]:
                images = components.data.sets["train"].images
                return {
                    "bare loop": rivals.BareLoop(images, batch_size, bf16).epoch,
                    "products": rivals.Products(len(images), batch_size, bf16).epoch,
                }

            times = rounds_of(
                turns, rounds, *SEED_VAE, f"data.batch_size={batch_size}", f"trainer.precision={precision}"
            )
            what = f"epoch, batch {batch_size}, {'bf16' if bf16 else 'fp32'}"
            yield compared(what, "bare loop", times["ours"], times["bare loop"], reach=1.15)
            yield compared(what, "products", times["ours"], times["products"])


def models(rounds: int) -> Iterator[Row]:
    def networks(components: Components) -> tuple[nn.Module, nn.Module]:
        model = components.module.model
        return copy.deepcopy(model.posterior.network), copy.deepcopy(model.likelihood.network)

    def bare(components: Components, **options: object) -> dict[str, Callable[[], float]]:
        images = components.data.sets["train"].images
        return {"bare loop": rivals.BareLoop(images, 128, networks=networks(components), **options).epoch}

    def with_vamp(components: Components) -> dict[str, Callable[[], float]]:
        logits = nn.Parameter(components.module.model.prior.logits.detach().clone())
        return bare(components, loss=rivals.vamp(logits), others=[logits])

    kinds = {
        "conv": (bare, 3000, ("network=conv",)),
        "resnet": (bare, 1500, ("network=resnet",)),
        "IWAE, K = 50": (
            lambda components: bare(components, loss=rivals.iwae(50)),
            6000,
            ("loss=iwae", "loss.samples=50"),
        ),
        "VampPrior, 500": (with_vamp, 12000, ("prior=vamp",)),
    }
    for what, (turns, images, overrides) in kinds.items():
        times = rounds_of(turns, rounds, *SEED_VAE, f"data.train={images}", "trainer.precision=32-true", *overrides)
        yield compared(f"{what}: {images:,} images", "bare loop", times["ours"], times["bare loop"], reach=1.15)


def folder(rounds: int, images: int = 20_000, side: int = 64, batch_size: int = 64) -> Iterator[Row]:
    """Batches without training: ours decodes the files into a cache in the first epoch, ImageFolder in every epoch."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "photos"
        write_photographs(root, images)
        theirs = rivals.DecodedAnew(root, side, batch_size)
        first, later, anew = [], [], []
        for number in range(1 + max(1, rounds // 2)):
            options = {"size": side, "batch_size": batch_size, "eval_batch_size": 500, "val": 0, "test_share": 0.001}
            data = FolderImages(root=str(root), cache=f"{place}/cache{number}", **options)
            first.append(rivals.timed(lambda data=data: read_once(data)))
            later.append(rivals.timed(lambda data=data: scaled_batches(data)))
            anew.append(theirs.epoch())
    what = f"{images:,} JPEG files, {side} x {side} x 3"
    yield compared(f"{what}, first epoch", "ImageFolder", first[1:], anew[1:], reach=1, faster=True)
    yield compared(f"{what}, later epochs", "ImageFolder", later[1:], anew[1:], reach=5, faster=True)


def write_photographs(root: Path, images: int) -> None:
    """Crops of 128 x 96 pixels of the photographs that come with scikit-learn, in two classes."""
    random, photographs = np.random.default_rng(0), load_sample_images().images
    for index in range(images):
        photograph = photographs[index % 2]
        top, left = random.integers(0, [photograph.shape[0] - 96, photograph.shape[1] - 128])
        path = root / "ab"[index % 2] / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph[top : top + 96, left : left + 128]).save(path)


def read_once(data: FolderImages) -> None:
    data.prepare_data()
    data.setup()
    scaled_batches(data)


def scaled_batches(data: FolderImages) -> None:
    rivals.exhaust(data.scale(x) for x, _ in data.train_dataloader())


def nll(rounds: int, images: int = 50, samples: int = 5_000) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        components = prepare(Run(composed(*SEED_VAE), [], {}, Path(folder)))
    test, model = components.data.sets["test"], components.module.model.eval()
    x = components.data.scale(test.images[:images])
    pythae = rivals.Pythae(components.data.sets["train"].images[:1000], 128) if find_spec("pythae") else None
    names = ("ours", "ours, bf16", "ours, widened", "products", "products, bf16", "pythae")
    times: dict[str, list[float]] = {name: [] for name in names}
    has_bf16 = hardware.cpu_has_bf16()
    with torch.no_grad():
        for _ in range(rounds + 1):
            times["ours"].append(rivals.timed(lambda: importance_weights(model, x, samples)))
            times["products"].append(rivals.decoding_products(images * samples))
            times["ours, widened"].append(
                rivals.timed(lambda: importance_weights(model, x, samples // 10, bf16=has_bf16, widen=1.5))
            )
            if has_bf16:
                times["ours, bf16"].append(rivals.timed(lambda: importance_weights(model, x, samples, bf16=True)))
                times["products, bf16"].append(rivals.decoding_products(images * samples, bf16=True))
            if pythae is not None:
                few = images // 10
                times["pythae"].append(pythae.nll(test.images[:few], samples) * images / few)
    times = {name: [10_000 / images * value for value in values[1:]] for name, values in times.items() if values}
    what = f"nll of 10,000 images, K = {samples:,}"
    if pythae is not None:
        yield compared(what, "pythae", times["ours"], times["pythae"], reach=5, faster=True)
        few = f"nll of 10,000 images, K = {samples // 10:,}, widen=1.5"  # as accurate: docs/evaluation.md
        yield compared(few, f"pythae, K = {samples:,}", times["ours, widened"], times["pythae"], reach=8, faster=True)
    yield compared(what, "products", times["ours"], times["products"], reach=2)
    if "ours, bf16" in times:
        if pythae is not None:  # in bfloat16 is how scripts/evaluate.py does it, where the CPU multiplies that
            yield compared(f"{what}, bf16", "pythae, fp32", times["ours, bf16"], times["pythae"], reach=5, faster=True)
        yield compared(f"{what}, bf16", "products, bf16", times["ours, bf16"], times["products, bf16"])
        yield compared(f"{what}, bf16", "products, fp32", times["ours, bf16"], times["products"])


FIRST_STEP = """
import runpy, sys, time
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
hook = register_optimizer_step_post_hook(lambda *_: (print("STEP", time.time(), flush=True), hook.remove()))
from lightning import Trainer
fit = Trainer.fit
def timed(*arguments, **options):
    fit(*arguments, **options)
    print("FITTED", time.time(), flush=True)
Trainer.fit = timed
sys.argv[0] = "train.py"
runpy.run_path("train.py", run_name="__main__")
"""


def start(rounds: int) -> Iterator[Row]:
    helps, imports, steps, exits = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            helps.append(timed_command([sys.executable, "train.py", "--help"])[0])
            imports.append(timed_command([sys.executable, "-c", "import torch, lightning"])[0])
            began = time.time()
            words = ["accelerator=cpu", "trainer=debug", "evaluation.parts=[]", "evaluation.nll_samples=0"]
            _, out = timed_command(
                [sys.executable, "-c", FIRST_STEP, *words, f"hydra.run.dir={folder}/{number}", f"name=start{number}"]
            )
            ended = time.time()
            at = {
                line.split()[0]: float(line.split()[1]) for line in out.splitlines() if line[:5] in ("STEP ", "FITTE")
            }
            steps.append(at["STEP"] - began)
            exits.append(ended - at["FITTED"])
    helps, imports, steps, exits = (times[1:] for times in (helps, imports, steps, exits))
    yield Row("--help", "1 s", statistics.median(helps), 1, "s", statistics.median(helps), reach=1)
    limit = [seconds + 1.5 for seconds in imports]
    yield compared("launch to first step", "imports alone + 1.5 s", steps, limit, reach=1)
    yield compared("end of fit to exit, no evaluation", "imports alone + 1.5 s", exits, limit, reach=1)


def timed_command(command: list[str], **environment: str) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed: {done.stderr[-500:]}")
    return time.perf_counter() - began, done.stdout


def sweep(rounds: int) -> Iterator[Row]:
    words = ["-m", "experiment=short", "epochs=5", "latent=2,5,10,20", "seed=1,2", "accelerator=cpu"]
    both: dict[str, list[float]] = {"joblib": [], "basic": []}
    for _ in range(max(1, rounds // 3)):
        for launcher, times in both.items():
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "train.py", *words, f"hydra.sweep.dir={folder}/sweep"]
                times.append(timed_command([*command, f"hydra/launcher={launcher}"])[0])
    yield compared(
        "sweep of 8 jobs, joblib", "one after the other", both["joblib"], both["basic"], reach=1.6, faster=True
    )


def objective_of(job: dict[str, float]) -> float:
    """Distortion + β rate: what training at that β minimises."""
    return job["distortion"] + job["beta"] * job["rate"]


def curve(rounds: int, epochs: int = 40) -> Iterator[Row]:
    """Seconds from the command to the report, and the largest difference in distortion + β rate."""
    latents, betas = (5, 20), (0.25, 0.5, 1.0, 2.0, 4.0)
    words = ["-m", "experiment=short", "accelerator=cpu", f"latent={','.join(map(str, latents))}"]
    ways = {
        "one run": [*words, "model=multirate", f"epochs={epochs}", "evaluation.parts=[latents,curve]",
                    f"evaluation.betas=[{','.join(map(str, betas))}]"],
        "each": [*words, f"beta.weight={','.join(map(str, betas))}"],
    }  # fmt: skip
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    losses: dict[str, dict[tuple[int, float], list[float]]] = {way: defaultdict(list) for way in ways}
    for seed in range(max(1, rounds // 5)):
        for way, options in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "train.py", *options, f"seed={seed}", f"hydra.sweep.dir={folder}/sweep"]
                seconds[way].append(timed_command(command)[0])
                for file in Path(folder).glob("sweep/*/results.json"):
                    for latent, job in points_of(json.loads(file.read_text())):
                        losses[way][latent, job["beta"]].append(objective_of(job))
    differences = {
        key: statistics.fmean(losses["one run"][key]) - statistics.fmean(losses["each"][key]) for key in losses["each"]
    }
    mean = statistics.fmean(differences.values())
    (latent, beta), worst = max(differences.items(), key=lambda item: item[1])
    quality = f"distortion + beta rate: {mean:+.2f} in the mean, {worst:+.2f} at latent {latent}, beta {beta:g}"
    what = f"report, multi-rate of {epochs} epochs ({quality})"
    yield compared(what, "5 runs of 15 epochs per size", seconds["one run"], seconds["each"], reach=3.5, faster=True)


def points_of(results: dict) -> Iterator[tuple[int, dict[str, float]]]:
    """The latent size, and β, rate and distortion of each configuration that a job trained."""
    if "curve" in results["evaluation"]:
        yield from ((results["latent"], point) for point in results["evaluation"]["curve"]["points"])
    else:
        yield results["latent"], {"beta": results["beta"], **results["test"]}


BARE = """
import rivals, torch
from vaelab.data.mnist import MNIST
data = MNIST(batch_size=128, eval_batch_size=500, val=0)
data.setup()
loop = rivals.BareLoop(data.sets["train"].images, 128)
loop.epoch(), loop.epoch()
"""


def memory(rounds: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        ours = peak_of(
            ["train.py", *SEED_VAE, "epochs=2", "accelerator=cpu", f"hydra.run.dir={folder}/run", "name=memory"]
        )
        fit = peak_of(
            ["train.py", *SEED_VAE, "epochs=2", "accelerator=cpu", f"hydra.run.dir={folder}/fit", "name=memory",
             "evaluation.parts=[]", "evaluation.nll_samples=0"]
        )  # fmt: skip
    bare = peak_of(["-c", BARE], PYTHONPATH=str(ROOT / "scripts"))
    yield Row(
        "peak memory, training and test", "bare loop + 300 MB", fit, bare + 300, "MB", fit / (bare + 300), reach=1
    )
    yield Row("peak memory, with nll and evaluation", "bare loop", ours, bare, "MB", ours / bare)


def peak_of(arguments: list[str], **environment: str) -> float:
    """The peak memory, in megabytes, of python with ``arguments``."""
    code = (
        "import resource, subprocess, sys; status = subprocess.run(sys.argv[1:], capture_output=True).returncode; "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, status)"
    )
    _, out = timed_command([sys.executable, "-c", code, sys.executable, *arguments], **environment)
    kilobytes, status = map(int, out.split())
    if status:
        raise RuntimeError(f"python {' '.join(arguments[:3])} failed")
    return kilobytes / 1024


def growth(rounds: int) -> Iterator[Row]:
    """The time per image, per further latent and per further sample, for many compared with few.

    The time of each epoch is divided by that of the matrix products right after it, so that other load on the machine
    cancels.
    """
    products = {"products": rivals.Products(12_800, 128).epoch}

    def cost(*words: str) -> float:
        quiet = (*SEED_VAE, "trainer.precision=32-true", "pictures.every=1000")
        times = rounds_of(lambda components: products, rounds, *quiet, *words)
        return 1e3 * statistics.median(ours / each for ours, each in zip(*times.values(), strict=True))

    few, *many = ((count, cost(f"data.train={count}") / count) for count in (3_750, 15_000, 60_000))
    for count, each in many:
        yield Row(f"an image of {count:,}", f"of {few[0]:,}", each, few[1], "‰ of products", each / few[1], reach=1.05)
    for unit, option, sizes, words in (
        ("latent", "latent", (2, 256, 512), ()),
        ("sample", "loss.samples", (1, 50, 500), ("loss=iwae", "data.train=1280")),
    ):
        costs = [cost(*words, f"{option}={size}") for size in sizes]
        few, many = ((costs[i + 1] - costs[i]) / (sizes[i + 1] - sizes[i]) for i in (0, 1))
        what, beside = (f"{sizes[i]:,} to {sizes[i + 1]:,}" for i in (1, 0))
        yield Row(f"one more {unit}, {what}", beside, many, few, "‰ of products", many / few, reach=1.05)


def stacked(rounds: int, runs: int = 16) -> Iterator[Row]:
    words = ("experiment=stackable", "data.train=6000", "data.batch_size=128")

    def turns(components: Components) -> dict[str, Callable[[], float]]:
        modules = [make_module(composed(*words, f"seed={seed}")) for seed in range(runs)]
        stack, epochs = Stack(modules, components.data, rounds + 1), itertools.count()
        return {"stacked": lambda: rivals.timed(lambda: stack.train_epoch(next(epochs))) / runs}

    times = rounds_of(turns, rounds, *words)
    yield compared(f"{runs} runs stacked, 6,000 images, each", "alone", times["stacked"], times["ours"])


def age(rounds: int, epochs: int = 200, ends: int = 20) -> Iterator[Row]:
    """The first and the last epochs of the tutorials' recipe.

    The time of each is divided by that of the matrix products right after it, so that other load on the machine
    cancels.
    """

    def turns(components: Components) -> dict[str, Callable[[], float]]:
        products = rivals.Products(len(components.data.sets["train"]), 128)
        passed = itertools.count()
        return {"products": lambda: products.epoch() if not ends < next(passed) <= epochs - ends else math.nan}

    times = rounds_of(turns, epochs, *SEED_VAE, "trainer.precision=32-true", "pictures.every=1000")
    ratios = [ours / products for ours, products in zip(times["ours"], times["products"], strict=True)]
    first, last = (statistics.median(part) for part in (ratios[:ends], ratios[-ends:]))
    yield Row("epochs 182 to 201", "epochs 2 to 21", last, first, "products", last / first, reach=1.05)


def quality(rounds: int, seeds: int = 3) -> Iterator[Row]:
    """Our recipe's training time, evaluation apart, beside 200 of the tutorial's epochs."""
    config = composed(*SEED_VAE)
    with tempfile.TemporaryDirectory() as folder:
        data = prepare(Run(config, [], {}, Path(folder))).data
    train = data.sets["train"]
    loop = rivals.Tutorial(train.images, train.labels, 128)
    ours, theirs, elbos = [], [], []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            words = ["experiment=fast", "accelerator=cpu", f"seed={seed}", "evaluation.parts=[]", "name=quality"]
            timed_command([sys.executable, "train.py", *words, f"hydra.run.dir={folder}/run"])
            results = json.loads((Path(folder) / "run" / "results.json").read_text())
        ours.append(results["time"]["fit_s"])
        elbos.append(results["test"]["elbo"])
        theirs.append(TUTORIAL_EPOCHS * min(loop.epoch(), loop.epoch()))
    what = f"training to test ELBO {statistics.fmean(elbos):.2f} (seeds: {', '.join(f'{elbo:.2f}' for elbo in elbos)})"
    row = compared(what, f"tutorial, 200 epochs to {TUTORIAL_ELBO}", ours, theirs, reach=20, faster=True)
    yield row


MEASUREMENTS = (epoch, batches, models, folder, nll, start, sweep, curve, stacked, memory, growth, age, quality)


def main() -> None:
    names = {measurement.__name__: measurement for measurement in MEASUREMENTS}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measurements", nargs="*", metavar="MEASUREMENT", help=f"any of {', '.join(names)}; all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of torch in this process; as many as cores")
    parser.add_argument("--json", type=Path, default=ROOT / "outputs" / "benchmark.json", help="file of the results")
    arguments = parser.parse_args()
    for name in arguments.measurements:
        if name not in names:
            parser.error(f"there is no measurement {name!r}; they are {', '.join(names)}")
    if arguments.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {arguments.rounds}")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if not find_spec("pythae"):
        print("pythae is not installed, so it is left out: pip install '.[benchmark]'")
    machine = {"device": hardware.describe_device("cpu", 1), "cores": os.cpu_count(), "torch": torch.__version__}
    rows: list[Row] = []
    for name in arguments.measurements or names:
        for row in names[name](arguments.rounds):
            rows.append(row)
            print("  ".join(row.cells), flush=True)
            arguments.json.parent.mkdir(parents=True, exist_ok=True)
            content = {**machine, "rounds": arguments.rounds, "rows": [asdict(row) for row in rows]}
            arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    table = Table(title=f"{machine['device']} of {machine['cores']} cores, torch {machine['torch']}")
    for column in ("what", "beside", "ours", "theirs", "ratio", "to reach", "reached"):
        table.add_column(column, justify="left" if column in ("what", "beside") else "right")
    for row in rows:
        table.add_row(*row.cells)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
