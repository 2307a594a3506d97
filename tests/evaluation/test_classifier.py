"""The judge of samples: it learns, is kept, and is made anew where what was kept is damaged or of other data."""

import logging

import pytest
import torch
from compositions import small_data

from vaelab.evaluation import classifier

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("short_training")


@pytest.fixture(scope="module")
def data():
    made = small_data(train=None)
    made.setup()
    return made


@pytest.fixture(scope="module")
def judged(data, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return classifier.obtain(data, CPU, cache), cache


def test_it_learns_digits(judged):
    (model, accuracy), _ = judged
    assert accuracy > 0.93
    assert not model.training


def test_it_is_kept_and_is_the_same_again(judged, data, monkeypatch):
    (model, accuracy), cache = judged
    monkeypatch.setattr(classifier, "train", lambda *_: pytest.fail("it was trained again"))
    again, again_accuracy = classifier.obtain(data, CPU, cache)
    assert again_accuracy == accuracy
    for ours, theirs in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_damaged_file_is_told_and_replaced(judged, data, caplog):
    (_, accuracy), cache = judged
    (file,) = cache.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with caplog.at_level(logging.WARNING, logger="vaelab"):
        _, again = classifier.obtain(data, CPU, cache)
    assert "is damaged and replaced" in caplog.text
    assert again == pytest.approx(accuracy, abs=0.02)
    assert len(file.read_bytes()) == len(content)


def test_it_is_the_same_for_every_part_of_the_data_and_another_for_binary_images(data):
    other = small_data(train=100, test=50)
    other.setup()
    assert classifier.fingerprint(other) == classifier.fingerprint(data)
    binary = small_data(binarize="dynamic")
    binary.setup()
    assert classifier.fingerprint(binary) != classifier.fingerprint(data)


def test_features_are_those_before_the_last_layer(judged):
    (model, _), _ = judged
    images = torch.rand(1_200, 1, 28, 28)
    features, log_p = model.describe(images)
    assert features.shape == (1_200, classifier.FEATURES)
    with torch.no_grad():
        torch.testing.assert_close(log_p[:50], model(images[:50]).log_softmax(1))
