"""A finished multi-rate run: its table, its tools at a chosen β, and what they refuse."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from conftest import SMALL, train, train_here
from PIL import Image

import vaelab
from vaelab.runs.results import RESULTS, read_results

WORDS = ("model=multirate", "network.hidden=[16]", "name=many", "optimizer.lr=1e-2", "epochs=3")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, str]:
    """The directory of a small run, and what it printed."""
    folder = tmp_path_factory.mktemp("many")
    status, out, err = train_here(folder, *SMALL, *WORDS, "evaluation.parts=[curve]")
    assert (status, err) == (0, ""), out + err
    return folder / "outputs" / "runs" / "many", out


@pytest.fixture
def run(trained, tmp_path) -> Path:
    shutil.copytree(trained[0], tmp_path / "run")
    return tmp_path / "run"


def test_a_run_ends_with_its_curve(trained):
    run, out = trained
    results = read_results(run)
    points = results["evaluation"]["curve"]["points"]
    assert [point["beta"] for point in points] == [0.25, 0.3536, 0.5, 0.7071, 1, 1.414, 2, 2.828, 4]
    rates = [point["rate"] for point in points]
    assert rates == sorted(rates, reverse=True)
    assert points[4]["elbo"] == pytest.approx(results["test"]["elbo"], rel=0.01)
    assert results["betas"] == [0.25, 4.0]
    lines = out.splitlines()
    (row,) = [line.split() for line in lines if line.split()[:1] == ["0.25"]]
    assert float(row[1]) == pytest.approx(points[0]["distortion"] + 0.25 * points[0]["rate"], abs=1e-3)
    assert "{" not in out


def test_a_killed_run_resumes_to_exactly_the_same_weights(command, trained, tmp_path):
    """From a checkpoint in the middle: β of each image depends on the seed and the epoch alone."""
    status, _, err = command(*SMALL, *WORDS, "epochs=2", "evaluation.parts=[]", "lr=constant")
    assert status == 0, err
    command(*SMALL, *WORDS, "evaluation.parts=[]", "lr=constant", "name=whole")
    status, _, err = command("ckpt=outputs/runs/many/checkpoints/last.ckpt", "epochs=3")
    assert status == 0, err
    here, there = (
        torch.load(tmp_path / f"outputs/runs/{name}/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("many", "whole")
    )
    assert here.keys() == there.keys()
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_python_has_the_model_at_each_beta(run):
    opened = vaelab.load(run)
    x, _ = opened.images("test", 50)
    low, one, high = (opened.at(beta).score(x) for beta in (0.25, 1, 4))
    assert torch.equal(one["rate"], opened.score(x)["rate"])
    assert low["rate"].mean() > one["rate"].mean() > high["rate"].mean()
    assert torch.equal(opened.at(4).encode(x).mean, opened.model.at(4.0).encode(x).mean.detach())
    for beta, says in ((5, "for a beta from 0.25 to 4, got 5"), (-1, "beta must be a finite number above 0")):
        with pytest.raises(ValueError, match=says):
            opened.at(beta)


@pytest.mark.filterwarnings("ignore")  # of torch's exporters, to themselves
def test_the_tools_take_a_beta(script, run, tmp_path):
    images = vaelab.load(run).images("test", 3)[0]
    files = []
    for index, image in enumerate(images):
        files.append(tmp_path / f"{index}.png")
        Image.fromarray((255 * image[0]).round().byte().numpy()).save(files[-1])
    found = {}
    for beta in ("0.25", "1", "4", None):
        option = [] if beta is None else ["--beta", beta]
        for words in (
            ["sample", run, f"samples-{beta}.npy", "--count", 4, *option],
            ["encode", run, f"encoded-{beta}.npz", *option],
            ["score", run, f"scores-{beta}.csv", "--samples", 4, *option],
            ["reconstruct", run, f"images-{beta}.png", *files, *option],
        ):
            status, out, err = script(*words)
            assert (status, err) == (0, ""), out + err
        found[beta] = (
            np.load(f"samples-{beta}.npy"), np.load(f"encoded-{beta}.npz")["mean"], pd.read_csv(f"scores-{beta}.csv"),
            Path(f"images-{beta}.png").read_bytes(),
        )  # fmt: skip
    for of_one, of_none, of_low in zip(found["1"], found[None], found["0.25"], strict=True):
        if isinstance(of_one, bytes):
            assert of_one == of_none != of_low
        else:
            assert np.array_equal(of_one, of_none)
            assert not np.array_equal(of_one, of_low)
    assert found["0.25"][2]["rate"].mean() > found["4"][2]["rate"].mean()


@pytest.mark.filterwarnings("ignore")  # of torch's exporters, to themselves
def test_an_export_is_of_one_beta(script, run):
    x = vaelab.load(run).images("test", 5)[0]
    for beta in (None, 4.0):
        status, out, err = script("export", run, f"exported-{beta}", *([] if beta is None else ["--beta", beta]))
        assert status == 0, out + err
        session = onnxruntime.InferenceSession(f"exported-{beta}/encoder.onnx")
        mean, std = session.run(None, {"x": x.numpy()})
        expected = vaelab.load(run).at(beta or 1.0).encode(x)
        np.testing.assert_allclose(mean, expected.mean, atol=1e-5)
        np.testing.assert_allclose(std, expected.std, atol=1e-5)


@pytest.mark.parametrize(
    "words", [["sample", "a.npy"], ["encode", "a.npz"], ["score", "a.csv"], ["export", "a"]], ids=str
)
def test_a_beta_that_the_model_does_not_have_is_one_line(script, run, finished, words):
    name, target = words
    for directory, beta, says in (
        (run, "9", "error: this model is for a beta from 0.25 to 4, got 9\n"),
        (finished, "2", "error: this model was trained for one beta, so there is no other to choose: leave beta out\n"),
    ):
        status, _, err = script(name, directory, target, "--beta", beta)
        assert (status, err) == (1, says)
        assert not Path(target).exists()


def test_evaluate_prints_the_curve_and_takes_betas(script, run):
    off = [f"{part}=false" for part in ("likelihood", "latents", "aggregate", "probes", "disentanglement", "samples")]
    before = json.loads((run / RESULTS).read_text())["evaluation"]["curve"]
    for words, says in (
        (["curve=true", "betas=[0.5,9]"], "each of betas must be from 0.25 to 4 for this model, got 9"),
        (["betas=3"], "betas must be a list of numbers such as betas=[0.5,1,2]"),
        (["betas=[a]"], "betas must be a list of numbers such as betas=[0.5,1,2]"),
        (["betas=[]"], "betas must be a list of numbers such as [0.5,1,2], or null, got []"),
    ):
        status, _, err = script("evaluate", run, *off, *words)
        assert status == 1
        assert says in err
        assert json.loads((run / RESULTS).read_text())["evaluation"]["curve"] == before
    status, out, err = script("evaluate", run, *off, "curve=true", "betas=[0.5,2]", "nll_samples=4", "prior_samples=0")
    assert (status, err) == (0, "")
    asked = json.loads((run / RESULTS).read_text())["evaluation"]["curve"]
    assert [point["beta"] for point in asked["points"]] == [0.5, 2]
    rows = [line.split() for line in out.splitlines() if line.strip()[:1].isdigit()]
    assert [row[0] for row in rows] == ["0.5", "2"]
    for row, point in zip(rows, asked["points"], strict=True):
        assert float(row[1]) == pytest.approx(point["distortion"] + point["beta"] * point["rate"], abs=1e-3)
    # The same again computes nothing, and without curve=true what is known is shown.
    for words in (["curve=true", "betas=[0.5,2]", "nll_samples=4", "prior_samples=0"], []):
        assert script("evaluate", run, *off, *words)[1] == out
    assert json.loads((run / RESULTS).read_text())["evaluation"]["curve"] == asked


@pytest.mark.engine
def test_two_processes_and_compiled_networks_train_it(tmp_path):
    """Each process draws its own β, as another seed does; after ten epochs seeds differ by up to 6 % in elbo."""
    found = []
    for name, options in (
        ("alone", ()),
        ("two", ("accelerator=ddp_cpu",)),
        ("compiled", ("trainer.compile=default",)),
    ):
        words = (*SMALL, *WORDS, "data.batch_size=32", "network.hidden=[32]", "epochs=10", "evaluation.parts=[]")
        status, out, err = train(tmp_path, *words, f"name={name}", *options)
        assert status == 0, out + err
        found.append(read_results(tmp_path / "outputs" / "runs" / name)["test"]["elbo"])
    assert found[1:] == pytest.approx([found[0]] * 2, rel=0.1)
