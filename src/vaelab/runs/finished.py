"""A finished run in Python: its trained model on the user's own images, latents and labels."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from vaelab import hardware, rng
from vaelab.checks import number, one_of, whole
from vaelab.data.datamodule import ImageDataModule
from vaelab.errors import InputError
from vaelab.evaluation.bounds import bounds, squared_error
from vaelab.evaluation.importance import importance_weights, log_likelihood
from vaelab.models.contracts import Model
from vaelab.models.vae import sample_images
from vaelab.progress import progress
from vaelab.runs.inputs import Array, Images, Labels, image_tensor, label_tensor, latent_tensor
from vaelab.runs.load import load_run, read_images
from vaelab.runs.results import read_results
from vaelab.training.module import VAEModule

BATCH = 1_000  # images encoded, decoded or drawn at a time
SCORED = 100  # images scored at a time
DISTORTION_SAMPLES = 100  # latent samples in the distortion of a model whose latents have no density


def load(
    directory: str | Path, device: str | torch.device = "auto", config_dir: str | Path | None = None
) -> "FinishedRun":
    """Open the finished run in ``directory``.

    **Arguments**
        directory: such as ``outputs/runs/two``, or the directory of a job of a sweep.
        device: where the model computes: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        config_dir: where your own pieces are now; None for where they were when the run was trained.

    **Raises**
        InputError: the run failed or is not finished, or its files are damaged.

    **Example**

        run = vaelab.load("outputs/runs/two")
        run.metrics["elbo"]
    """
    found = hardware.find_device(device)
    directory = Path(directory)
    module, data = load_run(directory, False, () if config_dir is None else (Path(config_dir),))
    return FinishedRun(directory, module.to(found), data)


class Encoding(NamedTuple):
    """Mean and standard deviation of q(z|x) for N images.

    **Attributes**
        mean, std: ``(N, D)``.
    """

    mean: Tensor
    std: Tensor


class FinishedRun:
    """A finished run: what it reached, and its model with the weights that were tested.

    Images are tensors or numpy arrays ``(N, C, H, W)``, uint8 from 0 to 255 or floats from 0 to 1, or PIL images of the
    run's size, one or a list. Where the run binarised its images, these are binarised alike. Results are tensors on the
    CPU, computed without gradients, and the same at every call. `model` is torch's module, for all else.

    **Attributes**
        directory: where its files are.
        module: the LightningModule.
        beta: the β that ``at`` chose; None where the model is as it was opened.
    """

    def __init__(self, directory: Path, module: VAEModule, data: ImageDataModule, beta: float | None = None) -> None:
        self.directory = directory
        self.module = module
        self._data = data
        self.beta = beta

    def __repr__(self) -> str:
        bound = "elbo" if "elbo" in self.metrics else "distortion"
        name = type(self.model).__name__
        return f"<run {self.directory}: {name}, latent={self.latent}, {bound} {self.metrics[bound]:.2f}>"

    @property
    def model(self) -> Model:
        """The model in evaluation mode. ``model(x)`` is an `Inference`, and ``model.encode(x)`` is q(z|x)."""
        return self.module.model if self.beta is None else self.module.model.at(self.beta)

    def at(self, beta: float) -> "FinishedRun":
        """This run with its model at ``beta``, within a multi-rate model's range; `metrics` stay as they are."""
        number("beta", beta, above=True)
        if self.model.betas is None:
            raise InputError("this model was trained for one beta, so there is no other to choose: leave beta out")
        self.module.model.at(beta)  # raises
        return FinishedRun(self.directory, self.module, self._data, beta)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    @cached_property
    def config(self) -> DictConfig:
        """The composed configuration, as in ``run.config.beta.weight``."""
        return OmegaConf.create(self.module.config)

    @property
    def results(self) -> dict:
        """The content of results.json, with the evaluation as far as it was computed."""
        return read_results(self.directory)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The metrics of the test images, such as elbo, rate, distortion and nll, in nats per image."""
        return dict(self.results["test"])

    @cached_property
    def data(self) -> ImageDataModule:
        """The run's images, which are read at the first use.

        **Raises**
            InputError: they are missing, or others than those of the run.
        """
        read_images(self.directory, self._data, self.results["data"])
        return self._data

    @property
    def classes(self) -> int | None:
        """How many labels the model is conditioned on, or None where it is not."""
        return self.model.classes

    @cached_property
    def latent(self) -> int:
        """The number of latents, D."""
        return self._one_latent().shape[-1]

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """The shape ``(C, H, W)`` of an image."""
        with torch.no_grad():
            first = torch.zeros(1, dtype=torch.int64, device=self.device)
            channels, height, width = self.model.given(first).decode(self._one_latent()).event_shape
        return channels, height, width

    def _one_latent(self) -> Tensor:
        with torch.no_grad(), rng.fixed_noise(self.device, 0):
            return self.model.sample_latents(1)

    def images(self, split: str = "test", count: int | None = None) -> tuple[Tensor, Tensor]:
        """The first images of a split of the run's data ``(N, C, H, W)``, as the model sees them, and labels ``(N,)``.

        **Arguments**
            split: ``train``, ``val`` or ``test``.
            count: how many; None for all.
        """
        one_of("split", split, ("train", "val", "test"))
        limit = None if count is None else whole("count", count)
        chosen = self.data.sets[split]
        if not len(chosen):
            raise InputError(f"this run's data have no images of split={split!r}")
        x, labels = chosen[torch.arange(min(len(chosen), limit or len(chosen)))]
        return self.prepare(x), labels

    def prepare(self, images: Images) -> Tensor:
        """Images as the model sees them: float32 ``(N, C, H, W)`` in [0, 1], binarised where the run's images are."""
        x = image_tensor(images, self.shape)
        with rng.fixed_noise(torch.device("cpu"), rng.EVALUATE):
            return torch.cat([self._prepared(part) for part in x.split(BATCH)])

    def encode(self, images: Images, labels: Labels | None = None) -> Encoding:
        """Mean and standard deviation of q(z|x), ``(N, D)`` each.

        **Arguments**
            images: see the class.
            labels: of the images, one for all or one for each; for a model that is conditioned on them.
        """
        found = [self._encode(model, x) for model, x in self._batches(images, labels, BATCH, "encoding")]
        means, stds = zip(*found, strict=True)
        return Encoding(torch.cat(means), torch.cat(stds))

    @staticmethod
    def _encode(model: Model, x: Tensor) -> tuple[Tensor, Tensor]:
        q = model.encode(x)
        return q.mean.cpu(), q.variance.sqrt().cpu()

    def decode(self, z: Array, labels: Labels | None = None) -> Tensor:
        """The mean of p(x|z): images ``(N, C, H, W)``.

        **Arguments**
            z: latents ``(N, D)`` or ``(D,)``; of a mixture one-hot vectors.
            labels: see `encode`.
        """
        latents = latent_tensor(z, self.latent)
        given = self._labels(labels, len(latents))
        parts = zip(latents.split(BATCH), given.split(BATCH), strict=True)
        with torch.no_grad(), rng.fixed_noise(self.device, rng.EVALUATE):
            return torch.cat([self.model.given(y).decode(part.to(self.device)).mean.cpu() for part, y in parts])

    def reconstruct(self, images: Images, labels: Labels | None = None) -> Tensor:
        """The mean of p(x|z) at the posterior's mean: images ``(N, C, H, W)``; arguments as in `encode`."""
        batches = self._batches(images, labels, BATCH, "reconstructing")
        return torch.cat([model.reconstruct(model.encode(x)).cpu() for model, x in batches])

    def sample(
        self,
        count: int = 64,
        labels: Labels | None = None,
        temperature: float = 1.0,
        noise: bool = False,
        seed: int = 0,
    ) -> Tensor:
        """Images ``(count, C, H, W)`` with latents from the prior: the means of p(x|z), clamped to [0, 1].

        **Arguments**
            count: how many.
            labels: for a model that is conditioned on them; None for the classes in turn.
            temperature: a factor on the latents, for the prior N(0, I).
            noise: draw the pixels too, instead of taking their means.
            seed: another one draws other images.
        """
        whole("count", count)
        number("temperature", temperature)
        whole("seed", seed, 0)
        if temperature != 1 and not self.model.prior.is_standard_normal:
            raise InputError(f"a temperature is for prior=normal, and this run has {type(self.model.prior).__name__}")
        in_turn = torch.arange(count, device=self.device) % (self.classes or 1)
        given = in_turn if labels is None else self._labels(labels, count)
        with torch.no_grad(), rng.fixed_noise(self.device, seed, rng.PLOTS):
            batches = progress(given.split(BATCH), "sampling")
            return torch.cat([sample_images(self.model, batch, noise, temperature).cpu() for batch in batches])

    def score(self, images: Images, labels: Labels | None = None, samples: int = 100) -> dict[str, Tensor]:
        """Scores of each image ``(N,)`` in nats, at beta = 1: elbo, nll, nll_stderr, rate and distortion.

        nll = -log p(x) is estimated by importance sampling. Without a density of the latents, as in an auto-encoder,
        there are distortion and squared_error.

        **Arguments**
            images, labels: see `encode`.
            samples: latent samples per image.
        """
        whole("samples", samples, 2)
        scored = [_score(model, x, samples) for model, x in self._batches(images, labels, SCORED, "scoring")]
        return {name: torch.cat([part[name] for part in scored]).cpu() for name in scored[0]}

    def log_likelihood(self, images: Images, labels: Labels | None = None, samples: int = 100) -> Tensor:
        """log p(x) of each image ``(N,)`` in nats, estimated by importance sampling; arguments as in `score`.

        **Raises**
            InputError: the model has no density of its latents.
        """
        if not self.model.has_bound:
            raise InputError(
                f"{type(self.model.posterior).__name__} has no density of its latents, so this model has no log p(x): "
                "run.score(x) has its distortion and squared error"
            )
        return -self.score(images, labels, samples)["nll"]

    def _labels(self, labels: Labels | None, count: int) -> Tensor:
        """Labels ``(count,)`` on the model's device; of a model without classes any."""
        if labels is not None:
            return label_tensor(labels, count, self.classes).to(self.device)
        if self.classes is not None:
            raise InputError(f"this model is conditioned on labels: pass labels=..., from 0 to {self.classes - 1}")
        return torch.zeros(count, dtype=torch.int64, device=self.device)

    def _batches(self, images: Images, labels: Labels | None, size: int, what: str) -> Iterator[tuple[Model, Tensor]]:
        """The model for the labels of each batch, and the batch as it sees it, within fixed noise."""
        x = image_tensor(images, self.shape)
        given = self._labels(labels, len(x))
        parts = list(zip(x.split(size), given.split(size), strict=True))
        with torch.no_grad(), rng.fixed_noise(self.device, rng.EVALUATE):
            for part, y in progress(parts, what):
                yield self.model.given(y), self._prepared(part).to(self.device)

    def _prepared(self, images: Tensor) -> Tensor:
        is_grey = images.dtype == torch.uint8
        return self._data.scale(images, drawn=True) if is_grey else self._data.binarized(images, drawn=True)


def _score(model: Model, x: Tensor, samples: int) -> dict[str, Tensor]:
    """The scores ``(B,)`` of images ``x`` ``(B, C, H, W)``; without a density of the latents the distortion alone."""
    if not model.has_bound:
        inference = model(x, DISTORTION_SAMPLES)
        return {**bounds(inference, has_bound=False), "squared_error": squared_error(model, inference)}
    weights = importance_weights(model, x, samples)
    log_px, variance = log_likelihood(weights.log_w)
    return {
        "elbo": weights.elbo,
        "nll": -log_px,
        "nll_stderr": variance.sqrt(),
        "rate": weights.rate,
        "distortion": weights.distortion,
    }
