"""Check what depends on the GPU of this machine by real runs, and print a table: `make gpu`.

    python scripts/gpu.py
    python scripts/gpu.py --accelerator cpu --small   # the same checks on a few images, without a GPU

The checks: single precision, and compared with it bfloat16 and CUDA graphs; the images on the device; ddp on two
devices; a stacked sweep beside one of its jobs alone; a run that was killed and resumed, bit for bit; nll on the device
and on the CPU. The runs and the table stay in the folder --to. The exit status is 1 where a check failed, or where
there is no GPU.
"""

import argparse
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir

from vaelab import hardware
from vaelab.cli import tools
from vaelab.data.batches import Batches
from vaelab.data.download import named_root
from vaelab.errors import InputError, RunFailed
from vaelab.files import CONF, PROJECT, write_text
from vaelab.runs.directory import LAST
from vaelab.runs.options import resolve
from vaelab.runs.prepare import load_data
from vaelab.runs.results import read_results

# A few hundred real digits that need no download, and a small network.
SMALL = (
    "data=mnist5k", "data.train=512", "data.val=128", "data.test=200", "data.batch_size=64", "network.hidden=[32]",
    "latent=4", "epochs=2",
)  # fmt: skip
PLAIN = ("pictures.every=null", "evaluation.parts=[]", "evaluation.nll_samples=0")
REPEATABLE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}  # what torch asks for with trainer.deterministic=true
WAIT_S = 300  # for the first checkpoint


class Failed(Exception):
    """A check found something wrong."""


class NotPossible(Exception):
    """A check cannot be made on this machine."""


@dataclass(frozen=True)
class Machine:
    """Where the checks run, and how large they are.

    **Arguments**
        accelerator: gpu or cpu.
        small: whether to train small networks on a few images.
        folder: where the runs go.
    """

    accelerator: str
    small: bool
    folder: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    @cached_property
    def data(self) -> tuple[str, ...]:
        """Overrides of all runs."""
        root = Path(named_root(None) or "data").expanduser().absolute()
        return SMALL if self.small else (f"data.root={root}", "epochs=10")

    @property
    def tolerance(self) -> float:
        """Nats by which two runs may differ that draw other random numbers or round differently."""
        return 5.0 if self.small else 0.5

    def command(self, script: str, *words: str) -> list[str]:
        return [sys.executable, str(PROJECT / script), *words]

    def run(self, script: str, *words: str, **environment: str) -> float:
        """Run ``script`` to its end; the seconds it took."""
        begin = time.monotonic()
        done = subprocess.run(
            self.command(script, *words), cwd=self.folder, env={**self.environment, **environment},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
            raise Failed(f"{script} {' '.join(words)}: {said[-1]}")
        return time.monotonic() - begin

    def overrides(self, name: str, *words: str) -> tuple[str, ...]:
        return (*self.data, *PLAIN, f"accelerator={self.accelerator}", f"name={name}", *words)

    def train(self, name: str, *words: str, **environment: str) -> dict:
        """The results of a training with the overrides ``words``."""
        self.run("train.py", *self.overrides(name, *words), **environment)
        return read_results(self.directory(name))

    def directory(self, name: str) -> Path:
        return self.folder / "outputs" / "runs" / name

    @cached_property
    def single_precision(self) -> dict:
        """The results of the run that others are compared with."""
        return self.train("fp32", "trainer.precision=32-true")

    def beside(self, results: dict) -> str:
        """ELBO and epoch time of a run, and of the one in single precision; Failed where the ELBOs do not agree."""
        ours, theirs = results["test"]["elbo"], self.single_precision["test"]["elbo"]
        if not abs(ours - theirs) <= self.tolerance:
            raise Failed(f"elbo {ours:.2f}, and {theirs:.2f} in single precision")
        times = [run["time"]["epoch_s"] for run in (results, self.single_precision)]
        return f"elbo {ours:.2f} (fp32 {theirs:.2f}), epoch {times[0]:.3g} s (fp32 {times[1]:.3g} s)"


# ---- the checks -------------------------------------------------------------------------------------------------


def single_precision(machine: Machine) -> str:
    results = machine.single_precision
    if not math.isfinite(results["test"]["elbo"]):
        raise Failed(f"elbo {results['test']['elbo']}")
    return f"elbo {results['test']['elbo']:.2f}, epoch {results['time']['epoch_s']:.3g} s"


def bfloat16(machine: Machine) -> str:
    return machine.beside(machine.train("bf16", "trainer.precision=bf16-mixed"))


def cuda_graphs(machine: Machine) -> str:
    return machine.beside(machine.train("graphs", "trainer.precision=32-true", "trainer.compile=reduce-overhead"))


def data_on_the_device(machine: Machine) -> str:
    device = torch.device(hardware.resolve(machine.accelerator))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = resolve(compose("config", overrides=list(machine.overrides("data"))))
    data = load_data(config)
    here, there = (Batches(data.sets["train"], data.batch_size, 0, device=at) for at in ("cpu", device))
    if there.images.images.device.type != device.type:
        raise Failed(f"the images are on {there.images.images.device}")
    if not torch.equal(next(iter(here))[0], next(iter(there))[0].cpu()):
        raise Failed("the first batch has other images than on the CPU")
    return f"{device.type}, {len(there.images):,} images, an epoch of batches {1e3 * _seconds(there, device):.3g} ms"


def _seconds(batches: Batches, device: torch.device) -> float:
    """The seconds in which all batches are gathered once."""
    begin = time.monotonic()
    for _ in batches:
        pass
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic() - begin


def stacked_sweep(machine: Machine) -> str:
    axes = ("seed=1,2",) if machine.small else ("seed=1,2,3,4", "beta.weight=0.5,1,2,4")
    begin = time.monotonic()
    alone = machine.train("alone", "experiment=stackable", "seed=1")
    alone_s = time.monotonic() - begin
    words = machine.overrides("stack", "experiment=stackable", *axes)
    together_s = machine.run("scripts/train_stacked.py", *words)
    jobs = [read_results(path.parent) for path in (machine.folder / "outputs/sweeps/stack").glob("*/results.json")]
    (same,) = (job for job in jobs if job["config"]["seed"] == 1 and job["config"]["beta"]["weight"] == 1)
    elbos = [run["test"]["elbo"] for run in (same, alone)]
    if not abs(elbos[0] - elbos[1]) <= machine.tolerance:
        raise Failed(f"elbo {elbos[0]:.2f}, and {elbos[1]:.2f} alone")
    return (
        f"elbo {elbos[0]:.2f} (alone {elbos[1]:.2f}), {len(jobs)} jobs {together_s:.0f} s (one alone {alone_s:.0f} s)"
    )


def ddp_on_two(machine: Machine) -> str:
    """An auto-encoder draws no noise, so the gradients of two halves of a batch are those of the batch."""
    if machine.accelerator == "gpu" and torch.cuda.device_count() < 2:
        raise NotPossible("this machine has one GPU")
    accelerator = "accelerator=ddp" if machine.accelerator == "gpu" else "accelerator=ddp_cpu"
    words = ("model=ae", "optimizer.lr=1e-4", "epochs=2", "trainer.precision=32-true")
    one, two = machine.train("one", *words), machine.train("two", *words, accelerator, "trainer.devices=2")
    mse = [run["test"]["mse"] for run in (two, one)]
    if not math.isclose(*mse, rel_tol=1e-3):
        raise Failed(f"squared error {mse[0]:.4f}, and {mse[1]:.4f} of one process")
    times = [run["time"]["epoch_s"] for run in (two, one)]
    return f"squared error {mse[0]:.4f} (one {mse[1]:.4f}), epoch {times[0]:.3g} s (one {times[1]:.3g} s)"


def resumed_bit_equal(machine: Machine) -> str:
    longer = ("epochs=6", "data.train=4000", "data.batch_size=8") if machine.small else ("epochs=20",)
    words = ("+trainer.deterministic=true", *longer)
    machine.train("undisturbed", *words, **REPEATABLE)
    killed = machine.overrides("killed", *words)
    last = machine.directory("killed") / LAST
    process = subprocess.Popen(
        machine.command("train.py", *killed), cwd=machine.folder, env={**machine.environment, **REPEATABLE},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(last, process)
    finally:
        process.kill()
        process.wait()
    machine.run("train.py", *killed, f"ckpt={last}", **REPEATABLE)
    left, right = (
        torch.load(machine.directory(name) / LAST, map_location="cpu", weights_only=True)["state_dict"]
        for name in ("undisturbed", "killed")
    )
    different = [name for name in left if not torch.equal(left[name], right[name])]
    if different:
        raise Failed(f"{len(different)} of {len(left)} tensors differ, such as {different[0]}")
    return f"{len(left)} tensors are equal bit for bit"


def _wait_for(checkpoint: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + WAIT_S
    while not checkpoint.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            within = "before its end" if process.poll() is not None else f"in {WAIT_S} s"
            raise Failed(f"the run wrote no checkpoint {within}")
        time.sleep(0.01)
    if process.poll() is not None:
        raise Failed("the run ended before it could be killed")


def nll(machine: Machine) -> str:
    """On the device and on the CPU: each within four standard errors of the other."""
    machine.single_precision  # noqa: B018  # it is what is evaluated
    few, many = (20, 50) if machine.small else (500, 5_000)
    device = hardware.resolve(machine.accelerator)
    ours, theirs = (_likelihood(machine, on, few)[0] for on in (device, "cpu"))
    error = math.hypot(ours["nll_stderr"], theirs["nll_stderr"])
    if not abs(ours["nll"] - theirs["nll"]) <= 4 * error:
        raise Failed(f"nll {ours['nll']:.3f}, and {theirs['nll']:.3f} on the CPU, with the error {error:.3f}")
    result, seconds = _likelihood(machine, device, many)
    return (
        f"K = {few}: {ours['nll']:.2f} (CPU {theirs['nll']:.2f}); "
        f"K = {many:,}: {result['nll']:.2f} ± {result['nll_stderr']:.2g}, command {seconds:.0f} s"
    )


def _likelihood(machine: Machine, device: str, samples: int) -> tuple[dict, float]:
    alone = [f"{part}=false" for part in ("latents", "aggregate", "probes", "disentanglement", "samples")]
    run = machine.directory("fp32")
    seconds = machine.run(
        "scripts/evaluate.py", str(run), f"nll_samples={samples}", "recompute=true", *alone, "--device", device
    )
    return read_results(run)["evaluation"]["likelihood"], seconds


CHECKS: dict[str, Callable[[Machine], str]] = {
    "single precision": single_precision,
    "bfloat16": bfloat16,
    "CUDA graphs (trainer.compile=reduce-overhead)": cuda_graphs,
    "data on the device": data_on_the_device,
    "stacked sweep": stacked_sweep,
    "ddp on two devices": ddp_on_two,
    "killed and resumed": resumed_bit_equal,
    "nll": nll,
}


# ---- the command ------------------------------------------------------------------------------------------------


def work() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accelerator", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--small", action="store_true", help="small networks on a few images, in minutes on a CPU")
    parser.add_argument("--to", type=Path, help="a new folder for the runs and the table; outputs/gpu/<time>")
    arguments = parser.parse_args()
    hardware.check_accelerator(
        arguments.accelerator, "the GPU checks", "--accelerator cpu --small to try the checks themselves"
    )
    folder = arguments.to or Path("outputs/gpu") / f"{datetime.now():%Y%m%d-%H%M%S}"
    if folder.exists():
        raise InputError(f"{folder} exists already and was not touched; name a new folder with --to")
    folder.mkdir(parents=True)
    machine = Machine(arguments.accelerator, arguments.small, folder.absolute())
    rows = [check(name, machine) for name in CHECKS]
    count = torch.cuda.device_count() if machine.accelerator == "gpu" else 1
    title = f"{hardware.describe_device(machine.accelerator, max(count, 1))}, torch {torch.__version__}"
    lines = [title, "", "| check | result | details | seconds |", "|---|---|---|---|", *rows]
    write_text(folder / "table.md", "\n".join(lines) + "\n")
    print("\n".join(["", *lines, "", f"runs and table: {folder}"]))
    failed = sum("**failed**" in row for row in rows)
    if failed:
        raise RunFailed(f"{failed} of {len(rows)} checks failed")


def check(name: str, machine: Machine) -> str:
    """Make the check ``name``; its row of the table."""
    print(f"{name} ...", end=" ", flush=True)
    begin = time.monotonic()
    try:
        result, details = "passed", CHECKS[name](machine)
    except NotPossible as reason:
        result, details = "left out", str(reason)
    except (Failed, InputError, RunFailed) as error:
        result, details = "**failed**", str(error)
    seconds = time.monotonic() - begin
    print(f"{result.strip('*')}: {details} ({seconds:.0f} s)", flush=True)
    return f"| {name} | {result} | {details.replace('|', '/')} | {seconds:.0f} |"


if __name__ == "__main__":
    tools.main(work)
