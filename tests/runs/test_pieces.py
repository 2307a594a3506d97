"""Pieces from the configuration: options that their classes do not have."""

import pytest

from vaelab.errors import UnknownOption
from vaelab.models.contracts import Prior
from vaelab.runs.pieces import make_piece

NORMAL = "vaelab.models.priors.StandardNormal"


@pytest.mark.parametrize(
    ("options", "message", "meant"),
    [
        (
            {"latnet": 3},
            r"prior has no option 'latnet': .*StandardNormal does not read it; did you mean latent\?",
            "latent",
        ),
        ({"latent": 3, "scale": 2}, r"prior has no option 'scale': .*; leave prior\.scale out", None),
        ({"latent": 3, "latents": 2}, r"prior has no option 'latents': .*; leave prior\.latents out", None),
    ],
)
def test_an_option_that_a_class_does_not_have_is_named_before_one_that_is_missing(options, message, meant):
    with pytest.raises(UnknownOption, match=message) as raised:
        make_piece("prior", {"_target_": NORMAL, **options}, Prior)
    assert raised.value.meant == meant
