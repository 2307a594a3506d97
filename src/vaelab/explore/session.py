"""A finished run as the explorer shows it: images and latents through its model, and its test images encoded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import torch
from torch import Tensor

from vaelab import rng
from vaelab.errors import InputError
from vaelab.evaluation.bounds import bounds
from vaelab.evaluation.latents import has_spread
from vaelab.models.contracts import Model
from vaelab.models.distributions import Chain
from vaelab.plots import latent_paths
from vaelab.plots.path_plots import traversal_values
from vaelab.plots.plotted_run import EncodedImages, PlottedRun
from vaelab.runs.finished import FinishedRun, load
from vaelab.sweeps.jobs import USED, group_name

CODES = 1_000  # test images whose posteriors are computed when a run is opened
BOUND_SAMPLES = 32  # latent samples of rate and distortion
SHOWN_SAMPLES = 8  # latent samples that are shown decoded
NLL_SAMPLES = 1_000
REACH = 3.0  # sliders go over the quantiles that -3 to 3 standard deviations are of a normal distribution
PREPARED = ("shape", "latent", "upper", "images", "classes_seen", "order", "collapsed", "ranges", "centre", "group")
KEPT_BETAS = 32  # values of β of a multi-rate run whose posteriors are kept


@dataclass(frozen=True)
class Look:
    """The posterior, the reconstruction and the metrics of one image.

    **Attributes**
        image: as the model sees it ``(C, H, W)``.
        reconstruction: ``(C, H, W)``.
        samples: of q(z|x), decoded ``(S, C, H, W)``; None where q has no spread.
        mean: of q(z|x) ``(D,)``; of a mixture the probability of each component.
        std: ``(D,)``; None where q has no spread.
        kl: the KL term of each latent ``(D,)`` in nats; None where latents have none of their own.
        metrics: distortion, and rate and elbo where there is a bound, in nats.
    """

    image: Tensor
    reconstruction: Tensor
    samples: Tensor | None
    mean: Tensor
    std: Tensor | None
    kl: Tensor | None
    metrics: dict[str, float]


class ExploredRun:
    """A finished run with the posteriors of its first test images.

    **Arguments**
        run: the run, at one β.
        name: for the page.
        base: the same run at another β, whose images are read already; None: it is the first.
    """

    def __init__(self, run: FinishedRun, name: str, base: "ExploredRun | None" = None) -> None:
        self.run = run
        self.name = name
        self._base = base
        self.at = lru_cache(KEPT_BETAS)(self._at)

    @classmethod
    def open(
        cls, directory: Path, name: str = "", device: str | torch.device = "auto", folder: Path | None = None
    ) -> "ExploredRun":
        """The finished run in ``directory``, with its test images encoded.

        **Raises**
            InputError: the run failed or is not finished, or its files are damaged.
        """
        explored = cls(load(directory, device, folder), name or directory.resolve().name)
        explored.prepare()
        return explored

    def prepare(self) -> None:
        """Compute what the views need when they are built, where they must not wait, in the thread that draws noise."""
        for name in PREPARED:
            getattr(self, name)

    def _at(self, beta: float) -> "ExploredRun":
        """This run at ``beta``, for a multi-rate run."""
        return ExploredRun(self.run.at(beta), self.name, self._base or self)

    @property
    def model(self) -> Model:
        return self.run.model

    @property
    def device(self) -> torch.device:
        return self.run.device

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        return self.run.shape

    @cached_property
    def latent(self) -> int:
        return self.run.latent

    @property
    def visible(self) -> int:
        """How many latents, the first ones, the image depends on directly."""
        return self.model.visible or self.latent

    @property
    def has_spread(self) -> bool:
        """Whether q(z|x) has a standard deviation."""
        return has_spread(self.model)

    @property
    def has_temperature(self) -> bool:
        return self.model.prior.is_standard_normal and self.has_spread

    @property
    def has_prior(self) -> bool:
        """Whether latents of the prior are like those that the decoder was trained on."""
        return self.model.has_bound

    @cached_property
    def upper(self) -> int:
        """The size of z₂ where there are two layers of latents, else 0."""
        return self.latent - self.visible if isinstance(self._prior(), Chain) else 0

    @cached_property
    def _plotted(self) -> PlottedRun | None:
        """The run with its images; None where they are not there."""
        if self._base is not None:
            base = self._base._plotted
            evaluated = None if base is None else self.run.module.evaluated(base.evaluated.data)
        else:
            try:
                evaluated = self.run.module.evaluated(self.run.data)
            except InputError as error:
                self.missing = str(error)
                return None
        if evaluated is None or not len(evaluated.data.sets["test"]):
            return None
        evaluated.model = self.model
        return PlottedRun(evaluated, self.name, limit=CODES)

    missing: str = ""

    @cached_property
    def images(self) -> tuple[Tensor, Tensor] | None:
        """The first test images ``(N, C, H, W)`` on the CPU, and their labels ``(N,)``; None where they are missing."""
        if self._base is not None:
            return self._base.images
        if self._plotted is None:
            return None
        with self._quiet():
            x, labels = self._plotted.test(CODES)
        return x.cpu(), labels.cpu()

    @cached_property
    def encoded(self) -> EncodedImages | None:
        """The posteriors of these images, on the CPU."""
        if self._plotted is None:
            return None
        with self._quiet():
            found = self._plotted.encoded
        stds, kl = (None if part is None else part.cpu() for part in (found.stds, found.kl))
        return EncodedImages(found.means.cpu(), stds, kl, found.labels.cpu())

    @cached_property
    def classes_seen(self) -> list[int]:
        """The labels of the test images; empty where all have the same."""
        found = [] if self.images is None else self.images[1].unique().tolist()
        return found if len(found) > 1 else []

    @cached_property
    def order(self) -> list[int]:
        """The latents in descending order of their KL terms, or of the variance of their posterior means."""
        if not self.model.has_continuous_latents:
            return list(range(self.latent))
        if self.encoded is None:
            return list(range(self.latent))
        by = self.encoded.means.var(0) if self.encoded.kl is None else self.encoded.kl
        return by.argsort(descending=True).tolist()

    @cached_property
    def collapsed(self) -> list[bool]:
        """Whether each latent has a KL term below ``USED`` nats on average; all False where it has none of its own."""
        kl = None if self.encoded is None else self.encoded.kl
        return [False] * self.latent if kl is None else (kl < USED).tolist()

    @cached_property
    def group(self) -> str:
        """Only runs of the same group have nats with the same zero."""
        return group_name(self.run.results) if self._base is None else self._base.group

    @cached_property
    def ranges(self) -> Tensor:
        """The smallest and the largest value ``(2, D)`` of each latent's slider."""
        shares = torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor([-REACH, REACH])).to(self.device)
        with self._quiet():
            if self._plotted is not None:
                found = traversal_values(self._plotted, shares)
            else:
                found = latent_paths.quantiles(self._prior(), shares)
        return found.cpu().float()

    @cached_property
    def centre(self) -> Tensor:
        """Where the sliders start ``(D,)``: the mean of the prior, else that of the test images' latents."""
        if not self.has_prior and self.encoded is not None:
            return self.encoded.means.mean(0)
        with self._quiet():
            return self._prior().mean.cpu().float()

    def look(self, image: Tensor, label: int | None = None, seed: int = 0) -> Look:
        """The `Look` at ``image`` ``(C, H, W)``, uint8, or floats in [0, 1].

        **Arguments**
            label: for a model that is conditioned on labels.
            seed: of the noise, which is the same for models with as many latents.
        """
        x = self.run.prepare(image[None])
        with torch.no_grad(), rng.fixed_noise(self.device, seed, rng.PLOTS):
            inference = self._given(label, 1)(x.to(self.device), BOUND_SAMPLES)
            metrics = {name: float(value) for name, value in bounds(inference, self.model.has_bound).items()}
            q = inference.q
            return Look(
                x[0],
                self._given(label, 1).reconstruct(q)[0].cpu(),
                inference.px.mean[:SHOWN_SAMPLES, 0].cpu() if self.has_spread else None,
                q.mean[0].cpu(),
                q.variance.sqrt()[0].cpu() if self.has_spread else None,
                inference.kl_per_latent[0].cpu() if self.model.has_kl_per_latent else None,
                metrics,
            )

    def nll(self, image: Tensor, label: int | None = None) -> tuple[float, float]:
        """-log p(x) of ``image`` ``(C, H, W)`` in nats by importance sampling, and its standard error."""
        found = self.run.score(image[None], self._label(label), NLL_SAMPLES)
        return float(found["nll"]), float(found["nll_stderr"])

    def decode(self, z: Tensor, label: int | None = None) -> Tensor:
        """The means of p(x|z) ``(N, C, H, W)`` for latents ``(N, D)``; one image ``(C, H, W)`` for ``(D,)``."""
        images = self.run.decode(z, self._label(label))
        return images if z.dim() == 2 else images[0]

    def from_upper(self, upper: Tensor) -> Tensor:
        """z ``(D,)`` of two layers whose upper one is ``upper``; the lower one is the mean of p(z₁|z₂)."""
        p = self._prior()
        assert isinstance(p, Chain)
        with self._quiet():
            z2 = upper[None].to(self.device)
            return p.joined(z2, p.second(z2).mean)[0].cpu()

    def prior_latents(self, count: int, seed: int = 0, temperature: float = 1.0) -> Tensor:
        """Samples of the prior ``(count, D)``, times ``temperature``; of an auto-encoder latents of test images."""
        if not self.has_prior and self.encoded is not None:
            chosen = torch.randint(len(self.encoded.means), (count,), generator=rng.generator(seed, rng.PLOTS))
            return self.encoded.means[chosen]
        with torch.no_grad(), rng.fixed_noise(self.device, seed, rng.PLOTS):
            return temperature * self.model.sample_latents(count).cpu()

    def _prior(self) -> torch.distributions.Distribution:
        with torch.no_grad():
            return self.model.prior_distribution()

    def _given(self, label: int | None, count: int) -> Model:
        return self.model.given(torch.full((count,), self._label(label) or 0, device=self.device))

    def _label(self, label: int | None) -> int | None:
        return None if self.run.classes is None else (label or 0) % self.run.classes

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """A block without gradients, with fixed noise."""
        with torch.no_grad(), rng.fixed_noise(self.device, rng.PLOTS):
            yield
