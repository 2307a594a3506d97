"""Which checkpoint a run may resume from."""

from pathlib import Path

import pytest

from vaelab.runs.resume import check_fits

GOOD = {"state_dict": {}, "config": {"latent": 20}, "data": {}, "epoch": 4, "global_step": 10}


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
