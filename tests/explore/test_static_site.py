"""The explorer as plain files: what the folder holds, the numbers in it, and what is refused."""

import json
import os
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from compositions import module_of
from explored import explored

from vaelab.errors import InputError, RunFailed
from vaelab.explore import site_data, static_site, web_runtime
from vaelab.runs.finished import FinishedRun, load

RUNTIME = {"ort.js": b"export {};\n", "ort.bin": b"\0"}
TEXT = {".html", ".js", ".css", ".json"}
# Torch's exporters warn, of themselves.
pytestmark = pytest.mark.filterwarnings("ignore")


def written(run: Path, folder: Path, **options) -> Path:
    """The page of ``run`` without onnxruntime-web, which not every machine can download."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web_runtime, "files", lambda: RUNTIME)
        size = static_site.write_site(run, folder, **options)
    assert size == sum(file.stat().st_size for file in folder.iterdir()) < static_site.LARGEST
    return folder


@pytest.fixture(scope="module")
def site(finished, tmp_path_factory):
    return written(finished, tmp_path_factory.mktemp("page") / "site")


@pytest.fixture(scope="module")
def conditional_site(conditional, tmp_path_factory):
    return written(conditional, tmp_path_factory.mktemp("conditional-page") / "site")


def model_json(site: Path) -> dict:
    return json.loads((site / "model.json").read_text(encoding="utf-8"))


# ---- the files ------------------------------------------------------------------------------------------------------


def test_the_folder_holds_every_file_that_the_page_asks_for(site):
    names = {file.name for file in site.iterdir()}
    asked = set()
    for file in site.iterdir():
        if file.suffix in (".html", ".js"):
            content = file.read_text(encoding="utf-8")
            asked |= set(re.findall(r'(?:src|href)="([\w.-]+)"', content))
            asked |= set(re.findall(r'from "\./([\w.-]+)"', content))
            asked |= set(re.findall(r'(?:fetched|session)\("([\w.-]+)"\)', content))
    needed = {"page.js", "style.css", "texts.js", "ort.js", "ort.bin", "encoder.onnx", "decoder.onnx", "model.json"}
    assert needed < asked <= names
    assert names - asked == {"index.html", "ort-license.txt"}


def test_the_page_names_no_other_host(site):
    for file in site.iterdir():
        if file.suffix in TEXT:
            content = file.read_text(encoding="utf-8")
            assert not re.search(r"https?:|\bwss?:/|//[\w-]+\.\w|@import", content), file.name
    assert "default-src 'self'" in (site / "index.html").read_text(encoding="utf-8")


def test_both_languages_have_every_text(site):
    content = (site / "texts.js").read_text(encoding="utf-8")
    english, chinese = (dict(re.findall(r'^  (\w+): "(.*)",$', part, re.M)) for part in content.split("const zh"))
    used = re.findall(r'data-text="(\w+)"', (site / "index.html").read_text(encoding="utf-8"))
    scripts = "".join(file.read_text(encoding="utf-8") for file in site.glob("*.js"))
    used += re.findall(r'(?<!\w)text\("(\w+)"', scripts)
    assert set(used) <= set(english)
    assert list(english) == list(chinese)
    for name, text in english.items():  # the same values are put in
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", chinese[name])), name


# ---- the numbers ----------------------------------------------------------------------------------------------------


def test_the_latents_are_ordered_and_marked_as_in_the_evaluation(site, finished):
    found, run = model_json(site), load(finished, "cpu")
    latents = run.results["evaluation"]["latents"]  # of the same 200 test images
    assert found["order"] == latents["kl_order"]
    assert [found["kl"][latent] for latent in found["order"]] == pytest.approx(latents["kl_per_latent"], abs=1e-4)
    assert sum(found["active"]) == latents["active_units"]
    assert found["metrics"]["elbo"] == run.metrics["elbo"]
    assert found["shape"] == [1, 28, 28]


def test_the_map_and_the_images_are_those_of_the_run(site, finished):
    found, run = model_json(site), load(finished, "cpu")
    x, labels = run.images()
    mean = run.encode(x).mean
    assert found["map"]["axes"] == found["order"]
    assert found["map"]["labels"] == labels.tolist()
    assert np.allclose(found["map"]["means"], mean[:, found["order"]].numpy(), atol=1e-5)
    assert found["images"]["labels"] == sorted(4 * list(range(10)))
    images = np.frombuffer((site / "images.bin").read_bytes(), np.uint8).reshape(40, 1, 28, 28)
    of_label = [(labels == label).nonzero()[place, 0] for label in range(10) for place in range(4)]
    assert np.array_equal(images / np.float32(255), x[of_label].numpy())


def test_sliders_reach_every_image_and_most_of_the_prior(site):
    found = model_json(site)
    low, high = np.array(found["low"]), np.array(found["high"])
    means = np.array(found["map"]["means"])
    assert (means >= low[found["order"]]).all()
    assert (means <= high[found["order"]]).all()
    assert (low < -2.5).all()
    assert (high > 2.5).all()
    assert found["center"] == [0, 0, 0, 0]
    samples = np.array(found["prior_samples"])
    assert samples.shape == (site_data.WRITTEN_SAMPLES, 4)
    assert abs(samples.mean()) < 0.2
    assert samples.std() == pytest.approx(1, abs=0.15)


def test_a_page_of_a_multirate_model_names_its_beta_and_no_elbo_of_another(monkeypatch):
    results = {"data": {"name": "digits", "binarize": "none"}, "beta": None, "test": {"elbo": -100.0}}
    monkeypatch.setattr(FinishedRun, "results", results)
    run = explored("model=multirate", "beta=range").run
    found = [site_data._description(each, each.beta) for each in (run, run.at(2))]
    assert [(each["facts"]["beta"], each["metrics"]) for each in found] == [(1, {"elbo": -100.0}), (2, {})]


@pytest.mark.parametrize("kind", ["finished", pytest.param("conditional", marks=pytest.mark.engine)])
def test_the_files_compute_what_the_model_does(request, kind):
    run = load(request.getfixturevalue(kind), "cpu")
    site = request.getfixturevalue("site" if kind == "finished" else "conditional_site")
    x, labels = run.images(count=9)
    given = {} if run.classes is None else {"labels": labels.numpy()}
    assert model_json(site)["classes"] == run.classes
    with torch.no_grad():
        inference = run.model.given(labels)(x)
    encoder, decoder = (onnxruntime.InferenceSession(site / f"{name}.onnx") for name in ("encoder", "decoder"))
    mean, std, kl = encoder.run(["mean", "std", "kl"], {"x": x.numpy(), **given})
    assert np.allclose(mean, inference.q.mean, atol=1e-5)
    assert np.allclose(std, inference.q.stddev, atol=1e-5)
    assert np.allclose(kl, inference.kl_per_latent, atol=1e-4)
    feeds = {"z": inference.z[0].numpy(), "x": x.numpy(), **given}
    image, distortion = decoder.run(["image", "distortion"], feeds)
    assert np.allclose(image, inference.px.mean[0], atol=1e-5)
    assert np.allclose(distortion, -inference.log_px[0], atol=1e-3)


def few(*overrides: str) -> tuple[torch.nn.Module, torch.nn.Module, dict]:
    model = module_of(*overrides).eval().model
    return static_site.PageEncoder(model).eval(), static_site.PageDecoder(model).eval(), static_site._inputs(model, 3)


COMPOSITIONS = [
    ("model=ae",),
    pytest.param(("model=noisy_ae",), marks=pytest.mark.engine),
    pytest.param(("model=pca", "network=linear", "network.hidden=[]"), marks=pytest.mark.engine),
    pytest.param(("model=multirate",), marks=pytest.mark.engine),
    pytest.param(("prior=vamp", "prior.components=4", "likelihood=gaussian"), marks=pytest.mark.engine),
    pytest.param(("prior=flow", "likelihood=continuous_bernoulli"), marks=pytest.mark.engine),
    pytest.param(("likelihood=laplace",), marks=pytest.mark.engine),
    pytest.param(("likelihood=discretized_logistic",), marks=pytest.mark.engine),
    pytest.param(("likelihood=logistic_mixture",), marks=pytest.mark.engine),
]


@pytest.mark.parametrize("overrides", COMPOSITIONS, ids=str)
@torch.no_grad()
def test_other_models_are_written_too(overrides, tmp_path):
    encoder, decoder, inputs = few(*overrides)
    for name, module in (("encoder", encoder), ("decoder", decoder)):
        static_site._write_onnx(module, inputs[name], inputs[name], tmp_path / f"{name}.onnx")  # it compares them
    outputs = [place.name for place in onnxruntime.InferenceSession(tmp_path / "encoder.onnx").get_outputs()]
    has_kl = "model=ae" not in overrides and not any(word.startswith("prior=") for word in overrides)
    assert outputs == ["mean", "std", "kl"][: 3 if has_kl else 2]


@pytest.mark.parametrize(("classes", "chosen"), [(1, 40), (10, 40), (7, 35), (62, 40)])
def test_as_many_images_of_each_class_are_chosen(classes, chosen):
    labels = torch.arange(1_000) % classes
    found = labels[site_data.choose(labels)]
    assert len(found) == chosen
    assert len(set(found.unique(return_counts=True)[1].tolist())) == 1
    assert found.equal(found.sort().values)


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["model=hvae", "bottom=2"], "ChainPosterior has no closed form"),
        (["posterior=flow"], "FlowPosterior has no closed form"),
        (["data.shape=[2,28,28]"], "1 or 3 channels, and this model's have 2"),
    ],
)
def test_a_model_that_the_page_cannot_show_is_refused(overrides, says):
    run = FinishedRun(Path("outputs/runs/x"), module_of(*overrides).eval(), None)
    with pytest.raises(InputError, match=says):
        static_site.check_model(run)


@pytest.fixture
def short_page(monkeypatch):
    """Pages with a file model.json alone, which are written at once."""
    monkeypatch.setattr(web_runtime, "files", lambda: RUNTIME)
    monkeypatch.setattr(static_site, "write_model", lambda run, folder, beta: (folder / "model.json").write_text("new"))


def test_a_folder_with_files_is_left_alone_unless_forced(finished, short_page, tmp_path):
    for name in ("notes.txt", "model.json"):
        (tmp_path / name).write_text("old")
    with pytest.raises(InputError, match="is not empty and was not touched"):
        static_site.write_site(finished, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.json", "notes.txt"]
    assert (tmp_path / "model.json").read_text() == "old"
    static_site.write_site(finished, tmp_path, force=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.json", "notes.txt", "ort.bin", "ort.js"]
    assert (tmp_path / "model.json").read_text() == "new"
    assert (tmp_path / "notes.txt").read_text() == "old"


def test_a_page_that_would_be_too_large_is_refused_and_nothing_is_written(finished, short_page, tmp_path, monkeypatch):
    monkeypatch.setattr(web_runtime, "files", lambda: {"ort.bin": bytes(static_site.LARGEST)})
    with pytest.raises(InputError, match=r"would take 15\.0 MB, and a page may take 15 MB"):
        static_site.write_site(finished, tmp_path / "site")
    assert list((tmp_path / "site").iterdir()) == []


def test_a_directory_that_is_no_run_and_a_file_instead_of_a_folder_are_refused(finished, tmp_path):
    with pytest.raises(InputError, match=r"has no results\.json"):
        written(tmp_path, tmp_path / "site")
    assert not (tmp_path / "site").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        written(finished, tmp_path / "file")


# ---- onnxruntime-web ------------------------------------------------------------------------------------------------


@pytest.fixture
def npm(monkeypatch, tmp_path):
    """A command npm, as the lines of a shell script, and an empty cache; the cache's folder."""
    commands = tmp_path / "bin"
    commands.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")

    def install(lines: str) -> Path:
        (commands / "npm").write_text(f"#!/bin/sh\n{lines}\n")
        (commands / "npm").chmod(0o755)
        return tmp_path / "cache" / "vaelab"

    return install


def test_a_missing_npm_is_said_and_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"install Node\.js, or put onnxruntime-web-1\.30\.0\.tgz, which `npm pack"):
        web_runtime.files()


def test_a_download_that_fails_is_said_in_one_line(npm):
    cache = npm("echo 'npm error code ENOTFOUND' >&2; echo 'npm error getaddrinfo failed' >&2; exit 1")
    with pytest.raises(RunFailed, match=r"npm cannot download onnxruntime-web@1\.30\.0 \(getaddrinfo failed\): try"):
        web_runtime.files()
    assert list(cache.iterdir()) == []


def test_another_package_than_the_published_one_is_not_kept(npm):
    cache = npm(f"echo other > $4/{web_runtime.ARCHIVE}")
    with pytest.raises(RunFailed, match="its checksum is wrong"):
        web_runtime.files()
    assert list(cache.iterdir()) == []
