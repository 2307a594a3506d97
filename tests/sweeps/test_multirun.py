"""`python train.py -m ...`: every multirun ends with a report, and the same command resumes it."""

import csv
import json
import shutil
import signal
import time
from pathlib import Path

import pytest
from conftest import SMALL, outcome, start, train, train_here
from sweep_files import jobs, same_outcome, table
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vaelab.cli.arguments import with_sweep_directory
from vaelab.locks import locked
from vaelab.runs import directory
from vaelab.runs.directory import LAST, RESULTS
from vaelab.runs.results import read_results
from vaelab.training import checkpoints

SWEEP = ("-m", *SMALL, "evaluation.parts=[latents]", "latent=2,3", "name=s")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """The directory of a sweep that nothing interrupted."""
    folder = tmp_path_factory.mktemp("undisturbed")
    status, out, err = train_here(folder, *SWEEP)
    assert (status, err) == (0, ""), out + err
    return folder / "outputs" / "sweeps" / "s"


@pytest.fixture
def sweep(undisturbed, tmp_path) -> Path:
    """A copy of it, where ``command`` finds it."""
    return Path(shutil.copytree(undisturbed, tmp_path / "outputs" / "sweeps" / "s"))


# ---- the report ------------------------------------------------------------------------------------------------


def test_a_multirun_ends_with_tables_plots_and_a_sample_grid(undisturbed):
    assert {"sweep.csv", "sweep.md", "sweep.json", "figures"} <= {path.name for path in undisturbed.iterdir()}
    assert {path.stem for path in (undisturbed / "figures").iterdir()} == {"rate_distortion", "lines", "sample_grid"}
    rows = table(undisturbed)
    assert [row["latent"] for row in rows] == ["2", "3"]
    for row in rows:
        test = read_results(undisturbed / row["job"])["test"]
        assert {name: float(row[f"test_{name}"]) for name in test} == pytest.approx(test)
    assert len(list(undisturbed.glob("events.out.tfevents.*"))) == 1


def test_results_have_the_validation_metrics_of_the_tested_weights(undisturbed):
    for job in jobs(undisturbed).values():
        found = read_results(job)
        with (job / "metrics.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["elbo/val"]]
        tested = next(row for row in rows if float(row["epoch"]) == found["tested"]["epoch"])
        assert found["validation"]["elbo"] == float(tested["elbo/val"])
        assert found["validation"]["elbo"] == max(float(row["elbo/val"]) for row in rows)


def test_the_report_can_be_made_again(script, undisturbed, tmp_path):
    before = (undisturbed / "sweep.csv").read_bytes()
    status, out, err = script("report", undisturbed, "--to", tmp_path / "r")
    assert (status, err) == (0, "")
    assert "2 jobs, 2 completed" in out
    assert (tmp_path / "r" / "sweep.csv").read_bytes() == before
    assert (tmp_path / "r" / "figures" / "sample_grid.png").is_file()


# ---- the same command again ------------------------------------------------------------------------------------


def test_complete_jobs_are_skipped_and_a_longer_axis_adds_jobs(command, sweep):
    before = {name: (job / RESULTS).stat().st_mtime_ns for name, job in jobs(sweep).items()}
    status, out, err = command(*SWEEP, "latent=2,3,4")
    assert (status, err) == (0, "")
    assert out.count("complete already") == 2
    assert out.count(": starts") == 1
    assert "best elbo: -" in out  # the answer, on the screen
    assert "The validation ELBO would choose latent=" in out
    after = {name: (job / RESULTS).stat().st_mtime_ns for name, job in jobs(sweep).items()}
    assert after.pop("4")
    assert after == before
    assert len(table(sweep)) == 3


def cut_off_after_its_first_epoch(job: Path, begun: Path) -> None:
    shutil.rmtree(job)
    shutil.copytree(begun, job)


def killed_before_its_test(job: Path, begun: Path) -> None:
    (job / RESULTS).unlink()


def killed_before_its_first_epoch_ended(job: Path, begun: Path) -> None:
    (job / RESULTS).unlink()
    shutil.rmtree(job / "checkpoints")


def killed_as_it_began(job: Path, begun: Path) -> None:
    shutil.rmtree(job)
    job.mkdir()
    (job / directory.LOCK).touch()


def failed_half_way(job: Path, begun: Path) -> None:
    cut_off_after_its_first_epoch(job, begun)
    (job / RESULTS).write_text(json.dumps({"status": "failed", "error": "No space left on device"}))


def failed_before_it_began(job: Path, begun: Path) -> None:
    shutil.rmtree(job)
    job.mkdir()
    (job / RESULTS).write_text(json.dumps({"status": "failed", "error": "trainer.accelerator=gpu"}))


def results_are_damaged(job: Path, begun: Path) -> None:
    (job / RESULTS).write_text('{"status": "comp')


def its_last_checkpoint_is_damaged(job: Path, begun: Path) -> None:
    cut_off_after_its_first_epoch(job, begun)
    (job / LAST).write_bytes((job / LAST).read_bytes()[:1000])


def a_composition_is_damaged(job: Path, begun: Path) -> None:
    cut_off_after_its_first_epoch(job, begun)
    (job / ".hydra" / "config.yaml").write_text("{")


def files_that_were_half_written_are_left(job: Path, begun: Path) -> None:
    cut_off_after_its_first_epoch(job, begun)
    (job / ".results.4711.part.json").write_text("{")
    (job / "checkpoints" / ".last.4711.part.ckpt").write_bytes(b"x")


def killed_before_its_evaluation(job: Path, begun: Path) -> None:
    found = read_results(job)
    del found["evaluation"]
    (job / RESULTS).write_text(json.dumps(found))


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    """The directory of the first job as it was when its first of two epochs had ended."""
    folder = tmp_path_factory.mktemp("begun")
    kept, save = folder / "kept", checkpoints.AtomicCheckpointIO.save_checkpoint

    def and_keep(self, checkpoint: dict, path: Path, storage_options: object = None) -> None:
        save(self, checkpoint, path, storage_options)
        if Path(path).name == "last.ckpt" and not kept.exists():
            shutil.copytree(Path(path).parents[1], kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints.AtomicCheckpointIO, "save_checkpoint", and_keep)
        assert train_here(folder, *SWEEP, "latent=2")[0] == 0
    return kept


@pytest.mark.parametrize(
    "interruption",
    [
        cut_off_after_its_first_epoch,
        killed_before_its_test,
        killed_before_its_first_epoch_ended,
        killed_as_it_began,
        failed_half_way,
        failed_before_it_began,
        results_are_damaged,
        its_last_checkpoint_is_damaged,
        a_composition_is_damaged,
        files_that_were_half_written_are_left,
        killed_before_its_evaluation,
    ],
)
def test_an_interrupted_job_ends_as_if_nothing_had_happened(command, sweep, undisturbed, begun, interruption):
    job = jobs(sweep)["2"]
    interruption(job, begun)
    status, out, err = command(*SWEEP)
    assert (status, err) == (0, ""), out + err
    assert out.count("complete already") == (2 if interruption is killed_before_its_evaluation else 1)
    assert same_outcome(job, undisturbed / job.name)
    assert (sweep / "sweep.csv").read_bytes() == (undisturbed / "sweep.csv").read_bytes()
    events = EventAccumulator(str(job), size_guidance={"scalars": 0}).Reload()
    steps = [scalar.step for scalar in events.Scalars("loss/train")]
    assert steps == sorted(set(steps))  # no point of a curve is there twice


@pytest.mark.parametrize("complete", [True, False])
def test_a_changed_default_is_noticed_and_nothing_is_touched(command, sweep, monkeypatch, complete):
    """The overrides are the same, the configuration is not."""
    job = jobs(sweep)["2"]
    if not complete:
        (job / RESULTS).unlink()
    config = (job / ".hydra" / "config.yaml").read_text()
    (job / ".hydra" / "config.yaml").write_text(config.replace("epochs: 2", "epochs: 3"))
    if complete:
        found = read_results(job)
        found["config"]["epochs"] = 3
        (job / RESULTS).write_text(json.dumps(found))
    before = {path: path.stat().st_mtime_ns for path in job.rglob("*") if path.is_file() and path.name != ".lock"}
    status, out, err = command(*SWEEP)
    assert status == 1
    assert "epochs=3 there, 2 here" in err
    assert "nothing was touched" in err
    assert "complete already" in out  # the other job
    after = {path: path.stat().st_mtime_ns for path in job.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before


def test_another_version_of_the_code_and_another_evaluation_are_noticed(command, sweep):
    job = jobs(sweep)["2"]
    found = read_results(job)
    found["commit"] = "0123abc"
    found["config"]["evaluation"]["nll_samples"] = 7
    (job / RESULTS).write_text(json.dumps(found))
    status, out, _ = command(*SWEEP)
    assert status == 0
    assert "made by commit 0123abc, this is" in out
    assert "with other settings: evaluation.nll_samples=7 there, 10 here" in out
    assert "The code changed within the sweep" in (sweep / "sweep.md").read_text()


def test_a_failed_job_is_in_the_table_and_is_tried_again(command, sweep):
    for _ in range(2):
        status, out, err = command(*SWEEP, "latent=0,2,3")
        assert status == 1
        assert "the first to fail: latent must be a whole number of at least 1, got 0" in err
        assert out.count("complete already") == 2
    failed = next(row for row in table(sweep) if row["latent"] == "0")
    assert (failed["status"], failed["error"]) == ("failed", "latent must be a whole number of at least 1, got 0")
    assert "latent must be" in (sweep / "sweep.md").read_text()


def test_a_job_that_another_process_works_on_is_left_to_it(command, sweep):
    job = jobs(sweep)["2"]
    (job / RESULTS).unlink()
    with locked(job / directory.LOCK):
        status, out, _ = command(*SWEEP)
    assert status == 0
    assert "another process is at work in it" in out
    assert {row["latent"]: row["status"] for row in table(sweep)} == {"2": "running", "3": "completed"}


@pytest.mark.engine
def test_two_sweeps_in_one_directory_at_the_same_time_share_the_work(undisturbed, tmp_path):
    both = [start(tmp_path, *SWEEP) for _ in range(2)]
    said = [outcome(process) for process in both]
    assert [status for status, _, _ in said] == [0, 0], said
    assert sum(out.count(": starts") for _, out, _ in said) == 2
    for name, job in jobs(tmp_path / "outputs" / "sweeps" / "s").items():
        assert same_outcome(job, jobs(undisturbed)[name])


@pytest.mark.engine
def test_the_same_command_resumes_a_sweep_that_was_stopped(tmp_path, command):
    """By SIGTERM; tests/test_engines.py stops sweeps by kill -9."""
    long = (*SWEEP, "epochs=3", "data.train=3000", "data.batch_size=8")
    process = start(tmp_path, *long)
    sweep = tmp_path / "outputs" / "sweeps" / "s"
    deadline = time.monotonic() + 120
    while not list(sweep.glob(f"*/{LAST}")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    status, _, err = outcome(process, 60)
    assert status == 1
    assert "the same command goes on with the sweep" in err
    assert not jobs(sweep)
    status, out, err = command(*long)
    assert (status, err) == (0, "")
    assert out.count(": resumes") == 1
    assert out.count(": starts") == 1


# ---- nothing leaks ---------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_results_depend_neither_on_the_order_of_jobs_nor_on_the_launcher(undisturbed, tmp_path):
    status, out, err = train(tmp_path, *SWEEP, "latent=3,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert (status, err) == (0, ""), out + err
    other = jobs(tmp_path / "outputs" / "sweeps" / "s")
    for name, job in jobs(undisturbed).items():
        assert same_outcome(job, other[name])


# ---- arguments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "directory"),
    [
        (["latent=2,5", "beta.weight=1,2", "seed=1,2"], "outputs/sweeps/beta.weight+latent"),
        (["beta.weight=1,2", "latent=range(2,5)", "seed=7"], "outputs/sweeps/beta.weight+latent"),
        (["latent=2,5", "epochs=3"], "outputs/sweeps/latent,epochs=3"),
        (["network=mlp,conv", "hydra/launcher=joblib"], "outputs/sweeps/network"),
        (["seed=1,2"], "outputs/sweeps/seed"),
        (["latent=2,5", "name=mine"], "outputs/sweeps/mine"),
        (["latent=2,5", "hydra.sweep.dir=there/it is"], "there/it is"),
    ],
)
def test_a_sweeps_directory_follows_from_its_arguments(words, directory):
    arguments, found = with_sweep_directory(["-m", *words])
    assert str(found) == directory
    assert arguments[: len(words) + 1] == ["-m", *words]


def test_a_missing_engine_is_one_line(command, tmp_path):
    status, _, err = command(*SWEEP, "hydra/launcher=submitit_local", "hydra.launcher._target_=hydra_plugins.none.None")
    assert status == 1
    assert len(err.splitlines()) == 1
    assert "pip install" in err


@pytest.mark.engine
def test_a_closed_output_does_not_stop_a_sweep(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "outputs" / "sweeps" / "s")
    process = start(tmp_path, *SWEEP)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=120), err) == (0, "")


@pytest.mark.parametrize("where", ["-m", "--multirun"])
def test_a_flag_may_stand_anywhere(command, tmp_path, where):
    status, _, err = command(*SWEEP[1:4], where, *SWEEP[4:], "epochs=1", "evaluation.parts=[]")
    assert (status, err) == (0, "")
    assert len(jobs(tmp_path / "outputs" / "sweeps" / "s")) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["name=a,b", "latent=2,3"], "in a multirun name=... names the sweep"),
        (["latnt=2,3"], "there is no option 'latnt'; did you mean latent=2,3?"),
        (["latent=2,3", "network=mpl"], "network=mpl: the members of group 'network' are"),
        (
            ["latent=2,3", "hydra/launcher=slurm"],
            "hydra/launcher=slurm: the members of group 'hydra/launcher' are joblib, ray",
        ),
    ],
)
def test_a_wrong_word_is_one_line_and_leaves_nothing(command, tmp_path, words, said):
    status, out, err = command("-m", *SMALL[1:4], *words)
    assert (status, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert said in err
    assert not list(tmp_path.rglob("*.yaml"))


def test_values_of_two_types_on_one_axis_and_a_job_that_diverges(command, tmp_path):
    words = ("likelihood=gaussian", "likelihood.learnt=false,per_pixel", "optimizer.lr=1e-3,1e9", "epochs=1")
    status, _, err = command("-m", *SMALL, "evaluation.parts=[]", "latent=2", *words, "name=s")
    assert status == 1
    assert "the others went on; the first to fail: the loss became" in err
    assert "Traceback" not in err
    rows = table(tmp_path / "outputs" / "sweeps" / "s")
    assert {(row["likelihood.learnt"], row["optimizer.lr"], row["status"]) for row in rows} == {
        (learnt, rate, status) for learnt in ("false", "per_pixel")
        for rate, status in (("0.001", "completed"), ("1000000000.0", "failed"))
    }  # fmt: skip
    assert (tmp_path / "outputs" / "sweeps" / "s" / "figures" / "lines.png").is_file()


def test_more_seeds_are_more_jobs_and_the_first_is_not_made_twice(command, tmp_path):
    words = ("-m", *SMALL, "evaluation.parts=[]", "epochs=1", "latent=2", "name=s")
    assert command(*words)[0] == 0
    status, out, _ = command(*words, "seed=0,1")
    assert status == 0
    assert out.count("complete already") == 1
    found = json.loads((tmp_path / "outputs" / "sweeps" / "s" / "sweep.json").read_text())
    assert [configuration["seeds"] for configuration in found["groups"][0]["configurations"]] == [2]
    assert (tmp_path / "outputs" / "sweeps" / "s" / "figures" / "sample_grid.png").is_file()


def test_ctrl_c_before_the_first_job_is_one_line(command, monkeypatch):
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hydra._internal.hydra.Hydra.multirun", interrupt)
    status, _, err = command(*SWEEP)
    assert (status, err) == (1, "error: interrupted; the same command goes on with the sweep\n")


def test_a_sweep_on_shapes_ends_in_a_table_of_mig_beside_the_elbo(command, tmp_path):
    words = (
        "-m", "data=shapes", "data.size=8", "data.number=300", "data.val=0", "loss=tc,elbo", "beta.weight=1,4",
        "latent=2", "network.hidden=[8]", "epochs=1", "evaluation.parts=[disentanglement]", "evaluation.nll_samples=0",
        "pictures.every=null", "accelerator=cpu", "name=s",
    )  # fmt: skip
    status, out, err = command(*words)
    assert (status, err) == (0, ""), out
    sweep = tmp_path / "outputs" / "sweeps" / "s"
    rows = table(sweep)
    assert sorted((row["loss"], row["beta.weight"]) for row in rows) == [
        ("elbo", "1"), ("elbo", "4"), ("tc", "1"), ("tc", "4")
    ]  # fmt: skip
    assert all(0 <= float(row["test_mig"]) <= 1 and float(row["test_elbo"]) < 0 for row in rows)
    assert "| beta.weight | loss | elbo | mig | sap | dci_disentanglement |" in (sweep / "sweep.md").read_text()
