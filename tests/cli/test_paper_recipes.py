"""Paper recipes and networks after few epochs on a few thousand digits: a change that breaks one shows here."""

import pytest
from conftest import train_here

from vaelab.runs.results import read_results

# nll (K = 100) of 500 test images: the mean of seeds 0 to 2, three standard deviations, and the training images.
PINS = {
    "paper/iwae_vae": (168.7, 3.1, 4000),
    "paper/iwae_5": (166.9, 2.6, 4000),
    "paper/iwae_50": (166.9, 2.6, 4000),  # as iwae_5: k = 5 in two of the three epochs
    "paper/iwae_2layer_vae": (173.2, 2.0, 4000),
    "paper/iwae_2layer_5": (169.0, 2.8, 4000),
    "paper/iwae_2layer_50": (196.6, 0.9, 2000),
    "paper/vamp_standard": (167.1, 9.4, 4000),
    "paper/vamp_vamp": (171.1, 6.0, 4000),
    "paper/vamp_hvae": (130.1, 0.8, 4000),
    "paper/iwae_vae_as_published": (197.4, 2.2, 4000),
    "resnet_hvae": (105.7, 2.5, 4000),
}


@pytest.mark.engine
@pytest.mark.parametrize("recipe", PINS)
def test_a_recipe_learns_as_fast_as_it_did(recipe, tmp_path):
    expected, tolerance, images = PINS[recipe]
    status, out, err = train_here(
        tmp_path, f"experiment={recipe}", "data=mnist5k", f"data.train={images}", "data.test=500", "epochs=3",
        "data.batch_size=100", "accelerator=cpu", "trainer.precision=32-true", "evaluation.nll_samples=100",
        "evaluation.parts=[]", "pictures.every=null", "name=run",
    )  # fmt: skip
    assert (status, err) == (0, ""), out + err
    assert read_results(tmp_path / "outputs" / "runs" / "run")["test"]["nll"] == pytest.approx(expected, abs=tolerance)


@pytest.mark.engine
@pytest.mark.parametrize("network", ["mlp", "conv", "resnet"])
def test_a_network_leaves_the_mean_image_within_two_epochs(network, tmp_path):
    """The mean image of the training images has an ELBO of some -207; conv with ReLU stayed there for epochs."""
    status, out, err = train_here(
        tmp_path, "data=mnist5k", "data.train=3000", "data.test=300", "data.batch_size=50", f"network={network}",
        "epochs=2", "accelerator=cpu", "trainer.precision=32-true", "evaluation.nll_samples=0", "evaluation.parts=[]",
        "pictures.every=null", "name=run",
    )  # fmt: skip
    assert (status, err) == (0, ""), out + err
    assert read_results(tmp_path / "outputs" / "runs" / "run")["test"]["elbo"] > -190
