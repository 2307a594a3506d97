"""Which pictures there are of a model: it is asked for images and codes here, figures.py draws them.

A picture that a model has no meaning for is left out: an auto-encoder's KL terms, a mixture's interpolation.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor
from torch.distributions import Normal

from vaelab import rng
from vaelab.checks import one_of
from vaelab.errors import InputError
from vaelab.evaluation.evaluated_model import EvaluatedModel
from vaelab.evaluation.importance import importance_weights, log_likelihood
from vaelab.evaluation.linear_model import linear_comparison
from vaelab.models.contracts import Model
from vaelab.models.vae import sample_images
from vaelab.plots import image_grids, latent_charts, latent_paths, style, training_curves

log = logging.getLogger(__name__)


PROJECTIONS = ("pca", "tsne", "umap")
SAMPLES = 64
COLUMNS = 8
RECONSTRUCTIONS = 8
MANIFOLD_SIDE = 20
BETWEEN = (0, 2)  # test images whose codes the ways lead between: in MNIST a 7 and a 1
WAY = 11
TRAVERSED = 12  # latents at most
TRAVERSAL = 11
SCATTERED, LEAST_SCATTERED = 5_000, 5  # test images
RANKED = 2_000  # test images, for the hardest and the easiest
RANKING_SAMPLES = 50  # importance samples for ranking
PSEUDO_INPUTS = 64


@dataclass
class RunPlots:
    """The pictures of a model in evaluation mode, with the noise that is always the same.

    Args:
        experiment: holds the model.
        data: where originals come from: the test images.
        run: what stands above every picture.
        when: of which weights they are, which stands there too.
        directory: of the run, whose metrics.csv has the curves; None where there is none.
        projection: how codes of more than two latents are laid out: pca, tsne or umap.
    """

    evaluated: EvaluatedModel
    run: str
    when: str = ""
    directory: Path | None = None
    projection: str = "pca"

    @property
    def title(self) -> str:
        return f"{self.run} · {self.when}" if self.when else self.run

    @property
    def model(self) -> Model:
        return self.evaluated.model

    @property
    def device(self) -> torch.device:
        return self.evaluated.device

    def during_training(self) -> dict[str, np.ndarray]:
        """What is worth watching during the training."""
        return self._draw(*WATCHED)

    def at_end(self) -> dict[str, np.ndarray]:
        """All that the model has."""
        return self._draw(
            samples, ranked_samples, reconstructions, interpolation, traversal, manifold, codes, kl_per_latent,
            kl_over_training, posterior_std, hardest_and_easiest, pseudo_inputs, curves,
        )  # fmt: skip

    def _draw(self, *pictures: Callable[["RunPlots"], Figure | None]) -> dict[str, np.ndarray]:
        """By name, uint8 ``(H, W, 3)``."""
        drawn = {}
        with torch.no_grad():
            for picture in pictures:
                with rng.fixed_noise(self.device, self.evaluated.seed, rng.PLOTS):
                    try:
                        figure = picture(self)
                    except Exception as error:  # a training is not lost for a picture
                        log.warning(f"no picture of {picture.__name__}: {type(error).__name__}: {error}")
                        continue
                if figure is not None:
                    drawn[picture.__name__] = style.pixels(figure)
        return drawn

    def test(self, count: int) -> tuple[Tensor, Tensor]:
        """The first ``count`` test images, or all of fewer, with labels."""
        test = self.evaluated.data.sets["test"]
        images, labels = test[torch.arange(min(count, len(test)))]
        return self.evaluated.data.scale(images).to(self.device), labels.to(self.device)

    def titled(self, what: str) -> str:
        return f"{what} · {self.title}"


def samples(album: RunPlots) -> Figure:
    """From the prior; of a conditional model a row for each class, with the same codes in every row."""
    model = album.model
    if model.classes is None:
        return image_grids.grid(model.sample(SAMPLES)[1].mean, album.title, COLUMNS)
    z = model.sample_latents(COLUMNS).repeat(model.classes, 1)
    labels = torch.arange(model.classes, device=z.device).repeat_interleave(COLUMNS)
    return image_grids.grid(model.given(labels).decode(z).mean, album.title, COLUMNS)


def ranked_samples(album: RunPlots) -> Figure | None:
    """From the most to the least likely under the model itself."""
    if not album.model.has_bound:
        return None
    labels = torch.arange(SAMPLES, device=album.device) % (album.model.classes or 1)
    images = sample_images(album.model, labels, album.evaluated.data.is_binary)
    nll = _nll(album.model.given(labels), images)
    title = album.titled(f"samples by likelihood: {float(nll.min()):.0f} to {float(nll.max()):.0f} nats")
    return image_grids.grid(images[nll.argsort()], title, COLUMNS)


def reconstructions(album: RunPlots) -> Figure:
    originals, labels = album.test(RECONSTRUCTIONS)
    model = album.model.given(labels)
    return image_grids.reconstructions(originals, model.reconstruct(model.encode(originals)), album.title)


def interpolation(album: RunPlots) -> Figure | None:
    """Between two test images: through the pixels, and through the code along a line and along an arc."""
    model = album.model
    if (
        not model.has_continuous_latents
        or model.classes is not None
        or len(album.evaluated.data.sets["test"]) <= max(BETWEEN)
    ):
        return None
    originals, _ = album.test(max(BETWEEN) + 1)
    first, last = originals[list(BETWEEN)]
    ends = model.encode(originals[list(BETWEEN)]).mean
    shares = torch.linspace(0, 1, WAY, device=album.device).view(-1, 1, 1, 1)
    ways = {
        "pixels": torch.lerp(first, last, shares),
        "codes, line": model.decode(latent_paths.linear(*ends, WAY)).mean,
        "codes, arc": model.decode(latent_paths.spherical(*ends, WAY)).mean,
    }
    return image_grids.labelled_rows(ways, album.titled("interpolation"))


def traversal(album: RunPlots) -> Figure | None:
    """One latent at a time over the middle 99 % of its prior, the others at a test image's code, by their KL terms."""
    model = album.model
    if not model.has_continuous_latents:
        return None
    x, labels = album.test(1)
    start = model.given(labels).encode(x).mean[0]
    shares = Normal(0.0, 1.0).cdf(torch.linspace(-latent_paths.REACH, latent_paths.REACH, TRAVERSAL)).to(album.device)
    # What nothing held to a prior has the range of its own codes.
    ranges = (
        latent_paths.quantiles(model.prior_distribution(), shares)
        if model.has_bound
        else _means(album)[0].quantile(shares, 0)
    )
    kl = _kl_per_latent(album)
    seen = range(len(start))[: model.visible]
    order = seen if kl is None else kl.argsort(descending=True).tolist()
    rows = {}
    for latent in list(order)[:TRAVERSED]:
        given = model.given(labels.expand(TRAVERSAL))
        name = f"z{latent}" if kl is None else f"z{latent}, {float(kl[latent]):.2f} nats"
        rows[name] = given.decode(latent_paths.traversal(start, latent, ranges[:, latent])).mean
    whose = "the prior's" if model.has_bound else "the codes'"
    return image_grids.labelled_rows(rows, album.titled(f"one latent over {whose} range"))


def manifold(album: RunPlots) -> Figure | None:
    """The plane of two latents, by the quantiles of a prior in which they are independent."""
    model = album.model
    if (
        not model.has_continuous_latents
        or model.classes is not None
        or _latents(album) != 2
        or not model.prior.is_product
    ):
        return None
    z = latent_paths.plane(model.prior_distribution(), MANIFOLD_SIDE)
    title = album.titled("z0 rightwards, z1 upwards, by the prior's quantiles")
    return image_grids.grid(model.decode(z).mean, title, MANIFOLD_SIDE)


def codes(album: RunPlots) -> Figure | None:
    """Posterior means of test images, in the colours of their labels."""
    if not album.model.has_continuous_latents or len(album.evaluated.data.sets["test"]) < LEAST_SCATTERED:
        return None
    means, labels = _means(album)
    points, names = project(means, labels, album.projection)
    return latent_charts.codes(points, labels.cpu(), album.titled("posterior means"), names)


def kl_per_latent(album: RunPlots) -> Figure | None:
    """Beside what a linear model would put into as many components, at this β."""
    kl = _kl_per_latent(album)
    if kl is None:
        return None
    linear = linear_comparison(album.evaluated, len(kl)).get("linear_kl")
    return latent_charts.kl_bars(kl.sort(descending=True).values.tolist(), linear, album.title)


def kl_over_training(album: RunPlots) -> Figure | None:
    if album.directory is None or not (album.directory / "metrics.csv").is_file():
        return None
    epochs, kl = training_curves.read_kl(album.directory / "metrics.csv")
    return training_curves.kl_over_training(epochs, kl, f"validation · {album.run}") if len(epochs) > 1 else None


def posterior_std(album: RunPlots) -> Figure | None:
    if not album.evaluated.has_spread:
        return None
    x, labels = album.test(SCATTERED)
    return latent_charts.spread(album.model.given(labels).encode(x).stddev, album.title)


def hardest_and_easiest(album: RunPlots) -> Figure:
    """The test images, of the first ones, that the model gives the least and the most likelihood; else distortion."""
    x, labels = album.test(RANKED)
    model = album.model.given(labels)
    nll = _nll(model, x) if model.has_bound else -model(x).log_px.mean(0)
    order = nll.argsort(descending=True)
    shown = model.reconstruct(model.encode(x))
    count = min(COLUMNS, len(x))
    hardest, easiest = order[:count], order[-count:].flip(0)
    rows = {
        f"hardest, {float(nll[hardest[0]]):.0f} nats": x[hardest],
        "reconstruction": shown[hardest],
        f"easiest, {float(nll[easiest[0]]):.0f} nats": x[easiest],
        "reconstruction ": shown[easiest],
    }
    return image_grids.labelled_rows(rows, album.titled(f"of {len(x):,} test images"))


def pseudo_inputs(album: RunPlots) -> Figure | None:
    images = album.model.prior.images()
    if images is None:
        return None
    return image_grids.grid(images[:PSEUDO_INPUTS], album.titled("pseudo-inputs"), COLUMNS)


WATCHED = (samples, reconstructions, manifold)


def curves(album: RunPlots) -> Figure | None:
    if album.directory is None or album.model.is_solved or not (album.directory / "metrics.csv").is_file():
        return None
    return training_curves.curves(training_curves.read_history(album.directory / "metrics.csv"), album.run)


def project(means: Tensor, labels: Tensor, projection: str) -> tuple[Tensor, tuple[str, str]]:
    """Codes ``(N, D)`` as points ``(N, 2)``, and the names of the axes.

    Two latents as they are, one over its labels, more of them by ``projection``.
    """
    latent = means.shape[1]
    if latent == 2:
        return means, ("z0", "z1")
    if latent == 1:
        return torch.cat([means, labels[:, None].to(means.dtype)], 1), ("z", "label")
    chosen = projector(projection)
    if isinstance(chosen, TSNE):
        chosen.set_params(perplexity=min(chosen.perplexity, (len(means) - 1) / 3))
    found = torch.from_numpy(chosen.fit_transform(means.cpu().double().numpy())).float()
    return found, (f"{projection} 1", f"{projection} 2")


def projector(projection: str) -> PCA | TSNE:
    """scikit-learn's estimator, or umap-learn's."""
    one_of("pictures.projection", projection, PROJECTIONS)
    if projection == "umap":
        try:
            from umap import UMAP
        except ImportError as error:
            raise InputError(
                "pictures.projection=umap needs the package umap-learn: pip install umap-learn, or take tsne or pca"
            ) from error
        return UMAP(random_state=0, n_jobs=1)
    return PCA(2) if projection == "pca" else TSNE(random_state=0)


def _means(album: RunPlots) -> tuple[Tensor, Tensor]:
    x, labels = album.test(SCATTERED)
    return album.model.given(labels).encode(x).mean, labels


def _latents(album: RunPlots) -> int:
    return album.model.sample_latents(1).shape[1]


def _kl_per_latent(album: RunPlots) -> Tensor | None:
    """KL terms ``(D,)``, averaged over test images."""
    if not album.model.has_kl_per_latent:
        return None
    x, labels = album.test(SCATTERED)
    return album.model.given(labels)(x).kl_per_latent.mean(0)


def _nll(model: Model, x: Tensor) -> Tensor:
    return -log_likelihood(importance_weights(model, x, RANKING_SAMPLES).log_w)[0]


def save(drawn: Mapping[str, np.ndarray], folder: Path) -> None:
    """As ``folder``/<name>.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in drawn.items():
        grey = (picture == picture[..., :1]).all()  # as most are: half the bytes
        Image.fromarray(picture[..., 0] if grey else picture).save(folder / f"{name}.png", optimize=True)
