"""Which checkpoint a run may resume from."""

import itertools
from pathlib import Path

import pytest

from vaelab.runs.resume import check_fits

GOOD = {"state_dict": {}, "config": {"latent": 20}, "data": {}, "epoch": 4, "global_step": 10}


def test_a_users_yaml_without_todays_options_resumes_as_it_is():
    """Options that a class got later are known for older checkpoints, and may be missing in a user's own YAML."""
    optimizer = {"_target_": "torch.optim.Adam", "lr": 0.1}
    for there, here in itertools.product([optimizer, {**optimizer, "eps": 1e-8}], repeat=2):
        check_fits(Path("x.ckpt"), {**GOOD, "config": {"optimizer": there}}, {"optimizer": here})
    with pytest.raises(ValueError, match=r"optimizer\.eps=1e-08, this command says optimizer\.eps=0\.001"):
        check_fits(
            Path("x.ckpt"), {**GOOD, "config": {"optimizer": optimizer}}, {"optimizer": {**optimizer, "eps": 1e-3}}
        )


@pytest.mark.parametrize(
    ("here", "says"),
    [
        ({"latent": 5, "network": {"hidden": [400]}}, "trained with latent=20, this command says latent=5"),
        (
            {"latent": 20, "network": {"hidden": [9]}},
            r"network\.hidden=\[400\], this command says network\.hidden=\[9\]",
        ),
    ],
)
def test_another_models_weights_are_refused(here, says):
    there = {**GOOD, "config": {"latent": 20, "network": {"hidden": [400]}}}
    check_fits(Path("x.ckpt"), there, there["config"])
    with pytest.raises(ValueError, match=says):
        check_fits(Path("x.ckpt"), there, here)
