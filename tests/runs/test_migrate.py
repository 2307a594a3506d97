"""Configurations of older versions in today's words."""

import pytest
from compositions import composed

from vaelab.data.mnist import EMNIST
from vaelab.data.packaged import MNIST5k
from vaelab.runs.migrate import IMAGE_SETS, MOVED, migrate
from vaelab.runs.pieces import locate
from vaelab.runs.prepare import make_data


@pytest.mark.parametrize("path", sorted({*MOVED.values(), *IMAGE_SETS.values()}))
def test_every_new_place_exists(path):
    assert callable(locate("piece", path))


def test_a_network_of_version_0_1_becomes_an_object():
    old = {"_target_": "vaelab.networks.mlp_encoder", "_partial_": True, "image": [1, 28, 28], "hidden": [400]}
    new = migrate({"posterior": {"_target_": "vaelab.conditionals.GaussianPosterior", "network": old, "latent": 2}})
    assert new == {
        "posterior": {
            "_target_": "vaelab.models.posteriors.GaussianPosterior",
            "network": {
                "_target_": "vaelab.models.networks.MLP",
                "image": [1, 28, 28],
                "hidden": [400],
                "decoder_hidden": None,
                "gated": False,
                "init": "torch",
            },
            "latent": 2,
            "clamp": None,
        }
    }


def test_an_image_set_of_version_0_1_is_a_class_of_its_own():
    old = {"_target_": "vaelab.data.ImageData", "name": "mnist5k", "batch_size": 64, "eval_batch_size": 1000,
           "val": 500, "train": None, "test": None, "binarize": "none", "seed": 0}  # fmt: skip
    data = make_data(migrate({"data": old}))
    assert type(data) is MNIST5k
    assert (data.name, data.val) == ("mnist5k", 500)


def test_the_options_of_an_old_emnist_are_kept():
    old = {"_target_": "vaelab.data.ImageData", "name": "emnist", "split": "letters", "root": "images", "val": 5,
           "fallback": False, "checksums": None, "batch_size": 8, "eval_batch_size": 8, "seed": 3}  # fmt: skip
    data = make_data(migrate({"data": old}))
    assert isinstance(data, EMNIST)
    assert (data.name, data.val, data.seed) == ("emnist-letters", 5, 3)
    assert str(data.folder) == "images/EMNIST/raw"


def test_an_old_run_gets_the_shape_of_its_images():
    network = {"_target_": "vaelab.networks.mlp_encoder", "_partial_": True, "image": [1, 14, 14], "hidden": [4]}
    model = {"_target_": "vaelab.model.ConditionalModel", "classes": 3}
    new = migrate({"network": {"encoder": network, "output": "sigmoid"}, "model": model, "data": {"val": 3}})
    assert new["data"] == {"shape": [1, 14, 14], "val": 3}
    assert new["model"]["image"] == [1, 14, 14]


def test_an_old_run_and_a_users_yaml_have_the_values_of_options_that_came_later():
    """Against the composition of today: nothing is missing, and an option that is given is kept."""
    for words in (
        [],
        ["model=hvae"],
        ["loss=iwae"],
        ["likelihood=laplace", "network=conv", "network.init=torch", "optimizer=adamw", "prior=vamp"],
    ):
        config = composed(*words)
        old = without(config, {"gated", "init", "output_bias", "clamp", "eps", "kl", "start", "top", "first", "sees_x",
                               "context", "gradient_samples", "first_samples", "first_part",
                               "decoder_hidden"})  # fmt: skip
        assert old != config
        assert migrate(old) == config
    asked = composed("network.init=he", "loss.kl=sampled", "optimizer.eps=0.1")
    assert migrate(asked) == asked


def without(value: object, options: set[str]) -> object:
    """``value`` without such options in any section."""
    if not isinstance(value, dict):
        return value
    return {name: without(item, options) for name, item in value.items() if name not in options}


def test_todays_configuration_stays_as_it_is():
    config = {"latent": 2, "prior": {"_target_": "vaelab.models.priors.StandardNormal", "latent": 2}, "words": ["a"]}
    assert migrate(config) == config
