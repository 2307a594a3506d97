"""vaelab in Python: train, sweep, compose and load, and a finished run's methods on all kinds of images."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SMALL
from PIL import Image

import vaelab
from vaelab.runs.load import load_run
from vaelab.runs.results import read_results

QUICK = (*SMALL, "epochs=1", "evaluation.parts=[]")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VAELAB_DATA", raising=False)
    yield tmp_path
    torch.set_flush_denormal(False)


@pytest.fixture(scope="module")
def run(finished):
    return vaelab.load(finished, device="cpu")


@pytest.fixture(scope="module")
def grey(run):
    """Test images uint8 ``(20, 1, 28, 28)``."""
    return run.data.sets["test"].images[:20]


# ---- the package -----------------------------------------------------------------------------------------------


def test_its_import_is_fast_because_it_imports_no_torch():
    code = "import sys, vaelab; print(sorted({'torch', 'lightning', 'hydra', 'pandas', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("package", [vaelab, vaelab.models])
def test_every_public_name_exists_and_is_explained(package):
    assert sorted(set(package.__all__)) == sorted(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert len(getattr(package, name).__doc__) > 10
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        package.lode  # noqa: B018


# ---- a finished run --------------------------------------------------------------------------------------------


def test_a_run_is_the_model_that_was_tested(run, finished):
    model, data = load_run(finished)[0].model, run.data
    x = data.scale(data.sets["test"].images)
    with torch.no_grad():
        q = model.encode(x)
        z = torch.randn(5, 4)
        torch.testing.assert_close(run.encode(x), vaelab.Encoding(q.mean, q.stddev))
        torch.testing.assert_close(run.reconstruct(x), model.reconstruct(q))
        torch.testing.assert_close(run.decode(z), model.decode(z).mean)
    assert run.metrics == read_results(finished)["test"]
    assert (run.config.latent, run.latent, run.shape, run.classes) == (4, 4, (1, 28, 28), None)
    assert "latent=4, elbo -" in repr(run)
    error = (x - run.reconstruct(x)).square().flatten(1).sum(1).mean()
    assert float(error) == pytest.approx(run.metrics["mse"], rel=1e-4)


def test_log_likelihoods_are_those_of_the_test(run):
    x, labels = run.images("test")
    assert (len(x), len(labels)) == (200, 200)
    few, many = run.log_likelihood(x, samples=10), run.log_likelihood(x[:50], samples=500)
    assert float(few.mean()) == pytest.approx(-run.metrics["nll"], rel=0.1)
    assert (many > run.score(x[:50])["elbo"]).float().mean() > 0.95
    torch.testing.assert_close(run.log_likelihood(x, samples=10), few)  # the same noise at every call


def test_images_of_every_kind_are_the_same_images(run, grey):
    expected = run.encode(grey).mean
    pictures = [Image.fromarray(image[0].numpy()) for image in grey]
    floats = grey.float() / 255
    for same in (
        floats, floats.double(), floats.numpy(), grey.numpy(), grey[:, 0], grey.permute(0, 2, 3, 1).numpy(), pictures,
        [picture.convert("RGBA") for picture in pictures], list(grey), list(grey[:, 0].numpy()),
    ):  # fmt: skip
        torch.testing.assert_close(run.encode(same).mean, expected)
    for one in (grey[3], grey[3, 0], pictures[3]):
        torch.testing.assert_close(run.encode(one).mean, expected[3:4])
    torch.testing.assert_close(run.decode(expected[0].numpy()), run.decode(expected)[:1])


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda run, x: run.encode(x[..., :20]), r"have the shape \(N, 1, 28, 28\), got \(20, 1, 28, 20\): resize"),
        (
            lambda run, x: run.encode(Image.new("L", (30, 40))),
            r"28 x 28 pixels, got 30 x 40: image.resize\(\(28, 28\)\)",
        ),
        (lambda run, x: run.encode(x.float()), "must be from 0 to 1, got 0 to 255: divide by 255"),
        (lambda run, x: run.encode(x / torch.nan), "must be from 0 to 1, got nan"),
        (lambda run, x: run.encode(x.long()), "must be uint8 from 0 to 255 or floats from 0 to 1, got int64"),
        (lambda run, x: run.encode((x > 127).byte()), "brighter than 1 of 255: pass pixels of 0 and 1 as floats"),
        (lambda run, x: run.encode([]), "no image in an empty list"),
        (lambda run, x: run.encode(x[:0]), "no image in an array"),
        (lambda run, x: run.encode("seven.png"), "must be tensors, numpy arrays or PIL images, got str"),
        (lambda run, x: run.encode([x[0], x[1].float() / 255]), "must all be uint8, or all floats"),
        (lambda run, x: run.decode(torch.zeros(2, 3)), r"have the shape \(N, 4\), got \(2, 3\)"),
        (lambda run, x: run.decode([0.0, 0.0, 0.0, 0.0]), r"a tensor or a numpy array \(N, 4\), got list"),
        (lambda run, x: run.decode(torch.full((4,), torch.inf)), "must be finite"),
        (lambda run, x: run.encode(x, labels=3), "labels=3: this model is not conditioned on labels"),
        (lambda run, x: run.sample(0), "count must be a whole number of at least 1, got 0"),
        (lambda run, x: run.log_likelihood(x, samples=1), "samples must be a whole number of at least 2, got 1"),
        (lambda run, x: run.images("tests"), "split must be one of train, val, test, got 'tests'"),
        (lambda run, x: vaelab.load(run.directory, device="tpu"), "device must be one of auto, cpu, cuda, mps"),
        (lambda run, x: vaelab.load("nowhere"), "there is no nowhere"),
    ],
)
def test_wrong_input_is_one_line(run, grey, call, line):
    with pytest.raises(vaelab.InputError, match=line) as caught:
        call(run, grey)
    assert "\n" not in str(caught.value)


def test_samples_are_drawn_by_their_seed(run):
    images = run.sample(9, seed=1)
    assert (images.shape, images.dtype) == ((9, 1, 28, 28), torch.float32)
    assert torch.equal(images, run.sample(9, seed=1))
    assert not torch.equal(images, run.sample(9))
    assert set(run.sample(3, noise=True).unique().tolist()) == {0, 1}


def test_a_conditional_model_takes_labels(conditional):
    run = vaelab.load(conditional)
    x, labels = run.images("test", 8)
    given = run.encode(x, labels).mean
    torch.testing.assert_close(run.encode(x, labels.tolist()).mean, given)
    torch.testing.assert_close(run.encode(x[3], int(labels[3])).mean, given[3:4])
    assert not torch.allclose(run.encode(x, (labels + 1) % 10).mean, given)
    assert run.decode(given, labels).shape == x.shape
    assert torch.equal(run.sample(12), run.sample(12, labels=[*range(10), 0, 1]))
    for labels, line in [
        (None, "pass labels=..., from 0 to 9"),
        (10, "labels must be from 0 to 9, got 10"),
        ([1, 2], "labels must be one for all or 8, one for each image, got 2"),
        ("seven", "labels must be whole numbers from 0 to 9"),
    ]:
        with pytest.raises(vaelab.InputError, match=line):
            run.encode(x, labels)


# ---- the command line in Python --------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["ae", "mixture network.hidden=[] components=6", "hvae bottom=3"])
def test_other_models_are_trained_and_used_alike(here, model):
    options = [word for word in QUICK if not (model.startswith("mixture") and word.startswith(("latent=", "network.")))]
    arguments = list(sys.argv)
    run = vaelab.train(*options, *f"model={model}".split(), "name=run")
    assert (run.directory, sys.argv) == (Path("outputs/runs/run"), arguments)
    assert not logging.getLogger("vaelab").handlers
    x, _ = run.images("test", 5)
    mean, std = run.encode(x)
    assert mean.shape == std.shape == (5, run.latent) == (5, {"a": 4, "m": 6, "h": 4}[model[0]])
    assert run.reconstruct(x).shape == run.sample(5).shape == run.decode(mean).shape == x.shape
    if model == "ae":
        assert set(run.score(x)) == {"distortion", "squared_error"}
        with pytest.raises(vaelab.InputError, match="DiracPosterior has no density of its latents"):
            run.log_likelihood(x)
    else:
        assert (run.log_likelihood(x) > run.score(x)["elbo"] - 0.05).all()
    if model.startswith("mixture"):
        torch.testing.assert_close(mean.sum(1), torch.ones(5))
        with pytest.raises(vaelab.InputError, match="a temperature is for prior=normal"):
            run.sample(5, temperature=0.5)


def test_a_sweep_is_a_table_and_is_not_done_twice(here):
    words = [word for word in QUICK if not word.startswith("latent=")]
    table = vaelab.sweep(*words, "latent=2,3", "name=two")
    assert isinstance(table, pd.DataFrame)
    assert table["latent"].tolist() == [2, 3]
    directory = Path(table.attrs["directory"])
    assert directory == Path("outputs/sweeps/two")
    np.testing.assert_allclose(table["test_elbo"], pd.read_csv(directory / "sweep.csv")["test_elbo"])
    before = sorted(path.stat().st_mtime_ns for path in directory.glob("*/results.json"))
    assert table.equals(vaelab.sweep(*words, "latent=2,3", "name=two"))
    assert sorted(path.stat().st_mtime_ns for path in directory.glob("*/results.json")) == before
    job = vaelab.load(directory / table["job"][0])
    assert job.metrics["elbo"] == pytest.approx(table["test_elbo"][0])


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: vaelab.train("latnt=2"), "there is no option 'latnt'; did you mean latent=2?"),
        (lambda: vaelab.train("latent=2,3"), "latent=2,3 is a sweep of several values: vaelab sweep latent=2,3"),
        (lambda: vaelab.train("-m", "latent=2,3"), "vaelab.train takes no -m: vaelab.sweep is for"),
        (lambda: vaelab.train(["latent=2"]), "vaelab.train takes texts such as \"latent=2\", got list ['latent=2']"),
        (lambda: vaelab.train("--help"), "of the flags only --config-dir=..."),
        (lambda: vaelab.sweep("--cfg", "job"), "of the flags only --config-dir=..."),
        (lambda: vaelab.train(*QUICK, "latent=0"), "latent must be a whole number of at least 1, got 0"),
        (lambda: vaelab.train("--config-dir=nowhere"), "--config-dir=nowhere: there is no such folder"),
        (lambda: vaelab.sweep(*QUICK, "latent=2,3", "model=gan"), "the members of group 'model' are"),
        (lambda: vaelab.compose("-m", "latent=2,3"), "vaelab.compose takes no -m"),
        (lambda: vaelab.compose("beta.warmup=0.1"), "beta=constant has no option 'warmup'"),
        (lambda: vaelab.compose("~latent"), "every run needs this option"),
    ],
)
def test_a_wrong_command_is_raised_and_leaves_nothing(here, call, line):
    with pytest.raises(vaelab.InputError) as caught:
        call()
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(here.iterdir())


def test_a_job_that_fails_is_raised_after_the_report(here, capfd):
    words = [word for word in QUICK if not word.startswith("latent=")]
    with pytest.raises(vaelab.VaelabError, match="a job of the sweep failed, the others went on"):
        vaelab.sweep(*words, "latent=2,0", "name=two")
    assert "2 jobs, 1 failed, 1 completed" in capfd.readouterr().out


def test_a_bug_keeps_its_exception(here, monkeypatch):
    def training_step(*arguments: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("vaelab.training.module.VAEModule.training_step", training_step)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        vaelab.train(*QUICK, "name=run")
    assert not logging.getLogger("vaelab").handlers


def test_a_composition_is_that_of_the_run(run):
    config = vaelab.compose(*SMALL, "name=small", "pictures.every=1")
    assert config.beta.weight == 1
    assert config.model.posterior.latent == 4
    assert {name: config[name] for name in ("model", "loss", "seed")} == {
        name: run.config[name] for name in ("model", "loss", "seed")
    }
    assert vaelab.compose("model=ae").name.startswith("ae-latent20-")


def test_a_folder_of_pieces_is_found(tmp_path):
    (tmp_path / "prior").mkdir()
    (tmp_path / "prior" / "mine.yaml").write_text("_target_: vaelab.models.priors.StandardNormal\nlatent: ${latent}\n")
    assert vaelab.compose("--config-dir", str(tmp_path), "prior=mine").prior.latent == 20
