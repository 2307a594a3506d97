"""scripts/score.py: ELBO and -log p(x) of each image, and how well they tell unknown classes from known ones."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SMALL, train_here
from PIL import Image
from torch.distributions import LowRankMultivariateNormal

from vaelab.runs.load import load_run


@pytest.fixture(scope="module")
def pca(tmp_path_factory):
    """A run in closed form on two of the ten classes."""
    folder = tmp_path_factory.mktemp("pca")
    options = ("model=pca", "network.hidden=[]", "name=pca", "data.classes=[1,0]", "evaluation.parts=[]")
    status, out, err = train_here(folder, *SMALL, *options, "data.val=20", "data.train=400", "data.test=null")
    assert (status, err) == (0, ""), out + err
    return folder / "outputs" / "runs" / "pca"


@pytest.fixture(scope="module")
def marginal(pca):
    """p(x) of that run, as one Gaussian: N(b, W Wᵀ + s² I)."""
    module, data = load_run(pca)
    model = module.model
    zero, rows = torch.zeros(1, 4), torch.eye(4)
    bias = model.decode(zero).mean.flatten(1)
    weight = (model.decode(rows).mean.flatten(1) - bias).T
    variance = model.decode(zero).variance.flatten()
    return LowRankMultivariateNormal(bias[0], weight, variance), data


def test_the_scores_of_probabilistic_pca_are_the_gaussian_density(pca, marginal, script, tmp_path):
    status, out, err = script("score", pca, "scores.csv", "--samples", "5")
    assert (status, err) == (0, ""), err
    table, (density, data) = pd.read_csv(tmp_path / "scores.csv"), marginal
    x = data.scale(data.image_set.test_images).flatten(1)
    np.testing.assert_allclose(table["nll"], -density.log_prob(x), atol=0.02)
    np.testing.assert_allclose(table["rate"] + table["distortion"], -table["elbo"], rtol=1e-5)
    assert table["nll_stderr"].max() < 0.01  # every sample of the exact posterior has the same weight
    assert len(table) == 1_000
    assert f"1,000 images; mean elbo {table['elbo'].mean():.3f}, nll {table['nll'].mean():.3f}" in out


def test_a_model_of_some_classes_detects_the_others(pca, script, tmp_path):
    status, out, _ = script("score", pca, "scores.parquet")
    table = pd.read_parquet(tmp_path / "scores.parquet")
    assert set(table.loc[table["known"], "label"]) == {0, 1}
    unknown, known = (table.loc[table["known"] == is_known, "nll"].to_numpy() for is_known in (False, True))
    higher = (unknown[:, None] > known).mean() + 0.5 * (unknown[:, None] == known).mean()  # Mann and Whitney
    assert status == 0
    assert f"classes [0, 1] of the training against [2, 3, 4, 5, 6, 7, 8, 9]: ROC-AUC of nll {higher:.4f}" in out
    assert higher > 0.8


def test_own_images_are_scored_by_their_path(finished, script, tmp_path):
    (tmp_path / "mine").mkdir()
    _, data = load_run(finished)
    for number in range(3):
        Image.fromarray(data.image_set.test_images[number, 0].numpy()).save(tmp_path / "mine" / f"{number}.png")
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "mine" / "noise.png")
    assert script("score", finished, "--samples", "100", "mine", "own.csv")[0] == 0
    assert script("score", finished, "test.csv")[0] == 0
    own, test = pd.read_csv(tmp_path / "own.csv"), pd.read_csv(tmp_path / "test.csv")
    assert own["path"].tolist() == ["mine/0.png", "mine/1.png", "mine/2.png", "mine/noise.png"]
    error = np.hypot(own["nll_stderr"][:3], test["nll_stderr"][:3])
    assert ((own["nll"][:3] - test["nll"][:3]).abs() < 6 * error + 0.5).all()
    assert own["nll"].idxmax() == 3


def test_wrong_scores_get_one_line(finished, script, tmp_path):
    for arguments, words in [
        (("scores.txt",), "must end in .csv, .parquet"),
        (("scores.csv", "--samples", "1"), "--samples must be a whole number of at least 2, got 1"),
        (("scores.csv", "--invert"), "--invert and --label are for your own images"),
        (("nowhere", "scores.csv"), "nowhere: no such file or folder"),
    ]:
        status, _, err = script("score", finished, *arguments)
        assert (status, len(err.splitlines())) == (1, 1), err
        assert words in err
    assert not (tmp_path / "scores.csv").exists()
