"""The settings of an evaluation: each is checked and explained, and a run's configuration gives some of them."""

import pytest
from compositions import composed

from vaelab.errors import InputError
from vaelab.evaluation.settings import MEANINGS, NAMES, Settings


@pytest.mark.parametrize(
    ("option", "value"),
    [("nll_samples", 1), ("precision", "fp8"), ("aggregate_images", 1), ("active_variance", -1.0), ("chunk", 0)],
)
def test_settings_without_a_meaning_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        Settings(**{option: value})


def test_every_setting_has_a_meaning():
    assert tuple(MEANINGS) == NAMES
    assert all(MEANINGS.values())


def test_a_run_evaluates_itself_with_the_settings_of_its_configuration():
    settings = Settings.of_run(composed("evaluation.aggregate_images=500", "evaluation.nll_samples=30")["evaluation"])
    assert (settings.aggregate_images, settings.nll_samples, settings.prior_samples) == (500, 30, 20_000)
    assert settings.probe_images == Settings().probe_images  # which a run has no option for


def test_a_run_without_nll_still_evaluates_its_other_parts():
    assert Settings.of_run({"nll_samples": 0}).nll_samples == 2


def test_a_wrong_option_of_a_run_is_named_as_the_user_types_it():
    with pytest.raises(InputError, match=r"^evaluation\.chunk must be a whole number of at least 1, got 0$"):
        Settings.of_run({"chunk": 0})
