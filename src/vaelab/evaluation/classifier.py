"""A small classifier of a data set's own images, whose features compare samples with real images.

It is trained on all training images of the data set, even where a model uses a part of them, and kept in a cache: the
metrics of all models of a data set come from the same classifier. It is not the Inception network: distances in its
features are no FID, and comparable only with each other.
"""

import hashlib
import logging
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vaelab import rng
from vaelab.data.datamodule import ImageDataModule
from vaelab.data.mapped import chunks_of
from vaelab.errors import InputError, one_line
from vaelab.evaluation.progress import Track, untracked
from vaelab.files import IS_CHECKOUT, PROJECT
from vaelab.tensor_files import read_tensors, save_tensors

log = logging.getLogger(__name__)

VERSION = 1  # of architecture and training; classifiers of other versions in the cache are not used
CACHE = (PROJECT if IS_CHECKOUT else Path()) / "outputs" / "classifiers"  # one for all runs
FEATURES = 64
EPOCHS, STEPS = 3, 400  # of training, at least
BATCH = 128
CHUNK = 1_000  # images evaluated at a time
PEAK_RATE = 4e-3


class Classifier(nn.Module):
    """Two convolutions, a hidden layer of ``FEATURES`` units, and a linear layer.

    **Arguments**
        classes: how many labels there are.
        channels, height, width: the images' shape.
    """

    def __init__(self, classes: int, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * (height // 4) * (width // 4), FEATURES), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, C, H, W)`` in [0, 1]."""
        return self.head(self.body(x))

    @torch.no_grad()
    def describe(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(N, FEATURES)`` and log probabilities of the classes ``(N, classes)``."""
        device = self.head.weight.device
        features = torch.cat([self.body(part.to(device)) for part in images.split(CHUNK)])
        return features, self.head(features).log_softmax(1)


def fingerprint(data: ImageDataModule) -> str:
    """Identifies the images, the labels and the binarisation that a classifier was trained for."""
    digest = hashlib.md5(f"{VERSION} {data.binarize}".encode())
    for chunk in chunks_of(data.image_set.train_images, data.image_set.train_file):
        digest.update(chunk.contiguous().numpy().data)
    digest.update(data.image_set.train_labels.numpy().tobytes())
    return digest.hexdigest()[:12]


def obtain(
    data: ImageDataModule, device: torch.device, cache: Path, track: Track = untracked
) -> tuple[Classifier, float]:
    """The classifier for ``data`` and its accuracy on the test images: from ``cache``, or trained and stored there."""
    name = data.image_set.name
    path = cache / f"{name}-{data.binarize}-{fingerprint(data)}.pt"
    with rng.fixed_noise(device, rng.CLASSIFIER):  # the caller's noise does not depend on whether one is trained
        model = make(data).to(device)
        if path.is_file():
            try:
                return model, _load(model, path)
            except (InputError, KeyError, TypeError, RuntimeError) as error:
                log.warning(f"{path} is damaged and replaced ({one_line(error)[:100]})")
                model = make(data).to(device)
        began = time.monotonic()
        train(model, data, device, track)
        accuracy = measure_accuracy(model, data)
    log.info(
        f"trained a classifier of {name} in {time.monotonic() - began:.0f} s: {accuracy:.2%} accuracy on the test "
        f"images; stored in {path}"
    )
    save_tensors({"state_dict": model.state_dict(), "accuracy": accuracy}, path)
    return model, accuracy


def _load(model: Classifier, path: Path) -> float:
    """Set the weights of ``model`` from a file; returns the accuracy that the file has."""
    content = read_tensors(path)
    if not isinstance(content, dict):
        raise InputError("it holds no classifier")
    model.load_state_dict(content["state_dict"])
    model.eval()
    return content["accuracy"]


def make(data: ImageDataModule) -> Classifier:
    """An untrained classifier for the images and labels of ``data``."""
    return Classifier(int(data.image_set.train_labels.max()) + 1, *data.image_set.train_images.shape[1:])


@torch.enable_grad()
def train(model: Classifier, data: ImageDataModule, device: torch.device, track: Track = untracked) -> Classifier:
    """Train by Adam with a one-cycle learning rate; returns ``model`` in evaluation mode."""
    images = data.image_set.train
    batches = -(-len(images) // BATCH)
    epochs = max(EPOCHS, -(-STEPS // batches))
    optimizer = torch.optim.Adam(model.parameters())
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=epochs * batches)
    generator = rng.generator(rng.CLASSIFIER)
    orders = [torch.randperm(len(images), generator=generator) for _ in range(epochs)]
    for batch in track([batch for order in orders for batch in order.split(BATCH)], "classifier"):
        x, y = images[batch]
        x, y = data.scale(x, drawn=True).to(device), y.to(device)
        loss = cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    return model.eval()


def measure_accuracy(model: Classifier, data: ImageDataModule) -> float:
    """The share of the data set's test images that ``model`` classifies correctly."""
    images, labels = data.image_set.test_images, data.image_set.test_labels
    found = [model.describe(data.scale(chunk, drawn=True))[1].argmax(1).cpu() for chunk in images.split(CHUNK)]
    return float((torch.cat(found) == labels).float().mean())
