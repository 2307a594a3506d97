"""The shape of the images: given once, in ``data.shape``, or found by the image set."""

import pytest
from compositions import composed, module_of
from own_data import Stripes

from vaelab.errors import InputError


@pytest.mark.parametrize("network", ["mlp", "conv", "resnet"])
def test_networks_priors_and_conditional_models_take_the_shape_from_the_data(network):
    config = composed("model=cvae", "prior=vamp", f"network={network}", "data.shape=[3,16,24]")
    assert config["network"]["image"] == config["prior"]["image"] == config["model"]["image"] == [3, 16, 24]
    assert config["model"]["posterior"]["network"]["image"] == [3, 16, 24]


def test_a_set_that_finds_its_shape_gives_it_to_the_networks():
    stripes = ("data=mnist5k", "data._target_=own_data.Stripes", "+data.size=6", "data.shape=null")
    assert composed(*stripes)["network"]["image"] == [3, 6, 8]
    module = module_of(*stripes)
    assert module.model.prior_distribution().event_shape == (3,)


def test_a_wrong_option_is_said_before_the_shape():
    with pytest.raises(InputError, match="data has no option 'sise'"):
        composed("data=mnist5k", "data._target_=own_data.Stripes", "+data.sise=6", "data.shape=null")


@pytest.mark.parametrize("wrong", [[3, 6], 6, [3, 0, 8], "3,6,8"])
def test_a_set_that_finds_no_shape_is_named(monkeypatch, wrong):
    monkeypatch.setattr(Stripes, "find_shape", lambda **options: wrong)
    with pytest.raises(InputError, match=r"Stripes\.find_shape: the shape must be three whole numbers"):
        composed("data=mnist5k", "data._target_=own_data.Stripes", "+data.size=6", "data.shape=null")
