"""The table of many jobs: against arithmetic without pandas on jobs whose metrics are known."""

import csv
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic
from conftest import ROOT
from PIL import Image
from scipy.stats import ttest_ind
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vaelab.evaluation.metrics import METRICS
from vaelab.locks import locked
from vaelab.runs.directory import LOCK
from vaelab.runs.results import RESULTS
from vaelab.sweeps import jobs, plots
from vaelab.sweeps.documents import as_markdown
from vaelab.sweeps.ranking import pareto_front, ranking
from vaelab.sweeps.report import report
from vaelab.sweeps.table import read


@pytest.fixture
def grid(tmp_path) -> Path:
    return synthetic.sweep(tmp_path / "grid", latent=[2, 10, 20], beta__weight=[0.5, 1, 4], seed=[1, 2, 3])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_job_is_a_row_with_its_overrides_and_every_test_metric(grid):
    report([grid], grid, with_plots=False)
    rows = rows_of(grid / "sweep.csv")
    assert len(rows) == 27
    for row in rows:
        expected = synthetic.metrics(int(row["latent"]), float(row["beta.weight"]), int(row["seed"]))
        for name, value in expected.items():
            assert float(row[f"test_{name}"]) == pytest.approx(value)
    # Another report of the same jobs is the same file: nothing in it depends on when it was made.
    before = (grid / "sweep.csv").read_bytes()
    report([grid], grid, with_plots=False)
    assert (grid / "sweep.csv").read_bytes() == before


def test_configurations_are_means_over_seeds_with_the_deviation_of_one_seed(grid):
    group = read([grid]).groups[0]
    assert group.axes == ["latent", "beta.weight"]
    assert len(group.configurations) == 9
    configuration = group.configurations.query("latent == 10 and `beta.weight` == 4").iloc[0]
    nll = [synthetic.metrics(10, 4, seed)["nll"] for seed in (1, 2, 3)]
    assert configuration["nll"] == pytest.approx(statistics.fmean(nll))
    assert configuration["nll_sd"] == pytest.approx(statistics.stdev(nll))
    assert configuration["seeds"] == 3


def test_the_best_configuration_is_the_best_of_all_and_validation_chooses_without_the_test(grid):
    # One configuration whose validation is the best, though its test is not.
    job = next(grid.glob("beta.weight=4,latent=2,seed=1"))
    result = json.loads((job / RESULTS).read_text())
    result["validation"]["elbo"] = 0.0
    (job / RESULTS).write_text(json.dumps(result))
    found = read([grid])
    best = {row.by: row for row in ranking(found.groups[0])}
    every = {
        (latent, beta): statistics.fmean(synthetic.metrics(latent, beta, seed)["nll"] for seed in (1, 2, 3))
        for latent in (2, 10, 20) for beta in (0.5, 1, 4)
    }  # fmt: skip
    latent, beta = min(every, key=every.__getitem__)
    assert best["nll"].configuration == f"latent={latent}, beta.weight={beta:g}"
    assert best["nll"].mean == pytest.approx(every[latent, beta])
    assert best["nll"].ahead == pytest.approx(sorted(every.values())[1] - every[latent, beta])
    chosen = found.groups[0].chosen_by_validation()
    assert (chosen["latent"], chosen["beta.weight"]) == (2, 4)
    assert "The validation ELBO would choose latent=2, beta.weight=4" in as_markdown(found, {})


def test_configurations_whose_difference_is_not_significant_are_marked(tmp_path):
    for latent, values in {2: (100.0, 104.0), 3: (101.0, 105.0), 4: (150.0, 150.0)}.items():
        for seed, nll in enumerate(values):
            synthetic.write(tmp_path, {"latent": latent, "seed": seed}, test={"nll": nll})
    text = as_markdown(read([tmp_path]), {})
    assert "not significant with their 4 jobs" in text
    assert "102.00 ± 2.83" in text


def test_a_table_has_the_metrics_of_disentanglement_beside_the_elbo(tmp_path):
    for latent, gap in {2: 0.25, 3: 0.125}.items():
        part = {"mig": gap, "sap": 0.5, "factor_accuracy": [1.0, 0.5]}
        synthetic.write(tmp_path, {"latent": latent}, evaluation={"disentanglement": part})
    synthetic.write(tmp_path, {"latent": 4}, evaluation={"disentanglement": {"lacking": "no factors"}})
    report([tmp_path], tmp_path, with_plots=False)
    header = next(line for line in (tmp_path / "sweep.md").read_text().splitlines() if line.startswith("| latent"))
    assert header.startswith("| latent | elbo | mig | sap | rate |")
    assert "| 0.250 | 0.500 |" in (tmp_path / "sweep.md").read_text()
    assert [row["test_mig"] for row in rows_of(tmp_path / "sweep.csv")] == ["0.25", "0.125", ""]


def test_the_pareto_front_is_what_nothing_beats():
    generator = np.random.default_rng(0)
    configurations = pd.DataFrame(generator.uniform(size=(200, 2)), columns=["rate", "distortion"])
    expected = [
        not any((other.rate <= configuration.rate) & (other.distortion <= configuration.distortion)
                for at, other in configurations.iterrows() if at != index)
        for index, configuration in configurations.iterrows()
    ]  # fmt: skip
    assert pareto_front(configurations).tolist() == expected


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"likelihood": "gaussian"}, "gaussian, grey pixels"),
        ({"data": {"name": "mnist", "test": 10000, "binarize": "static"}}, "drawn binary pixels"),
        ({"data": {"name": "mnist5k", "test": 10000, "binarize": "none"}}, "mnist5k"),
        ({"data": {"name": "mnist", "test": 500, "binarize": "none"}}, "500 test images"),
        ({"config": {"model": {"classes": 10}}}, "given their labels"),
    ],
)
def test_nats_that_are_not_comparable_share_no_ranking_and_no_plot(tmp_path, changed, said):
    synthetic.write(tmp_path, {"latent": 2})
    synthetic.write(tmp_path, {"latent": 3}, **changed)
    found = report([tmp_path], tmp_path)
    assert len(found.groups) == 2
    assert all(len(group.configurations) == 1 for group in found.groups)
    assert any("These 2 groups of jobs are not comparable" in note and said in note for note in found.notes)
    made = json.loads((tmp_path / "sweep.json").read_text())
    assert sorted(len(group["best"]) for group in made["groups"]) == [3, 3]
    assert len(list((tmp_path / "figures").glob("*rate_distortion.png"))) == 2


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("network", ["mlp", "conv"]),
        ("prior", ["normal", "vamp"]),
        ("loss", ["elbo", "iwae"]),
        ("optimizer.lr", [1e-3, 8e-3]),
    ],
)
def test_the_axes_are_read_from_what_was_swept(tmp_path, axis, values):
    for value in values:
        synthetic.write(tmp_path, {axis: value, "data.batch_size": 512})
    found = read([tmp_path])
    assert found.axes == [axis]
    assert sorted(found.jobs[axis]) == sorted(values)


def test_a_default_counts_as_a_value_beside_overrides_of_it(tmp_path):
    """Two sweeps; one swept an option that the other left at its default."""
    synthetic.sweep(tmp_path / "one", latent=[2, 5])
    synthetic.sweep(tmp_path / "two", latent=[2, 5], optimizer__lr=[1e-3])
    found = read([tmp_path / "one", tmp_path / "two"])
    assert found.axes == ["latent", "optimizer.lr"]
    assert sorted(found.jobs["optimizer.lr"]) == [1e-3, 1e-3, 8e-3, 8e-3]
    assert set(found.jobs["sweep"]) == {"one", "two"}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"commit": "a1"}, {"commit": "b2"}, "The code changed within the sweep: 1 job by a1, 1 job by b2."),
        ({"commit": "a1-dirty"}, {"commit": "a1-dirty"}, "not committed"),
        ({"config": {"epochs": 5}}, {"config": {"epochs": 50}}, "Besides the swept options the jobs differ in epochs"),
        ({"test": {"nll": 1.0, "nll_samples": 10}}, {"test": {"nll": 1.0, "nll_samples": 100}}, "(10, 100)"),
        (
            {"test": {"nll": 1.0, "nll_prior_samples": 0}},
            {"test": {"nll": 1.0, "nll_prior_samples": 2000}},
            "estimated in two ways",
        ),
    ],
)
def test_notes_say_what_makes_a_table_less_comparable(tmp_path, first, second, said):
    synthetic.write(tmp_path, {"latent": 2}, **first)
    synthetic.write(tmp_path, {"latent": 3}, **second)
    notes = read([tmp_path]).notes
    assert any(said in note for note in notes), notes


def test_what_follows_from_the_axes_is_no_other_difference(tmp_path):
    """A group's copies inside of other groups, and the checkpoint in the configuration of a job that resumed."""
    for prior, size in {"vamp": 500, "mixture": 10}.items():
        copies = {"model": {"prior": {"components": size}}, "network": {"prior": {"inside": {"depth": size}}}}
        synthetic.write(tmp_path, {"prior": prior}, config={**copies, "ckpt": f"there/{prior}"})
    assert read([tmp_path]).notes == []


def test_a_job_that_resumed_from_its_checkpoint_is_the_same_configuration(tmp_path):
    synthetic.sweep(tmp_path, latent=[2, 5])
    job = next(tmp_path.glob("latent=2*"))
    result = json.loads((job / RESULTS).read_text())
    result["overrides"].append(f"ckpt='{job}/checkpoints/last.ckpt'")
    (job / RESULTS).write_text(json.dumps(result))
    assert read([tmp_path]).axes == ["latent"]
    result["overrides"][-1] = "ckpt=elsewhere/checkpoints/best.ckpt"
    (job / RESULTS).write_text(json.dumps(result))
    assert read([tmp_path]).axes == ["latent", "ckpt"]


@pytest.mark.parametrize(
    ("first", "second", "is_significant"),
    [
        ((100.0, 101.0), (102.0, 103.0), False),  # t = 2.83, where two degrees of freedom want 4.30
        ((100.0, 101.0), (104.0, 105.0), True),  # t = 5.66
        ((100.0, 101.0, 100.0, 101.0), (101.0, 102.0, 101.0, 102.0), True),  # t = 2.45 of 2.447: six degrees
        ((100.0,), (101.0,), None),
        ((100.0, 101.0), (103.0,), False),  # one degree wants 12.7
    ],
)
def test_with_few_seeds_only_large_differences_are_significant(tmp_path, first, second, is_significant):
    for latent, values in ((2, first), (3, second)):
        for seed, nll in enumerate(values):
            synthetic.write(tmp_path, {"latent": latent, "seed": seed}, test={"nll": nll})
    found = ranking(read([tmp_path]).groups[0])[0]
    assert found.is_significant is is_significant
    if is_significant is not None and len(first) == len(second):
        assert is_significant == bool(ttest_ind(first, second).pvalue < 0.05)


def test_jobs_that_did_not_complete_are_in_the_table_with_their_status(grid):
    synthetic.write(grid, {"latent": 0}, status="failed", error="latent must be | at least 1", test={}, validation={})
    (grid / "cut" / ".hydra").mkdir(parents=True)
    (grid / "cut" / ".hydra" / "config.yaml").write_text("latent: 5\nseed: 1\n")
    (grid / "cut" / ".hydra" / "overrides.yaml").write_text("- latent=5\n")
    (grid / "bad").mkdir()
    (grid / "bad" / RESULTS).write_text("{")
    (grid / "busy").mkdir()
    with locked(grid / "busy" / LOCK):
        found = report([grid], grid, with_plots=False)
    assert found.counts == {"completed": 27, "failed": 1, "cut off": 1, "damaged": 1, "running": 1}
    text = (grid / "sweep.md").read_text()
    assert "latent must be \\| at least 1" in text
    assert len(rows_of(grid / "sweep.csv")) == 31
    assert found.axes == ["latent", "beta.weight"]
    cut_off = next(row for row in rows_of(grid / "sweep.csv") if row["job"] == "cut")
    assert cut_off["latent"] == "5"


def test_the_plots_are_in_figures_and_in_tensorboard(grid):
    found = report([grid], grid)
    report([grid], grid)  # again: TensorBoard must not show two reports
    assert found.groups
    names = {"rate_distortion", "heat_maps"}  # no sample grid: these models have no weights
    assert {path.stem for path in (grid / "figures").glob("*.png")} == names
    for path in (grid / "figures").glob("*.png"):
        with Image.open(path) as picture:
            assert min(picture.size) > 250
    assert len(list(grid.glob("events.out.tfevents.*"))) == 1
    events = EventAccumulator(str(grid)).Reload()
    assert set(events.Tags()["images"]) == {f"sweep/{name}" for name in names}
    assert "sweep/text_summary" in events.Tags()["tensors"]


def test_curves_run_through_the_betas_of_each_latent_size(grid):
    group = read([grid]).groups[0]
    figure = plots.plane(group.configurations, "latent", "beta.weight", pareto_front(group.configurations))
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    line = lines["latent=10"]
    expected = [statistics.fmean(synthetic.metrics(10, beta, seed)["rate"] for seed in (1, 2, 3))
                for beta in (0.5, 1, 4)]  # fmt: skip
    assert line.get_xdata() == pytest.approx(expected)
    dashed = [line for line in figure.axes[0].get_lines() if line.get_linestyle() == "--"]
    assert dashed
    for line in dashed:  # on each the ELBO is the same
        assert np.ptp(np.asarray(line.get_xdata()) + np.asarray(line.get_ydata())) == pytest.approx(0, abs=1e-9)


def test_a_heat_map_shows_the_means_of_configurations_in_their_places(grid):
    group = read([grid]).groups[0]
    figure = plots.heat_maps(group.configurations, "latent", "beta.weight", ["nll"])
    shown = figure.axes[0].images[0].get_array()
    configuration = group.configurations.query("latent == 20 and `beta.weight` == 0.5").iloc[0]
    assert shown[2, 0] == pytest.approx(configuration["nll"])
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["2", "10", "20"]


@pytest.mark.parametrize(
    ("axes", "plots"),
    [
        ({"seed": [1, 2]}, {"rate_distortion"}),
        ({"latent": [2, 5]}, {"rate_distortion", "lines"}),
        (
            {"latent": [2, 5], "beta__weight": [1, 2], "optimizer__lr": [1e-3, 1e-2]},
            {"rate_distortion-0", "rate_distortion-1", "heat_maps-0", "heat_maps-1"},
        ),
    ],
)
def test_one_axis_or_none_or_three_have_plots_too(tmp_path, axes, plots):
    report([synthetic.sweep(tmp_path, **axes)], tmp_path)
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} == plots


def test_models_without_a_bound_are_ranked_by_what_they_have(tmp_path):
    for latent in (2, 3):
        synthetic.write(tmp_path, {"latent": latent}, test={"mse": 10.0 / latent, "distortion": 80.0}, validation={})
    found = report([tmp_path], tmp_path)
    assert [row.by for row in ranking(found.groups[0])] == ["mse"]
    assert "validation" not in (tmp_path / "sweep.md").read_text()


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: folder.mkdir()])
def test_no_sweep_is_one_line(tmp_path, make):
    make(tmp_path / "nothing")
    with pytest.raises(ValueError, match="nothing"):
        read([tmp_path / "nothing"])


WITH_MEMORY = """
import runpy, sys
from pathlib import Path
sys.argv = sys.argv[1:]
sys.path.insert(0, str(Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name="__main__")
# Not getrusage's, which remembers what the process was before it became this one.
print(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc")
@pytest.mark.engine
def test_ten_thousand_jobs_fit_into_a_minute_and_two_gigabytes(tmp_path):
    """In a process of its own, whose memory is its own; it takes some seconds, of which torch's import is most."""
    synthetic.sweep(
        tmp_path / "large", latent=range(2, 52), beta__weight=[0.1 * step for step in range(1, 41)], seed=range(5)
    )
    script = ROOT / "scripts" / "report.py"
    began = time.monotonic()
    words = [sys.executable, "-c", WITH_MEMORY, str(script), str(tmp_path / "large")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 60
    assert "10000 jobs, 10000 completed" in done.stdout
    assert "The best 100 of 2000 configurations" in done.stdout
    assert int(done.stdout.split()[-2]) < 2e6  # kilobytes


def test_repeated_jobs_count_once(grid, tmp_path):
    again = tmp_path / "again"
    synthetic.write(again, {"latent": 2, "beta.weight": 1.0, "seed": 1})  # 1 by another name
    found = read([grid, again, grid])
    assert len(found.jobs) == 27
    assert found.groups[0].configurations["seeds"].tolist() == [3] * 9
    assert any("1 job repeats another" in note for note in found.notes)


def test_only_options_that_change_a_metric_are_axes(tmp_path):
    for ema in (None, 0.9):
        for parts in ("[]", "[latents]"):
            word = "null" if ema is None else ema
            config = {"evaluation": {"ema": ema, "parts": parts}}
            synthetic.write(tmp_path, {"evaluation.ema": word, "evaluation.parts": parts}, config=config)
    found = read([tmp_path])
    assert found.axes == ["evaluation.ema"]
    assert sorted(found.groups[0].configurations["evaluation.ema"]) == ["0.9", "null"]


def test_a_job_of_which_nothing_is_known_yet_makes_no_axis(grid):
    (grid / "begun").mkdir()
    (grid / "begun" / LOCK).touch()
    assert read([grid]).axes == ["latent", "beta.weight"]


def test_one_seed_each_shows_no_difference(tmp_path):
    text = as_markdown(read([synthetic.sweep(tmp_path, latent=[2, 5])]), {})
    assert "one seed each cannot show whether this is chance" in text


def test_missing_metrics_do_not_count_as_seeds(tmp_path):
    for seed, nll in enumerate((90.0, None, None)):
        synthetic.write(tmp_path, {"latent": 2, "seed": seed}, test={"elbo": -95.0, "nll": nll})
    best = {row.by: row for row in ranking(read([tmp_path]).groups[0])}
    assert (best["nll"].seeds, best["elbo"].seeds) == (1, 3)


def test_a_single_run_is_refused_and_keeps_its_curves(grid):
    job = next(grid.glob("beta.weight=1,latent=2,seed=1"))
    (job / "events.out.tfevents.1").touch()
    with pytest.raises(ValueError, match="is a single run"):
        report([job], job)
    report([grid], job)  # --to may name any directory
    assert (job / "events.out.tfevents.1").exists()


def test_a_plot_that_fails_leaves_the_others(grid, monkeypatch):
    def fail(*arguments: object) -> None:
        raise TypeError("unorderable")

    monkeypatch.setattr(plots, "plane", fail)
    report([grid], grid)
    assert {path.stem for path in (grid / "figures").glob("*.png")} == {"heat_maps"}
    assert "heat_maps" in (grid / "sweep.md").read_text()


def test_a_search_is_no_grid_and_has_its_own_plot(tmp_path):
    generator = np.random.default_rng(0)
    for latent in generator.permutation(np.arange(2, 14)):
        words = {"latent": int(latent), "beta.weight": float(np.exp(generator.uniform(-1, 1)))}
        synthetic.write(tmp_path, words | {"optimizer.lr": float(10 ** generator.uniform(-4, -2))})
    found = report([tmp_path], tmp_path)
    assert not found.groups[0].is_grid
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} == {"rate_distortion", "scatter"}
    group = found.groups[0]
    figure = plots.scatter(group.best("nll"), group.axes, "nll")
    assert [axes.get_xlabel() for axes in figure.axes] == ["latent", "beta.weight", "optimizer.lr"]
    assert [axes.get_xscale() for axes in figure.axes] == ["linear", "linear", "log"]
    ringed = [axes.get_lines()[1].get_ydata()[0] for axes in figure.axes]
    assert ringed == [group.configurations["nll"].min()] * 3


def test_an_unfinished_grid_is_a_grid(tmp_path):
    synthetic.sweep(tmp_path, latent=[2, 5, 10], beta__weight=[1, 2])
    for latent, beta in ((20, 1), (20, 4)):
        synthetic.write(tmp_path, {"latent": latent, "beta.weight": beta})
    assert read([tmp_path]).groups[0].is_grid


def test_metrics_whose_definition_has_changed_are_left_out(tmp_path, monkeypatch):
    redefined = dataclasses.replace(METRICS["nll"], since="0.10.0")
    monkeypatch.setattr(jobs, "METRICS", {**METRICS, "nll": redefined})
    for latent, version in ((2, "0.9.1"), (3, "0.10.0"), (4, "0.11.0.dev0")):
        synthetic.write(tmp_path, {"latent": latent}, versions={"vaelab": version})
    found = read([tmp_path])
    assert found.groups[0].best("nll")["latent"].tolist() == [4, 3]
    assert set(found.groups[0].best("elbo")["latent"]) == {2, 3, 4}
    assert any("nll of version 0.9.1" in note for note in found.notes)
