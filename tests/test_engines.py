"""The engines that run a sweep's jobs, each with real jobs, and what they survive: `make engines`.

Each takes seconds to minutes, so `make test` leaves them out. Where a machine cannot start one, its test is skipped
with the reason; under CI it fails.
"""

import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT, SMALL, outcome, start, train
from sweep_files import jobs, same_outcome, table

from vaelab.runs.directory import LAST, RESULTS

pytestmark = pytest.mark.engine

TWO = ("-m", *SMALL, "evaluation.parts=[latents]", "latent=2,3", "name=s")
LONG = (*TWO, "epochs=6", "data.train=4000", "data.batch_size=8")


def unless_possible(possible: bool, reason: str) -> None:
    if not possible:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def wait_for(found: Callable[[], object], process: subprocess.Popen, seconds: float = 120) -> object:
    deadline = time.monotonic() + seconds
    while not (what := found()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return what


def finished_sweep(folder: Path, *words: str) -> Path:
    status, out, err = train(folder, *words)
    assert status == 0, out + err
    return folder / "outputs" / "sweeps" / "s"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    return finished_sweep(tmp_path_factory.mktemp("undisturbed"), *TWO)


@pytest.fixture(scope="module")
def undisturbed_long(tmp_path_factory) -> Path:
    return finished_sweep(tmp_path_factory.mktemp("undisturbed_long"), *LONG)


def check_same(sweep: Path, expected: Path) -> None:
    found = jobs(sweep)
    assert len(found) == 2
    for name, job in jobs(expected).items():
        assert same_outcome(job, found[name])
    assert (sweep / "sweep.csv").read_bytes() == (expected / "sweep.csv").read_bytes()


# ---- one after the other, side by side, on a cluster --------------------------------------------------------------


def test_submitit_local(undisturbed, tmp_path):
    unless_possible(importlib.util.find_spec("submitit") is not None, "submitit is not installed")
    check_same(finished_sweep(tmp_path, *TWO, "hydra/launcher=submitit_local"), undisturbed)


def test_ray(undisturbed, tmp_path):
    unless_possible(importlib.util.find_spec("ray") is not None, "ray is not installed")
    check_same(finished_sweep(tmp_path, *TWO, "hydra/launcher=ray"), undisturbed)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The environment in which sbatch finds a Slurm of this machine alone."""
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch")
               if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]  # fmt: skip
    unless_possible(not missing, f"no {', '.join(missing)} on this machine")
    unless_possible(os.getuid() == 0, "starting slurmd takes root")
    folder, script = tmp_path_factory.mktemp("slurm"), str(ROOT / "scripts" / "slurm_on_loopback.sh")
    started = subprocess.run(["bash", script, "start", str(folder)], capture_output=True, text=True, check=False)
    unless_possible(started.returncode == 0, started.stderr)
    yield {"SLURM_CONF": str(folder / "slurm.conf")}
    subprocess.run(["bash", script, "stop", str(folder)], check=True)


SLURM = ("hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=2")


def test_slurm(slurm, undisturbed, tmp_path):
    status, out, err = train(tmp_path, *TWO, *SLURM, **slurm)
    assert status == 0, out + err
    check_same(tmp_path / "outputs" / "sweeps" / "s", undisturbed)


def test_a_job_that_slurm_takes_away_and_queues_again_goes_on(slurm, undisturbed_long, tmp_path):
    process = start(tmp_path, *LONG, *SLURM, **slurm)
    sweep = tmp_path / "outputs" / "sweeps" / "s"
    wait_for(lambda: list(sweep.glob(f"*/{LAST}")), process)
    environment = {**os.environ, **slurm}
    queue = ["squeue", "--noheader", "--states=RUNNING", "--array", "--format=%i"]
    running = subprocess.run(queue, env=environment, capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["scontrol", "requeue", running[0]], env=environment, check=True)
    status, out, err = outcome(process)
    assert status == 0, out + err
    said = "".join(path.read_text() for path in sweep.glob(".submitit/*/*_log.out"))
    assert said.count(": resumes") == 1
    check_same(sweep, undisturbed_long)


# ---- what they survive --------------------------------------------------------------------------------------------


def test_a_preempted_job_is_queued_again_and_goes_on(undisturbed_long, tmp_path):
    """SIGTERM -> submitit's checkpoint -> queued again -> resumed, as on a cluster, by submitit's local executor."""
    unless_possible(importlib.util.find_spec("submitit") is not None, "submitit is not installed")
    process = start(tmp_path, *LONG, "hydra/launcher=submitit_local")
    sweep = tmp_path / "outputs" / "sweeps" / "s"
    wait_for(lambda: len(list(sweep.glob(f"*/{LAST}"))) == 2, process)
    controllers = [int(path.name) for path in (sweep / ".submitit").iterdir() if path.name.isdigit()]
    for controller in controllers:
        os.kill(controller, signal.SIGTERM)  # which hands it on to its job
    status, out, err = outcome(process)
    assert status == 0, out + err
    said = "".join(path.read_text() for path in sweep.glob(".submitit/*/*_log.out"))
    assert said.count("Requeued job") == 2
    assert said.count(": resumes") == 2
    check_same(sweep, undisturbed_long)


def children(pid: int) -> list[int]:
    """All descendants of a process, by /proc."""
    found = [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]
    return found + [descendant for child in found for descendant in children(child)]


def at_work(pids: list[int]) -> list[int]:
    """Those of them that run jobs: joblib's workers."""
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids if Path(f"/proc/{pid}/cmdline").exists()}
    return [pid for pid, line in lines.items() if b"popen_loky" in line]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
def test_ten_kills_at_random_moments_end_in_the_same_table(undisturbed_long, tmp_path):
    """kill -9 of a worker or of the whole sweep, whenever: the same command ends with what nothing had disturbed."""
    sweep = tmp_path / "outputs" / "sweeps" / "s"
    moments = random.Random(0)
    done_before = 0
    for kill in range(10):
        process = start(tmp_path, *LONG, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
        deadline = time.monotonic() + moments.uniform(1.0, 9.0)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        family = children(process.pid)
        workers = at_work(family)
        if kill % 2 and workers:
            os.kill(moments.choice(workers), signal.SIGKILL)  # the sweep has to notice, and ends in one line
        else:
            for pid in (process.pid, *family):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        _, _, err = outcome(process, 120)
        assert "Traceback" not in err, err
        done = len(list(sweep.glob(f"*/{RESULTS}")))
        assert done >= done_before  # what is complete stays so
        done_before = done
    status, out, err = train(tmp_path, *LONG, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert status == 0, out + err
    check_same(sweep, undisturbed_long)


def test_a_search_finds_its_complete_trials_again(tmp_path):
    unless_possible(importlib.util.find_spec("optuna") is not None, "optuna is not installed")
    words = ("-m", *SMALL, "evaluation.parts=[]", "epochs=1", "hydra/sweeper=search", "name=s")
    words += ("latent=range(2,9)", "beta.weight=tag(log,interval(0.25,4))", "optimizer.lr=tag(log,interval(1e-3,1e-2))")
    first = train(tmp_path, *words, "hydra.sweeper.n_trials=2")
    assert first[0] == 0, first
    status, out, err = train(tmp_path, *words, "hydra.sweeper.n_trials=3")
    assert status == 0, out + err
    assert out.count("complete already") == 2
    assert out.count(": starts") == 1
    rows = table(tmp_path / "outputs" / "sweeps" / "s")
    assert len({row["beta.weight"] for row in rows}) == 3
    chosen = (tmp_path / "outputs" / "sweeps" / "s" / "optimization_results.yaml").read_text()
    best = max(rows, key=lambda row: float(row["validation_elbo"]))
    assert f"beta.weight: {best['beta.weight']}" in chosen


def test_a_search_without_validation_is_refused_before_its_first_trial(tmp_path):
    unless_possible(importlib.util.find_spec("optuna") is not None, "optuna is not installed")
    words = ("-m", *SMALL, "hydra/sweeper=search", "name=s", "latent=range(2,9)", "data.val=0")
    status, out, err = train(tmp_path, *words)
    assert status == 1, out
    assert "data.val=0 leaves no validation images: take data.val=5000" in err
    assert not [*tmp_path.rglob("train.log")]


MEMORY = """
import gc, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from conftest import SMALL, main
def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
used = []
for seed in range(0, 16, 4):
    seeds = ",".join(str(seed + more) for more in range(4))
    sys.argv = ["train.py", "-m", *SMALL, "epochs=1", "evaluation.parts=[]", "name=s", f"seed={{seeds}}"]
    main()
    used.append(resident())
print(used, file=sys.stderr)
sys.exit(not used[-1] - used[1] < 40)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="needs /proc")
def test_memory_does_not_grow_with_the_number_of_jobs(tmp_path):
    """Jobs and reports of one process: from the 8th job to the 16th, less than 5 MB each."""
    script = MEMORY.format(tests=str(ROOT / "tests"))
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
