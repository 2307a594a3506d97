"""The classifier of a data set: it learns, is stored, and is replaced where its file is damaged."""

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
def trained(data, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return classifier.obtain(data, CPU, cache), cache


def test_a_classifier_learns_digits(trained):
    (model, accuracy), _ = trained
    assert accuracy > 0.93
    assert not model.training


def test_a_trained_classifier_is_stored_and_read_again(trained, data, monkeypatch):
    (model, accuracy), cache = trained
    monkeypatch.setattr(classifier, "train", lambda *_: pytest.fail("it was trained again"))
    again, again_accuracy = classifier.obtain(data, CPU, cache)
    assert again_accuracy == accuracy
    for ours, theirs in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_damaged_file_is_reported_and_replaced(trained, data, caplog):
    (_, accuracy), cache = trained
    (file,) = cache.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with caplog.at_level(logging.WARNING, logger="vaelab"):
        _, again = classifier.obtain(data, CPU, cache)
    assert "is damaged and replaced" in caplog.text
    assert again == pytest.approx(accuracy, abs=0.02)
    assert len(file.read_bytes()) == len(content)


def test_all_parts_of_a_data_set_share_one_and_binary_images_have_another(data):
    other = small_data(train=100, test=50)
    other.setup()
    assert classifier.fingerprint(other) == classifier.fingerprint(data)
    binary = small_data(binarize="dynamic")
    binary.setup()
    assert classifier.fingerprint(binary) != classifier.fingerprint(data)


def test_features_are_those_before_the_last_layer(trained):
    (model, _), _ = trained
    images = torch.rand(1_200, 1, 28, 28)
    features, log_p = model.describe(images)
    assert features.shape == (1_200, classifier.FEATURES)
    with torch.no_grad():
        torch.testing.assert_close(log_p[:50], model(images[:50]).log_softmax(1))
