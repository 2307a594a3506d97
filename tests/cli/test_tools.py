"""The scripts on finished runs: what they write, and how they report wrong input."""

import concurrent.futures
import json
import shutil

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from conftest import SMALL
from PIL import Image

from vaelab.evaluation import linear_model, suite
from vaelab.models.likelihoods import LogisticMixtureLikelihood
from vaelab.models.networks import ConvNet
from vaelab.models.posteriors import GaussianPosterior
from vaelab.models.priors import StandardNormal
from vaelab.models.vae import LatentVariableModel
from vaelab.runs import onnx_export as exporting
from vaelab.runs.load import load_run
from vaelab.runs.results import add_evaluation, read_results


@pytest.fixture
def tool(script):
    """A script in this process: (its error or None, its output)."""

    def run(name: str, *arguments: object) -> tuple[str | None, str]:
        status, out, err = script(name, *arguments)
        assert (status == 0) == (err == ""), err
        return err.rstrip() or None, out

    return run


@pytest.fixture
def copied(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def digits(tmp_path):
    folder = tmp_path / "digits"
    folder.mkdir()
    for number in range(12):
        pixels = np.full((40, 30), 255, np.uint8)
        pixels[8:32, 8 + number : 12 + number] = 0
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


# ---- evaluate --------------------------------------------------------------------------------------------------

FEW = (
    "nll_samples=10",
    "prior_samples=500",
    "aggregate_images=100",
    "probe_images=100",
    "generated=50",
    "samples=false",
)


def test_an_evaluation_is_printed_and_kept_and_not_done_twice(tool, copied, monkeypatch):
    wrong, out = tool("evaluate", copied, *FEW)
    assert wrong is None
    kept = read_results(copied)["evaluation"]
    assert set(kept) == {"likelihood", "latents", "aggregate", "probes", "disentanglement"}
    for part in kept:
        assert f"\n{part}" in f"\n{out}"
    assert f"{kept['likelihood']['nll']:.4f}" in out
    before = (copied / "results.json").read_text()
    again = tool("evaluate", copied, *FEW)
    assert (copied / "results.json").read_text() == before  # times too: nothing was found anew
    assert again[1].splitlines()[-1] == f"kept in {copied / 'results.json'}"
    tool("evaluate", copied, *FEW, "nll_samples=11")
    after = read_results(copied)["evaluation"]
    assert after["likelihood"]["nll_samples"] == 11
    assert after["probes"] == kept["probes"]
    tool("evaluate", copied, *FEW, "nll_samples=11", "recompute=true")
    assert read_results(copied)["evaluation"]["probes"]["time_s"] != kept["probes"]["time_s"]


def test_an_evaluation_prints_what_each_metric_means(tool, copied):
    _, out = tool("evaluate", copied, "--device", "cpu", *FEW, "likelihood=false", "latents=false", "aggregate=false")
    row = next(line for line in out.splitlines() if "knn_probe" in line)
    assert "test accuracy of a nearest" in row


def test_a_part_that_failed_is_tried_again_by_the_same_command(tool, copied, monkeypatch):
    words = (*FEW, "likelihood=false", "aggregate=false", "probes=false", "recompute=true")
    with monkeypatch.context() as patch:
        patch.setattr(linear_model, "linear_rates", lambda *_: 1 / 0)
        wrong, out = tool("evaluate", copied, *words)
    assert wrong is None
    assert "latents: failed, ZeroDivisionError: division by zero" in out
    assert "Traceback" not in out
    failed = read_results(copied)["evaluation"]["latents"]
    assert set(failed) == {"error", "asked"}
    log = (copied / "train.log").read_text()
    assert "Traceback" in log
    assert "ZeroDivisionError" in log
    tool("evaluate", copied, *words[:-1])
    assert "active_units" in read_results(copied)["evaluation"]["latents"]


def test_evaluations_at_once_lose_nothing_of_each_other(copied):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add_evaluation(copied, f"part {number}", {"found": number}), range(60)))
    kept = read_results(copied)["evaluation"]
    assert [kept[f"part {number}"]["found"] for number in range(60)] == list(range(60))


def test_what_the_run_itself_found_is_kept(finished):
    kept = read_results(finished)["evaluation"]
    assert set(kept) == {"latents", "aggregate", "probes"}
    assert kept["latents"]["active_units"] == read_results(finished)["test"]["active_units"]


def test_amortization_is_asked_for(tool, copied):
    others = [f"{part}=false" for part in suite.PARTS if part != "amortization"]
    wrong, out = tool(
        "evaluate", copied, *others, "amortization=true", "amortization_images=20", "nll_samples=50", "prior_samples=0"
    )
    assert wrong is None
    found = read_results(copied)["evaluation"]["amortization"]
    assert (found["images"], found["nll_samples"]) == (20, 50)
    assert found["gap"] == pytest.approx(found["approximation_gap"] + found["amortization_gap"])
    for name in ("gap", "approximation_gap", "amortization_gap"):
        assert 0 < found[f"{name}_stderr"] < 1
        assert f"{name}_stderr" in out


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("nll_sample=5", "there is no option 'nll_sample=5'; did you mean nll_samples=...?"),
        ("whatever", "there is no option 'whatever'; the options are likelihood, latents"),
        ("nll_samples=many", "nll_samples: Value 'many' of type 'str' could not be converted to Integer"),
        ("nll_samples=1", "nll_samples must be a whole number of at least 2, got 1"),
        ("amortization=perhaps", "amortization: Value 'perhaps' is not a valid bool"),
        ("nll_samples=[1,2", "cannot read nll_samples=[1,2: write option=value"),
    ],
)
def test_a_wrong_option_is_one_line(tool, copied, word, line):
    wrong, _ = tool("evaluate", copied, word)
    assert wrong.startswith(f"error: {line}")
    assert "\n" not in wrong


def test_data_that_the_run_was_not_tested_on_are_refused(tool, copied):
    content = json.loads((copied / "results.json").read_text())
    content["data"]["name"] = "mnist"
    (copied / "results.json").write_text(json.dumps(content))
    wrong, _ = tool("evaluate", copied, *FEW)
    assert wrong.startswith("error: ")
    assert "was trained on mnist, which is not here (only mnist5k)" in wrong


# ---- sample ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["npy", "pt"])
def test_samples_as_an_array_are_those_of_the_prior(tool, finished, tmp_path, kind):
    wrong, out = tool("sample", finished, tmp_path / "new" / f"s.{kind}", "--count", 1_200)
    assert wrong is None
    assert out.strip() == str(tmp_path / "new" / f"s.{kind}")
    written = np.load(out.strip()) if kind == "npy" else torch.load(out.strip(), weights_only=True).numpy()
    assert (written.shape, written.dtype) == ((1_200, 1, 28, 28), np.float32)
    model = load_run(finished)[0].model
    with torch.no_grad():
        expected = model.sample(1_200)[1].mean.mean(0)
    assert abs(written.mean(0) - expected.numpy()).max() < 0.05


def test_a_grid_holds_as_many_as_asked_for_and_a_seed_draws_them_again(tool, finished, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert tool("sample", finished, tmp_path / f"{name}.png", "--count", 9, "--seed", seed)[0] is None
    a, b, c = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in "abc")
    assert a.shape[0] == a.shape[1] == 3 * (3 * 30 + 2)
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_low_temperature_draws_nearly_the_same_and_noise_draws_pixels(tool, finished, tmp_path):
    tool("sample", finished, tmp_path / "cold.npy", "--temperature", 0.01)
    tool("sample", finished, tmp_path / "warm.npy")
    tool("sample", finished, tmp_path / "binary.npy", "--noise")
    cold, warm, binary = (np.load(tmp_path / f"{name}.npy") for name in ("cold", "warm", "binary"))
    assert cold.std(0).max() < 0.02 < warm.std(0).max()
    assert set(np.unique(binary)) == {0, 1}


def test_a_label_is_for_conditional_models(tool, finished, conditional, tmp_path):
    assert tool("sample", conditional, tmp_path / "seven.png", "--label", 7)[0] is None
    assert tool("sample", conditional, tmp_path / "x.png", "--label", 10)[0].startswith(
        "error: --label must be from 0 to 9"
    )
    assert "is not conditioned on labels" in tool("sample", finished, tmp_path / "x.png", "--label", 7)[0]


def test_no_file_is_overwritten_without_force(tool, finished, tmp_path):
    (tmp_path / "mine.png").write_text("precious")
    wrong, _ = tool("sample", finished, tmp_path / "mine.png")
    assert wrong.endswith("exists already and was not touched; take another name, or --force")
    assert (tmp_path / "mine.png").read_text() == "precious"
    assert tool("sample", finished, tmp_path / "mine.png", "--force")[0] is None
    assert "must end in .png, .npy, .pt" in tool("sample", finished, tmp_path / "mine.gif")[0]
    assert "at most 1024 images" in tool("sample", finished, tmp_path / "big.png", "--count", 2_000)[0]


def test_the_projector_has_latents_labels_and_thumbnails(conditional):
    config = (conditional / "projector_config.pbtxt").read_text()
    assert "latents" in config
    (folder,) = (path.parent for path in conditional.rglob("sprite.png"))
    assert len((folder / "tensors.tsv").read_text().splitlines()) == 200
    assert len((folder / "metadata.tsv").read_text().splitlines()) == 200
    assert "evaluation" not in read_results(conditional)


def test_drawn_pixels_are_the_likelihood_s_own(tool, finished, tmp_path):
    tool("sample", finished, tmp_path / "mean.npy", "--count", 2_000)
    tool("sample", finished, tmp_path / "drawn.npy", "--count", 2_000, "--noise")
    mean, drawn = np.load(tmp_path / "mean.npy"), np.load(tmp_path / "drawn.npy")
    assert abs(mean.mean() - drawn.mean()) < 0.01


# ---- encode ----------------------------------------------------------------------------------------------------


def test_codes_of_the_test_images_are_the_posterior_s(tool, finished, tmp_path):
    assert tool("encode", finished, tmp_path / "codes.npz")[0] is None
    codes = np.load(tmp_path / "codes.npz")
    experiment, data = load_run(finished)
    with torch.no_grad():
        q = experiment.model.encode(data.scale(data.sets["test"].images))
    np.testing.assert_allclose(codes["mean"], q.mean, atol=1e-5)
    np.testing.assert_allclose(codes["std"], q.stddev, atol=1e-5)
    np.testing.assert_array_equal(codes["label"], data.sets["test"].labels)


def test_training_images_are_binarised_as_the_model_saw_them(tool, command, tmp_path):
    options = ("data.binarize=dynamic", "name=dynamic", "epochs=1", "evaluation.parts=[]")
    assert command(*SMALL, *options)[0] == 0
    run = tmp_path / "outputs" / "runs" / "dynamic"
    assert tool("encode", run, tmp_path / "codes.npz", "--split", "train")[0] is None
    experiment, data = load_run(run)
    images = data.sets["train"].images
    with torch.no_grad():
        grey, drawn = (experiment.model.encode(data.scale(images, drawn=drawn)).mean for drawn in (False, True))
    codes = torch.from_numpy(np.load(tmp_path / "codes.npz")["mean"])
    assert float((codes - drawn).abs().mean()) > 0  # another draw
    assert abs(float(codes.std() - drawn.std())) < abs(float(codes.std() - grey.std()))


@pytest.mark.parametrize("option", [["--split", "val", "--images", "x"], ["--invert"], ["--label", "3"]])
def test_options_that_would_be_ignored_are_refused(tool, finished, tmp_path, option):
    assert "leave" in tool("encode", finished, tmp_path / "codes.npz", *option)[0]


def test_a_table_has_a_column_for_every_latent_and_a_row_for_every_file(tool, finished, tmp_path, digits):
    wrong, _ = tool("encode", finished, tmp_path / "codes.parquet", "--images", digits, "--invert")
    assert wrong is None
    table = pd.read_parquet(tmp_path / "codes.parquet")
    assert list(table.columns) == ["path", *(f"z{d}" for d in range(4)), *(f"std{d}" for d in range(4))]
    assert [name[-6:] for name in table["path"]] == [f"{number:02}.png" for number in range(12)]
    assert (table[[f"std{d}" for d in range(4)]] > 0).all(axis=None)
    wrong, _ = tool("encode", finished, tmp_path / "codes.npz", "--images", digits, "--invert")
    assert wrong is None
    arrays = np.load(tmp_path / "codes.npz")
    assert arrays["path"].tolist() == table["path"].tolist()
    np.testing.assert_array_equal(arrays["mean"][:, 0], table["z0"])


# ---- reconstruct -----------------------------------------------------------------------------------------------


def test_own_images_are_reconstructed(tool, finished, tmp_path, digits):
    wrong, out = tool("reconstruct", finished, tmp_path / "back.png", digits, digits / "03.png", "--invert")
    assert wrong is None
    lines = out.splitlines()
    assert len(lines) == 14
    assert "squared_error" in lines[0]
    assert "elbo -" in lines[0]
    height, width = np.asarray(Image.open(tmp_path / "back.png").convert("L")).shape
    assert height == 3 * (4 * 30 + 2)  # 13 images in rows of ten: two of originals, two of reconstructions
    assert width > 3 * 10 * 30


def test_images_that_seem_inverted_give_a_warning(tool, finished, tmp_path, digits):
    assert "is --invert missing" in tool("reconstruct", finished, tmp_path / "a.png", digits)[1]
    assert "is --invert missing" not in tool("reconstruct", finished, tmp_path / "b.png", digits, "--invert")[1]


def test_a_conditional_model_needs_a_label(tool, conditional, tmp_path, digits):
    wrong, _ = tool("reconstruct", conditional, tmp_path / "a.png", digits, "--invert")
    assert wrong == "error: this model is conditioned on labels: name the images' class with --label, 0 to 9"
    assert tool("reconstruct", conditional, tmp_path / "a.png", digits, "--invert", "--label", 1)[0] is None


# ---- export ----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")  # of torch's exporters, to themselves
@pytest.mark.parametrize("kind", ["plain", "conditional"])
def test_what_is_exported_agrees_with_the_model(tool, finished, conditional, tmp_path, kind):
    run = finished if kind == "plain" else conditional
    wrong, out = tool("export", run, tmp_path / "exported")
    assert wrong is None, out
    assert sorted(path.name for path in (tmp_path / "exported").iterdir()) == [
        "decoder.onnx", "decoder.pt2", "encoder.onnx", "encoder.pt2",
    ]  # fmt: skip
    experiment, data = load_run(run)
    x, labels = data.scale(data.sets["test"].images[:9]), data.sets["test"].labels[:9]
    with torch.no_grad():
        model = experiment.model.given(labels)
        q = model.encode(x)
        z = q.mean
        expected = {"encoder": (q.mean, q.stddev), "decoder": (model.decode(z).mean,)}
    for name, first in (("encoder", x), ("decoder", z)):
        given = (first,) if kind == "plain" else (first, labels)
        session = onnxruntime.InferenceSession(tmp_path / "exported" / f"{name}.onnx")
        places = [place.name for place in session.get_inputs()]
        assert places == [{"encoder": "x", "decoder": "z"}[name], "labels"][: len(given)]
        found = session.run(None, dict(zip(places, (value.numpy() for value in given), strict=True)))
        program = torch.export.load(tmp_path / "exported" / f"{name}.pt2").module()
        loaded = program(*given)
        loaded = loaded if isinstance(loaded, tuple) else (loaded,)
        for ours, onnx, torchs in zip(expected[name], found, loaded, strict=True):
            np.testing.assert_allclose(onnx, ours, atol=1e-5)
            torch.testing.assert_close(torchs, ours, atol=1e-5, rtol=0)
    assert "exists already" in tool("export", run, tmp_path / "exported")[0]


@pytest.mark.filterwarnings("ignore")  # of torch's exporters, to themselves
def test_convolutions_of_odd_sizes_and_the_logistic_mixture_are_exported(tmp_path):
    torch.manual_seed(0)
    image = (3, 9, 13)
    network = ConvNet(image, [8, 8], [16], blocks=1)
    model = LatentVariableModel(
        GaussianPosterior(network, 3), LogisticMixtureLikelihood(network, 3, image), StandardNormal(3)
    ).eval()
    with torch.no_grad():
        for name, module in (("encoder", exporting.Encoder(model)), ("decoder", exporting.Decoder(model))):
            exporting.export(module.eval(), exporting.example(model, 3)[name], tmp_path / name)
            given = exporting.example(model, 7)[name]
            assert exporting.difference(module, given, tmp_path / name) < exporting.TOLERANCE
    session = onnxruntime.InferenceSession(tmp_path / "decoder.onnx")
    assert session.run(None, {"z": given[0].numpy()})[0].shape == (7, *image)


# ---- runs that cannot be opened --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        ("no run", "there is no "),
        ("unfinished", "has no results.json: the run is not finished, or this is no run"),
        ("failed", "failed (the loss became nan), so it has no weights to look at"),
        ("truncated results", "results.json is damaged"),
        ("other results", "results.json is damaged: it does not hold what a run writes there"),
        ("truncated checkpoint", "best.ckpt is no checkpoint, or a damaged one"),
        ("no configuration", "its files do not describe a model with its weights (FileNotFoundError"),
        ("other configuration", "its files do not describe a model with its weights (RuntimeError"),
        ("another version", "was made by vaelab 0.0.1, this is"),
    ],
)
def test_a_run_that_cannot_be_opened_is_one_line(tool, copied, tmp_path, damage, line):
    best, results = copied / "checkpoints" / "best.ckpt", copied / "results.json"
    config = copied / ".hydra" / "config.yaml"
    if damage == "no run":
        shutil.rmtree(copied)
    elif damage == "unfinished":
        results.unlink()
    elif damage == "failed":
        results.write_text('{"status": "failed", "error": "the loss became nan"}')
    elif damage == "truncated results":
        results.write_text(results.read_text()[:200])
    elif damage == "other results":
        results.write_text("[]")
    elif damage == "truncated checkpoint":
        best.write_bytes(best.read_bytes()[:1_000])
    elif damage == "no configuration":
        config.unlink()
    elif damage == "other configuration":
        config.write_text(config.read_text().replace("latent: 4", "latent: 5"))
    elif damage == "another version":
        content = json.loads(results.read_text())
        content["versions"]["vaelab"] = "0.0.1"
        del content["tested"]
        results.write_text(json.dumps(content))
    wrong, _ = tool("sample", copied, tmp_path / "s.png")
    assert wrong.startswith("error: ")
    assert line in wrong
    assert "\n" not in wrong
    assert not (tmp_path / "s.png").exists()


def test_a_device_that_is_not_there_is_one_line(tool, finished, tmp_path):
    assert "--device must be one of auto, cpu, cuda, mps, got 'tpu'" in str(
        tool("sample", finished, tmp_path / "t.png", "--device", "tpu")[0]
    )
    if not torch.cuda.is_available():
        assert "sees no CUDA" in tool("sample", finished, tmp_path / "t.png", "--device", "cuda")[0]
