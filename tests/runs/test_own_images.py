"""Runs on a user's own images: trained, evaluated and opened again like any other."""

import shutil

import numpy as np
import pytest
from conftest import SMALL
from own_images import many, pixels, write_images

from vaelab.errors import InputError
from vaelab.runs.load import load_run
from vaelab.runs.results import read_results

OPTIONS = ("data.batch_size=8", "data.train=null", "data.val=null", "data.test=null", "likelihood=gaussian", "epochs=1")
FEW = (*(word for word in SMALL if not word.startswith("data")), *OPTIONS)


def test_a_folder_is_trained_on_evaluated_and_opened_again(command, script, tmp_path):
    write_images(tmp_path / "photos", *many(25, "cat/{}.png"), *many(25, "dog/{}.png"))
    words = ["data=folder", "data.root=photos", "data.size=[12,16]", "network=conv", "name=own"]
    few = [word for word in FEW if not word.startswith("network")]
    status, out, err = command(*few, *words, "network.hidden=[16]")
    assert (status, err) == (0, ""), err
    assert "photos: 50 images, 2 classes: cat, dog" in out
    assert "photos with 41 images to train, 4 to validate" in out
    run = tmp_path / "outputs" / "runs" / "own"
    results = read_results(run)
    assert results["config"]["data"]["shape"] == [3, 12, 16]
    assert results["data"]["content"]
    assert "linear_probe" in results["evaluation"]["probes"]
    status, _, err = script("reconstruct", run, "out.png", "photos/cat/3.png")
    assert (status, err) == (0, ""), err
    status, out, err = script("encode", run, "out.npz")
    assert (status, err) == (0, ""), err
    assert "5 images" in out


def test_a_run_whose_images_changed_is_not_opened_with_others(command, tmp_path):
    root = write_images(tmp_path / "photos", *many(24))
    words = ["data=folder", "data.root=photos", "data.size=8", "name=own", "evaluation.parts=[]"]
    assert command(*FEW, *words)[0] == 0
    run = tmp_path / "outputs" / "runs" / "own"
    load_run(run)
    shutil.rmtree(root / ".vaelab")  # the cache is not the images: it is made again
    load_run(run)
    write_images(root, "000.png", first=99)
    with pytest.raises(InputError, match="was trained on other images of photos than those found now"):
        load_run(run)
    status, _, err = command("ckpt=outputs/runs/own/checkpoints/last.ckpt", "epochs=2")
    assert status != 0
    assert "'content'" in err


def test_arrays_are_trained_on(command, tmp_path):
    np.savez(tmp_path / "own.npz", images=np.stack([pixels(number) for number in range(30)]))
    words = ["data=arrays", "data.root=own.npz", "name=own", "data.binarize=dynamic", "likelihood=bernoulli"]
    status, out, err = command(*FEW, *words)
    assert (status, err) == (0, ""), err
    assert "own with 24 images to train, 3 to validate, 3 to test" in out
    assert "no probes (the training images have no labels" in out
    assert read_results(tmp_path / "outputs" / "runs" / "own")["config"]["network"]["image"] == [3, 12, 12]
