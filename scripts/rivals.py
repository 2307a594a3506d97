"""What scripts/benchmark.py measures against: the same VAE as others write it, and its matrix products alone.

Each class takes the images and has ``epoch()``, which trains for one epoch and returns the seconds that it took.
"""

import logging
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST, ImageFolder

SIDE, HIDDEN, LATENT = 28, 400, 20
PIXELS = SIDE * SIDE


def timed(train: Callable[[], None]) -> float:
    began = time.perf_counter()
    train()
    return time.perf_counter() - began


def modules() -> tuple[nn.Module, nn.Module]:
    """The tutorials' encoder and decoder, 784-400-(20, 20) and 20-400-784."""
    return (
        nn.Sequential(nn.Flatten(-3), nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT)),
        nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS)),
    )


class Tutorial:
    """The loop of the tutorials: torchvision's MNIST through a DataLoader and ToTensor, cross-entropy of a sigmoid,
    plain Adam, ``.item()`` at every step."""

    def __init__(self, images: Tensor, labels: Tensor, batch_size: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        raw = Path(self.folder.name) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for split in ("train", "t10k"):
            write_idx(raw / f"{split}-images-idx3-ubyte", images.view(-1, SIDE, SIDE))
            write_idx(raw / f"{split}-labels-idx1-ubyte", labels.to(torch.uint8))
        data = MNIST(self.folder.name, train=True, transform=transforms.ToTensor())
        self.loader = DataLoader(data, batch_size=batch_size, shuffle=True)
        self.encoder, self.decoder = modules()
        self.optimizer = torch.optim.Adam([*self.encoder.parameters(), *self.decoder.parameters()], lr=1e-3)

    def epoch(self) -> float:
        return timed(self._train)

    def _train(self) -> None:
        total = 0.0
        for x, _ in self.loader:
            self.optimizer.zero_grad()
            mean, log_variance = self.encoder(x).chunk(2, 1)
            z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
            p = torch.sigmoid(self.decoder(z))
            cross_entropy = functional.binary_cross_entropy(p, x.view(-1, PIXELS), reduction="sum")
            kl = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
            loss = cross_entropy + kl
            loss.backward()
            total += loss.item()
            self.optimizer.step()


def write_idx(path: Path, array: Tensor) -> None:
    """``array`` of bytes in LeCun's format."""
    header = b"\0\0\x08" + bytes([array.dim()]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + array.contiguous().numpy().tobytes())


class DecodedAnew:
    """torchvision's ImageFolder, resized and cropped, through a DataLoader with a process for each core."""

    def __init__(self, root: Path, side: int, batch_size: int) -> None:
        resized = transforms.Compose([transforms.Resize(side), transforms.CenterCrop(side), transforms.ToTensor()])
        workers = len(os.sched_getaffinity(0))
        self.loader = DataLoader(ImageFolder(root, resized), batch_size, shuffle=True, num_workers=workers)

    def epoch(self) -> float:
        return timed(lambda: exhaust(self.loader))


def exhaust(batches: Iterable[object]) -> None:
    for _ in batches:
        pass


class Pythae:
    """pythae's VAE and BaseTrainer, with the same network; pip install '.[benchmark]'."""

    def __init__(self, images: Tensor, batch_size: int) -> None:
        from pythae.data.datasets import BaseDataset
        from pythae.models import VAE, VAEConfig
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder
        from pythae.trainers import BaseTrainer, BaseTrainerConfig

        encoder, decoder = modules()

        class Encoder(BaseEncoder):
            def __init__(self) -> None:
                super().__init__()
                self.network = encoder

            def forward(self, x: Tensor) -> ModelOutput:
                mean, log_variance = self.network(x).chunk(2, 1)
                return ModelOutput(embedding=mean, log_covariance=log_variance)

        class Decoder(BaseDecoder):
            def __init__(self) -> None:
                super().__init__()
                self.network = decoder

            def forward(self, z: Tensor) -> ModelOutput:
                return ModelOutput(reconstruction=torch.sigmoid(self.network(z)).view(-1, 1, SIDE, SIDE))

        logging.getLogger("pythae").setLevel(logging.WARNING)
        self.folder = tempfile.TemporaryDirectory()
        config = VAEConfig(input_dim=(1, SIDE, SIDE), latent_dim=LATENT, reconstruction_loss="bce")
        self.model = VAE(config, Encoder(), Decoder())
        pixels = images.float() / 255
        self.trainer = BaseTrainer(
            self.model,
            BaseDataset(pixels, torch.zeros(len(pixels))),
            training_config=BaseTrainerConfig(
                output_dir=self.folder.name, num_epochs=1, per_device_train_batch_size=batch_size, learning_rate=1e-3,
                optimizer_cls="Adam", no_cuda=True,
            ),
        )  # fmt: skip
        self.trainer.prepare_training()
        self.epochs = 0

    def epoch(self) -> float:
        self.epochs += 1
        with redirect_stderr(StringIO()):  # its progress bar, which would write over the table
            return timed(lambda: self.trainer.train_step(self.epochs))

    def nll(self, images: Tensor, samples: int) -> float:
        """The seconds that pythae's own estimate of nll takes for ``images``."""
        self.model.eval()
        with torch.no_grad():
            return timed(lambda: self.model.get_nll(images.float() / 255, n_samples=samples, batch_size=100))


class BareLoop:
    """No framework: images in memory, a gather per batch, fused Adam, one step after the other.

    **Arguments**
        images: uint8 ``(N, 1, 28, 28)``.
        loss: what it minimises, ``(encoder, decoder, x) -> scalar``.
        networks: encoder and decoder; the tutorials' by default.
    """

    def __init__(
        self,
        images: Tensor,
        batch_size: int,
        bf16: bool = False,
        loss: Callable[[Callable, Callable, Tensor], Tensor] | None = None,
        networks: tuple[nn.Module, nn.Module] | None = None,
        others: Iterable[nn.Parameter] = (),
    ) -> None:
        self.images, self.batch_size, self.bf16 = images, batch_size, bf16
        self.loss = loss or elbo
        self.encoder, self.decoder = networks or modules()
        parameters = [*self.encoder.parameters(), *self.decoder.parameters(), *others]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=True)

    def epoch(self) -> float:
        return timed(self._train)

    def _train(self) -> None:
        for indices in torch.randperm(len(self.images)).split(self.batch_size):
            x = self.images[indices].float().div_(255)
            loss = self.loss(self._cast(self.encoder), self._cast(self.decoder), x)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def _cast(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        def forward(inputs: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                outputs = network(inputs)
            return outputs.float()

        return forward


Network = Callable[[Tensor], Tensor]


def cross_entropy(logits: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z) of each image, ``(..., B)``."""
    logits = logits.flatten(logits.dim() - 3) if logits.shape[-1] == SIDE else logits
    pixels = x.flatten(1).expand_as(logits)
    return functional.binary_cross_entropy_with_logits(logits, pixels, reduction="none").sum(-1)


def elbo(encoder: Network, decoder: Network, x: Tensor) -> Tensor:
    mean, log_variance = encoder(x).chunk(2, 1)
    z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
    logits = decoder(z).flatten(1)
    pixels = functional.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="sum")
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
    return (pixels + kl) / len(x)


def iwae(samples: int) -> Callable[[Network, Network, Tensor], Tensor]:
    def loss(encoder: Network, decoder: Network, x: Tensor) -> Tensor:
        mean, log_variance = encoder(x).chunk(2, 1)
        noise = torch.randn(samples, *mean.shape)
        z = mean + torch.exp(0.5 * log_variance) * noise
        log_ratio = 0.5 * (z.square() - noise.square() - log_variance).sum(-1)
        log_weights = -cross_entropy(decoder(z), x) - log_ratio
        return (math.log(samples) - log_weights.logsumexp(0)).mean()

    return loss


def vamp(pseudo_logits: nn.Parameter) -> Callable[[Network, Network, Tensor], Tensor]:
    """The ELBO with p(z) the mean of q(z|sigmoid(u)) over ``pseudo_logits`` u ``(M, 1, 28, 28)``."""

    def log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
        square = (z - mean).square() / log_variance.exp()
        return -0.5 * (square + log_variance + math.log(2 * math.pi)).sum(-1)

    def loss(encoder: Network, decoder: Network, x: Tensor) -> Tensor:
        mean, log_variance = encoder(x).chunk(2, 1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        components = encoder(torch.sigmoid(pseudo_logits)).chunk(2, 1)
        log_pz = log_normal(z.unsqueeze(1), *components).logsumexp(1) - math.log(len(pseudo_logits))
        rate = log_normal(z, mean, log_variance) - log_pz
        return (cross_entropy(decoder(z), x) + rate).mean()

    return loss


class Products:
    """The matrix products of a training step of the tutorials' networks and nothing else: no framework can do less."""

    def __init__(self, images: int, batch_size: int, bf16: bool = False) -> None:
        self.batches = -(-images // batch_size)
        kind = torch.bfloat16 if bf16 else torch.float32
        shapes = [(PIXELS, HIDDEN), (HIDDEN, 2 * LATENT), (LATENT, HIDDEN), (HIDDEN, PIXELS)]
        self.layers = [
            tuple(torch.randn(shape, dtype=kind) for shape in ((batch_size, i), (o, i), (batch_size, o)))
            for i, o in shapes
        ]

    def epoch(self) -> float:
        return timed(self._multiply)

    def _multiply(self) -> None:
        for _ in range(self.batches):
            for number, (inputs, weight, gradient) in enumerate(self.layers):
                inputs @ weight.T
                gradient.T @ inputs
                if number:  # pixels need no gradient
                    gradient @ weight


def decoding_products(latents: int, bf16: bool = False, rows: int = 500) -> float:
    """The seconds that the decoder's matrix products take for this number of ``latents``."""
    kind = torch.bfloat16 if bf16 else torch.float32
    z, hidden = torch.randn(rows, LATENT, dtype=kind), torch.randn(rows, HIDDEN, dtype=kind)
    first, second = torch.randn(HIDDEN, LATENT, dtype=kind), torch.randn(PIXELS, HIDDEN, dtype=kind)

    def multiply() -> None:
        for _ in range(-(-latents // rows)):
            z @ first.T
            hidden @ second.T

    return timed(multiply)
