"""Which runs and sweeps the explorer opens, and the points of a sweep."""

import json
import shutil

import pytest
import synthetic

from vaelab.errors import InputError
from vaelab.explore.opened import Opened
from vaelab.explore.sweep_plane import SHOWN, preview, read_planes
from vaelab.runs.results import RESULTS


@pytest.fixture
def grid(tmp_path):
    return synthetic.sweep(tmp_path / "grid", latent=[2, 10, 20], beta__weight=[0.5, 1, 4], seed=[1, 2])


@pytest.fixture
def sweep(finished, tmp_path):
    """A sweep of two jobs, which are copies of one run."""
    for beta in (1, 4):
        job = tmp_path / "pair" / f"beta.weight={beta}"
        shutil.copytree(finished, job)
        results = json.loads((job / RESULTS).read_text())
        results["overrides"] = [f"beta.weight={beta}"]
        results["config"]["beta"]["weight"] = beta
        results["test"]["rate"] += beta
        results["test"]["elbo"] -= beta
        (job / RESULTS).write_text(json.dumps(results))
    return tmp_path / "pair"


def test_every_configuration_is_a_point_by_its_mean_over_seeds(grid):
    (plane,) = read_planes([grid])
    assert len(plane.points) == 9
    assert plane.axes == {"latent": [2, 10, 20], "beta.weight": [0.5, 1, 4]}
    for point in plane.points:
        latent, beta = point.options["latent"], point.options["beta.weight"]
        both = [synthetic.metrics(latent, beta, seed) for seed in (1, 2)]
        assert point.rate == pytest.approx(sum(each["rate"] for each in both) / 2)
        assert point.distortion == pytest.approx(sum(each["distortion"] for each in both) / 2)
        assert point.directory.name == f"beta.weight={beta:g},latent={latent},seed=1"
    best = plane.points[plane.best]
    assert best.rate + best.distortion == min(point.rate + point.distortion for point in plane.points)


def test_a_slider_moves_to_the_configuration_that_differs_in_its_option_alone(grid):
    (plane,) = read_planes([grid])
    start = next(index for index, point in enumerate(plane.points) if point.options == {"latent": 2, "beta.weight": 4})
    wanted = {**plane.points[start].options, "latent": 20}
    assert plane.points[plane.nearest(wanted, "latent")].options == {"latent": 20, "beta.weight": 4}
    # Where that combination is missing, the nearest of the others is taken.
    for job in grid.glob("beta.weight=4,latent=20,*"):
        shutil.rmtree(job)
    (plane,) = read_planes([grid])
    assert plane.points[plane.nearest(wanted, "latent")].options == {"latent": 20, "beta.weight": 1}


def test_a_sweep_opens_its_best_configuration_and_others_on_demand(sweep):
    opened = Opened([sweep], "cpu")
    (plane,) = opened.planes
    assert [point.options for point in plane.points] == [{"beta.weight": 1}, {"beta.weight": 4}]
    assert opened.first.run.directory.name == "beta.weight=1"
    other = opened.open_point(plane.points[1])
    assert other.run.directory.name == "beta.weight=4"
    assert opened.open_point(plane.points[1]) is other
    originals, reconstructions, samples = preview(other)
    assert len(originals) == len(reconstructions) == len(samples) == SHOWN
    assert opened.named == []


def test_a_run_that_was_deleted_meanwhile_gets_one_line(sweep):
    opened = Opened([sweep], "cpu")
    point = opened.planes[0].points[1]
    shutil.rmtree(point.directory)
    with pytest.raises(InputError, match="there is no "):
        opened.open_point(point)


def test_runs_of_one_name_are_told_apart(finished, tmp_path):
    other = tmp_path / finished.name
    shutil.copytree(finished, other)
    opened = Opened([finished, other, finished], "cpu")
    assert list(opened.runs) == opened.named == ["small", "small (2)"]
    assert opened.names == ["small", "small (2)"]
    assert opened.planes == []


def test_what_is_neither_a_run_nor_a_sweep_gets_one_line(tmp_path, finished):
    with pytest.raises(InputError, match="no such directory"):
        Opened([tmp_path / "nowhere"])
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no run"):
        Opened([tmp_path / "empty"])
    with pytest.raises(InputError, match="is a file"):
        Opened([finished / RESULTS])
    (tmp_path / "unfinished" / ".hydra").mkdir(parents=True)
    with pytest.raises(InputError, match="the run is not finished, or this is no run"):
        Opened([tmp_path / "unfinished"])
    failed = synthetic.write(tmp_path / "failing", {"latent": 2}, status="failed", error="loss is nan")
    with pytest.raises(InputError, match="failed"):
        Opened([failed])
    with pytest.raises(InputError, match="no configuration is finished"):
        Opened([tmp_path / "failing"])
