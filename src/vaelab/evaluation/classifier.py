"""A small classifier of the data's own images, whose features compare samples with real images.

It is trained on all training images of the data set, whatever part of them a model saw, and kept in a cache, so that
the figures of all models of a data set come from the same one. It is not the Inception network, and distances in its
features are no FID: nobody's but ours compare with them.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vaelab import rng
from vaelab.data.datamodule import ImageDataModule
from vaelab.files import PROJECT
from vaelab.tensor_files import read_tensors, save_tensors

log = logging.getLogger(__name__)


VERSION = 1  # of architecture and training: a cached classifier of another one is not taken
CACHE = (PROJECT if (PROJECT / "conf").is_dir() else Path()) / "outputs" / "classifiers"  # one for all runs
FEATURES = 64
EPOCHS, STEPS = 3, 400  # of training, at least
BATCH = 128
EVALUATED = 1_000  # images at a time
PEAK_RATE = 4e-3


class Classifier(nn.Module):
    """Two convolutions, a layer of ``FEATURES`` and the classes; images ``(B, 1, H, W)`` in [0, 1]."""

    def __init__(self, classes: int, height: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * (height // 4) * (width // 4), FEATURES), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)``."""
        return self.head(self.body(x))

    @torch.no_grad()
    def describe(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(N, FEATURES)`` and log probabilities of the classes ``(N, classes)``."""
        device = self.head.weight.device
        features = torch.cat([self.body(part.to(device)) for part in images.split(EVALUATED)])
        return features, self.head(features).log_softmax(1)


def fingerprint(data: ImageDataModule) -> str:
    """Which images, labels and binarisation a classifier is for."""
    digest = hashlib.md5(f"{VERSION} {data.binarize}".encode())
    for part in (data.image_set.train_images, data.image_set.train_labels):
        digest.update(part.numpy().tobytes())
    return digest.hexdigest()[:12]


def obtain(
    data: ImageDataModule, device: torch.device, cache: Path, track: Callable[[Iterable], Iterable] = iter
) -> tuple[Classifier, float]:
    """The classifier for ``data``, from ``cache`` or trained and put there; with its accuracy on the test images."""
    official = data.image_set
    path = cache / f"{official.name}-{data.binarize}-{fingerprint(data)}.pt"
    with rng.fixed_noise(device, rng.CLASSIFIER):  # whether it is read or trained, the noise after it is the same
        model = make(data).to(device)
        if path.is_file():
            try:
                kept = read_tensors(path)
                model.load_state_dict(kept["state_dict"])
                return model.eval(), kept["accuracy"]
            except (ValueError, KeyError, TypeError, RuntimeError) as error:
                log.warning(f"{path} is damaged and made anew ({' '.join(str(error).split())[:100]})")
                model = make(data).to(device)
        began = time.monotonic()
        train(model, data, device, track)
        accuracy = test(model, data)
    log.info(
        f"trained a classifier of {official.name} in {time.monotonic() - began:.0f} s: {accuracy:.2%} of the test "
        f"images right; kept in {path}"
    )
    save_tensors({"state_dict": model.state_dict(), "accuracy": accuracy}, path)
    return model, accuracy


def make(data: ImageDataModule) -> Classifier:
    return Classifier(int(data.image_set.train_labels.max()) + 1, *data.image_set.train_images.shape[2:])


@torch.enable_grad()
def train(
    model: Classifier, data: ImageDataModule, device: torch.device, track: Callable[[Iterable], Iterable] = iter
) -> Classifier:
    """Some epochs of Adam, one cycle of the rate; returned in evaluation mode."""
    images, labels = data.image_set.train_images, data.image_set.train_labels
    batches = -(-len(images) // BATCH)
    epochs = max(EPOCHS, -(-STEPS // batches))
    optimizer = torch.optim.Adam(model.parameters())
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=epochs * batches)
    generator = rng.generator(rng.CLASSIFIER)
    orders = [torch.randperm(len(images), generator=generator) for _ in range(epochs)]
    for batch in track([batch for order in orders for batch in order.split(BATCH)]):
        x, y = data.scale(images[batch], drawn=True).to(device), labels[batch].to(device)
        loss = cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    return model.eval()


def test(model: Classifier, data: ImageDataModule) -> float:
    """The share of the official test images that it names rightly."""
    images, labels = data.image_set.test_images, data.image_set.test_labels
    _, log_p = model.describe(data.scale(images, drawn=True))
    return float((log_p.argmax(1).cpu() == labels).float().mean())
