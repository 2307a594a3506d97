"""Multi-rate runs in the table of a sweep: a row for each β of the curve, beside separate runs."""

from pathlib import Path

import pytest
import synthetic
from conftest import SMALL, train_here

from vaelab.runs.results import read_results
from vaelab.sweeps.documents import as_json, as_markdown, count_jobs
from vaelab.sweeps.report import report
from vaelab.sweeps.sample_grid import first_job
from vaelab.sweeps.table import read

BETAS = (0.25, 0.5, 1.0, 2.0, 4.0)


def multirate(folder: Path, latent: int, betas: tuple[float, ...] = BETAS, seed: int = 0, **changes: object) -> Path:
    """The results of a multi-rate run whose metrics at each β are those of `synthetic.metrics`."""
    points = [
        {"beta": beta, **synthetic.metrics(latent, beta, seed), "kl_per_latent": latent * [beta]} for beta in betas
    ]
    overrides = {"model": "multirate", "latent": latent, "seed": seed}
    config = synthetic.result(overrides)["config"] | {"beta": {"low": 0.25, "high": 4.0, "margin": 1.5}}
    given = {"betas": [0.25, 4.0], "beta": None, "config": config, "evaluation": {"curve": {"points": points}}}
    return synthetic.write(folder, overrides, **given | changes)


def test_each_beta_of_a_curve_is_a_configuration_as_of_separate_runs(tmp_path):
    for latent in (2, 10):
        multirate(tmp_path / "curves", latent)
    synthetic.sweep(tmp_path / "runs", latent=[2, 10], beta__weight=BETAS, seed=[0])
    curves, separate = (read([tmp_path / name]).groups[0] for name in ("curves", "runs"))
    assert curves.axes == separate.axes == ["latent", "beta.weight"]
    shared = ["latent", "beta.weight", "elbo", "rate", "distortion", "nll", "mse", "active_units", "seeds"]
    expected = separate.configurations[shared].astype(curves.configurations[shared].dtypes)
    assert curves.configurations[shared].equals(expected)
    used = curves.configurations.set_index(["latent", "beta.weight"])["used_units"]
    assert used[10, 0.25] == 10  # KL terms of 0.25 nats are above 0.05


def test_a_sweep_of_curves_alone_has_its_plots_and_says_that_rows_share_a_training(tmp_path):
    for latent in (2, 10):
        multirate(tmp_path, latent)
    found = report([tmp_path], tmp_path)
    assert count_jobs(found) == "2 jobs, 2 completed"
    assert as_json(found)["jobs"] == {"all": 2, "completed": 2}
    assert {path.stem for path in (tmp_path / "figures").glob("*.png")} == {"rate_distortion", "heat_maps"}
    (note,) = found.notes
    assert note.startswith("10 rows, a beta.weight each, come from 2 trainings of a multi-rate model")
    assert note in (tmp_path / "sweep.md").read_text()


def test_curves_and_separate_runs_stand_beside_each_other(tmp_path):
    multirate(tmp_path, 2)
    for beta in (0.5, 4.0):
        synthetic.write(tmp_path, {"model": "vae", "latent": 2, "beta.weight": beta, "seed": 0})
    group = read([tmp_path]).groups[0]
    assert group.axes == ["beta.weight", "model"]
    assert len(group.configurations) == 7
    assert group.configurations["beta.weight"].dtype == float


def test_the_validation_chooses_between_rows_at_beta_1(tmp_path):
    multirate(tmp_path, 2, validation={"elbo": -200.0})
    multirate(tmp_path, 10, validation={"elbo": -90.0})
    found = read([tmp_path])
    chosen = found.groups[0].chosen_by_validation()
    assert (chosen["latent"], chosen["beta.weight"]) == (10, 1)
    assert "The validation ELBO would choose latent=10, beta.weight=1" in as_markdown(found, {})


@pytest.mark.parametrize(
    "evaluation",
    [{}, {"curve": {"error": "failed"}}, {"curve": {"points": [{"beta": 2.0, **synthetic.metrics(2, 2.0, 0)}]}}],
)
def test_beta_1_is_a_row_by_the_test_itself_where_the_curve_lacks_it(tmp_path, evaluation):
    multirate(tmp_path, 2, evaluation={"latents": {"kl_per_latent": [1.0, 0.0]}, **evaluation})
    rows = read([tmp_path]).jobs.set_index("curve_beta")
    assert rows.loc[1.0, "test_elbo"] == synthetic.metrics(2, 1, 0)["elbo"]
    assert rows.loc[1.0, "test_used_units"] == 1
    assert set(rows.index) == ({1.0, 2.0} if "points" in evaluation.get("curve", {}) else {1.0})


def test_a_curve_that_failed_or_repeats_changes_no_axis(tmp_path):
    multirate(tmp_path, 2)
    multirate(tmp_path, 5, status="failed", error="no memory")
    multirate(tmp_path / "again", 2)
    found = read([tmp_path])
    assert found.axes == ["latent", "beta.weight"]
    assert found.jobs["beta.weight"].dtype == float
    assert found.counts == {"completed": 1, "failed": 1}
    assert any("1 job repeats another" in note for note in found.notes)


def test_seeds_of_a_curve_are_averaged_at_each_beta(tmp_path):
    for seed in (1, 2, 3):
        multirate(tmp_path, 2, seed=seed)
    group = read([tmp_path]).groups[0]
    assert group.axes == ["beta.weight"]
    assert group.configurations["seeds"].tolist() == 5 * [3]


def test_a_sweep_is_trained_and_its_sample_grid_has_a_model_for_each_beta(tmp_path):
    small = [word for word in SMALL if not word.startswith(("latent", "epochs"))]
    words = ["model=multirate", "latent=2,3", "epochs=1", "evaluation.parts=[curve]", "evaluation.betas=[0.5,2]"]
    status, out, err = train_here(tmp_path, "-m", *small, *words, "name=curves")
    assert (status, err) == (0, ""), out + err
    sweep = tmp_path / "outputs" / "sweeps" / "curves"
    assert {path.stem for path in (sweep / "figures").glob("*.png")} == {"rate_distortion", "heat_maps", "sample_grid"}
    jobs = read([sweep]).jobs
    assert sorted(set(jobs["beta.weight"])) == [0.5, 1, 2]
    job, beta = first_job(jobs, {"latent": 3, "beta.weight": 2})
    assert (read_results(job)["latent"], beta) == (3, 2.0)
