"""A few runs side by side: scripts/compare.py."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SMALL, train_here
from PIL import Image

from vaelab.runs.load import load_run
from vaelab.sweeps.comparison import Comparison
from vaelab.sweeps.sample_grid import show


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    """A run that differs from ``finished`` in latent, beta and the number of samples in nll."""
    folder = tmp_path_factory.mktemp("other")
    status, _, err = train_here(
        folder, *SMALL, "name=other", "latent=3", "beta.weight=2", "evaluation.nll_samples=20", "data.binarize=none"
    )
    assert (status, err) == (0, "")
    return folder / "outputs" / "runs" / "other"


def altered(run: Path, to: Path, **changes: object) -> Path:
    """A copy of ``run`` whose results.json has other entries; ``data__test`` is an entry of the section data."""
    shutil.copytree(run, to)
    results = json.loads((to / "results.json").read_text())
    for name, value in changes.items():
        section, _, entry = name.rpartition("__")
        (results[section] if section else results)[entry] = value
    (to / "results.json").write_text(json.dumps(results))
    return to


def reasons(*runs: Path) -> dict[str, str]:
    return {row.name: row.why_not for row in Comparison.of(runs).rows()}


def test_what_is_printed_and_drawn(script, finished, other, tmp_path):
    status, out, err = script("compare", finished, other, "--images", 5, "--to", tmp_path / "both.png")
    assert (status, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "latent 4 3" in lines
    assert "beta.weight 1 2" in lines
    assert not any(line.startswith(("seed", "posterior.latent", "name", "likelihood")) for line in lines)
    results = [json.loads((run / "results.json").read_text())["test"] for run in (finished, other)]
    better = max(range(2), key=lambda run: results[run]["elbo"])
    elbo = [f"{test['elbo']:.2f}" + (" *" if run == better else "") for run, test in enumerate(results)]
    assert f"elbo {' '.join(elbo)} nats higher yes" in lines
    nll = " ".join(f"{test['nll']:.2f} ± {test['nll_stderr']:.2f}" for test in results)
    assert f"nll {nll} nats lower yes, 1)" in [line.replace(" *", "") for line in lines]
    assert "1) estimated differently (nll_samples: 10, 20), which may explain a small difference" in lines
    assert "2) not comparable: different beta: 1, 2" in lines
    image = np.asarray(Image.open(tmp_path / "both.png").convert("L"))
    assert image.shape[0] > 5 * 28 * 3  # originals, and two rows for each model

    status, _, err = script("compare", finished, other, "--to", tmp_path / "both.png")
    assert (status, err.count("\n")) == (1, 1)
    assert "exists already" in err


def test_the_default_figure_is_written_again(script, finished, other, tmp_path):
    for _ in range(2):
        status, out, err = script("compare", finished, other)
        assert (status, err) == (0, "")
    (file,) = (tmp_path / "outputs" / "comparisons").glob("*.png")
    assert out.strip().endswith(str(file.relative_to(tmp_path)))


def test_both_models_get_the_same_images_and_noise(finished, other):
    x = torch.rand(6, 1, 28, 28)
    seen = []
    for run in (finished, other):
        model = load_run(run, reads_data=False)[0].model
        decode = model.decode
        model.decode = lambda z, decode=decode: (seen.append(z), decode(z))[1]
        show(model, x, torch.zeros(6, dtype=torch.long))
    _, four, _, three = seen  # reconstructions, then samples
    assert torch.equal(four[:, :3], three)


def test_which_metrics_are_comparable(finished, other, tmp_path):
    found = reasons(finished, other)
    assert [name for name, reason in found.items() if reason] == ["loss"]
    assert found["loss"] == "beta: 1, 2"
    gaussian = altered(finished, tmp_path / "gaussian", likelihood="gaussian")
    found = reasons(finished, gaussian)
    assert found["elbo"] == found["nll"] == "likelihood: bernoulli, gaussian"
    assert found["rate"] == found["mse"] == found["gap"] == ""
    fewer = altered(finished, tmp_path / "fewer", data__test=100)
    assert set(reasons(finished, fewer).values()) == {"test images: 200, 100"}
    binary = altered(finished, tmp_path / "binary", data__binarize="static")
    assert reasons(finished, binary)["mse"] == "pixels: grey pixels, drawn binary pixels"


def test_a_metric_that_was_defined_otherwise(finished, tmp_path, monkeypatch):
    old = altered(finished, tmp_path / "old", versions={"vaelab": "0.0.9"})
    monkeypatch.setattr("vaelab.sweeps.comparison.is_comparable", lambda name, version: version != "0.0.9")
    assert reasons(finished, old)["probes: linear_probe"] == "another definition in the version of old"


def test_the_same_run_twice_has_no_best_and_no_difference(script, finished, tmp_path):
    copy = altered(finished, tmp_path / "copy")
    comparison = Comparison.of([finished, copy])
    assert comparison.options() == {}
    assert all(row.best is None for row in comparison.rows())
    assert comparison.names == ["small", "copy"]
    status, out, _ = script("compare", finished, copy)
    assert status == 0
    assert "The runs have the same options." in out


@pytest.mark.parametrize(
    ("which", "says"),
    [
        ("alone", "alone cannot be compared: name two runs or more"),
        ("twice", "alone cannot be compared: name two runs or more"),
        ("nothing", "there is no "),
        ("sweep", "is a sweep: name two of its jobs, or compare all: python scripts/report.py"),
        ("failed", "failed (the disk is full), so there is nothing to compare"),
        ("data", "different images (images: mnist5k and kmnist): compare runs on the same data"),
        ("shape", "images of different shapes ([1, 28, 28] and [3, 8, 8]): compare runs on the same data"),
        ("unfinished", "has no results.json"),
        ("damaged", "is damaged"),
    ],
)
def test_what_cannot_be_compared_gets_one_line(script, finished, tmp_path, which, says):
    run = tmp_path / which
    if which == "sweep":
        shutil.copytree(finished, run / "job")
    elif which == "failed":
        altered(finished, run, status="failed", error="the disk is full")
    elif which == "data":
        altered(finished, run, data__name="kmnist")
    elif which == "shape":
        config = json.loads((finished / "results.json").read_text())["config"]
        altered(finished, run, config={**config, "data": {**config["data"], "shape": [3, 8, 8]}})
    elif which in ("unfinished", "damaged"):
        altered(finished, run)
        (run / "results.json").write_text("{") if which == "damaged" else (run / "results.json").unlink()
    others = {"alone": (), "twice": (finished,)}.get(which, (run,))
    status, out, err = script("compare", finished, *others)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert says in err
    assert not (tmp_path / "outputs").exists()


def test_too_many_images(script, finished, other):
    for count in ("0", "101"):
        status, _, err = script("compare", finished, other, "--images", count)
        assert (status, err.count("\n")) == (1, 1)
        assert "--images must be" in err
