"""Models whose likelihood is known exactly, composed of the same pieces: there the ELBO is log p(x) and the gap 0."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor, nn
from torch.distributions import Distribution, OneHotCategorical

from vaelab.conditionals import (
    BernoulliLikelihood,
    ContinuousBernoulliLikelihood,
    GaussianLikelihood,
    GaussianPosterior,
)
from vaelab.distributions import pairwise_log_prob
from vaelab.flows import unvalidated
from vaelab.model import Inference, LatentVariableModel
from vaelab.priors import Categorical, StandardNormal

ROUNDING = 1e-10  # of the largest eigenvalue: what is below was not measured


class ProbabilisticPCA(LatentVariableModel):
    """PCA as the linear Gaussian model p(x|z) = N(Wz + μ, σ²I), p(z) = N(0, I), solved in closed form.

    Probabilistic Principal Component Analysis (Tipping and Bishop, 1999), section 3.2: W = U(Λ - σ²)^½, with U and Λ
    the first eigenvectors and eigenvalues of the covariance and σ² the mean of the others. WᵀW then is diagonal, and
    so is the exact posterior N(M⁻¹Wᵀ(x - μ), σ²M⁻¹), M = WᵀW + σ² = Λ.

    Its pieces are a Gaussian posterior and a Gaussian likelihood with linear networks; nothing is left to train.
    """

    def __init__(self, posterior: nn.Module, likelihood: nn.Module, prior: nn.Module) -> None:
        super().__init__(posterior, likelihood, prior)
        wanted = {"posterior": GaussianPosterior, "likelihood": GaussianLikelihood, "prior": StandardNormal}
        for (group, kind), piece in zip(wanted.items(), (posterior, likelihood, prior), strict=True):
            if not isinstance(piece, kind):
                member = "normal" if group == "prior" else "gaussian"
                raise ValueError(
                    f"PCA is linear and Gaussian: take {group}={member} with model=pca, not {type(piece).__name__}"
                )
        if likelihood.per_pixel or not isinstance(likelihood.mean, nn.Identity):
            raise ValueError("PCA has one variance for all pixels and a linear mean: leave likelihood's options out")
        networks = [posterior.network, likelihood.network]
        linear = [[layer for layer in network.modules() if isinstance(layer, nn.Linear)] for network in networks]
        if [len(found) for found in linear] != [1, 1]:
            raise ValueError("PCA is linear: take network=linear network.hidden=[] with model=pca")
        self.layers = tuple(found[0] for found in linear)  # a tuple, which registers them no second time
        latent, pixels = self.layers[1].in_features, self.layers[1].out_features
        if latent >= pixels:
            raise ValueError(f"latent must be below {pixels}, the number of pixels, for PCA; got {latent}")
        self.register_buffer("stretch", torch.ones(latent))
        self.requires_grad_(False)

    def initialise(self, images: Tensor, generator: torch.Generator) -> None:
        """Solve for training images ``(N, 1, H, W)``."""
        encoder, decoder = self.layers
        latent = decoder.in_features
        x = images.flatten(1).double()
        if len(x) <= latent + 1:  # or nothing is left over for the noise
            raise ValueError(f"PCA with latent={latent} needs more than {latent + 1} training images, got {len(x)}")
        mean = x.mean(0)
        covariance = torch.cov(x.T)
        eigenvalues, eigenvectors = torch.linalg.eigh(covariance)  # ascending
        variance = eigenvalues.flip(0)[:latent]
        # Fewer images than pixels leave eigenvalues of zero that nothing was measured of.
        measured = min(len(x), x.shape[1])
        noise = eigenvalues.flip(0)[latent:measured].clamp_min(0).mean()
        if noise < ROUNDING * variance[0]:
            raise ValueError(f"the images have no variance beyond latent={latent} components: take fewer of them")
        axes = eigenvectors.flip(1)[:, :latent].T  # (D, pixels)
        signal = (variance - noise).clamp_min(1e-12)
        inwards = (signal.sqrt() / variance)[:, None] * axes
        encoder.weight.copy_(torch.cat([inwards, torch.zeros_like(inwards)]))
        encoder.bias.copy_(torch.cat([-inwards @ mean, (noise / variance).log()]))
        decoder.weight.copy_((signal.sqrt()[:, None] * axes).T)
        decoder.bias.copy_(mean)
        self.likelihood.log_scale.copy_(0.5 * noise.log())
        self.stretch.copy_(variance / signal)

    def reconstruct(self, q: Distribution) -> Tensor:
        """PCA's own reconstruction U Uᵀ(x - μ) + μ: the posterior's mean is shrunk, which is undone (section 3.3)."""
        return self.decode(q.mean * self.stretch).mean


@dataclass
class Enumeration(Inference):
    """An Inference of a discrete code, in which expectations over q are sums over all codes, not over samples.

    ``log_px_of_each``: log p(x|z = e_m) ``(B, M)``.
    """

    log_px_of_each: Tensor

    @cached_property
    def log_px(self) -> Tensor:
        """E_q log p(x|z) ``(1, B)``."""
        return (self.q.probs * self.log_px_of_each).sum(-1).unsqueeze(0)

    @cached_property
    def log_ratio(self) -> Tensor:
        """KL(q ‖ p) ``(1, B)``."""
        return self.kl.unsqueeze(0)


class MixtureModel(nn.Module):
    """p(x) = sum_m P(m) p(x|m): a one-hot code m, its posterior exact because all codes can be tried.

    Pattern Recognition and Machine Learning (Bishop, 2006), section 9.3. The likelihood is a table: a linear decoder
    of the one-hot code. With the exact posterior the ELBO is log p(x), so its gradient is that of log p(x).
    """

    has_bound = True
    has_continuous_code = False
    has_kl_per_latent = False
    classes: int | None = None
    posterior = None  # there is no network for it

    def __init__(self, likelihood: nn.Module, prior: nn.Module) -> None:
        super().__init__()
        if not isinstance(prior, Categorical):
            raise ValueError("a mixture's code is discrete: take prior=categorical with model=mixture")
        self.likelihood = likelihood
        self.prior = prior
        if not isinstance(likelihood, (BernoulliLikelihood, ContinuousBernoulliLikelihood, GaussianLikelihood)):
            raise ValueError(
                f"a mixture weighs every image by every component, which {type(likelihood).__name__} is too slow for: "
                "take likelihood=bernoulli, continuous_bernoulli or gaussian"
            )
        weighted = [layer for layer in likelihood.modules() if hasattr(layer, "weight")]
        if len(weighted) != 1:
            raise ValueError("a mixture's components are a table: take network=linear network.hidden=[]")
        self.tables = tuple(weighted)  # a tuple, which registers it no second time

    @property
    def table(self) -> nn.Linear:
        """One-hot code -> the likelihood's outputs: its columns are the components."""
        return self.tables[0]

    def initialise(self, images: Tensor, generator: torch.Generator) -> None:
        """Begin with the centres of k-means on training images ``(N, 1, H, W)``."""
        components = self.table.in_features
        if len(images) < components:
            raise ValueError(
                f"{components} components need at least as many training images, got {len(images)}: "
                f"take components={len(images)} or fewer"
            )
        seed = int(torch.randint(2**31, (), generator=generator))
        clusters = MiniBatchKMeans(components, batch_size=4096, n_init=1, max_iter=20, random_state=seed)
        clusters.fit(images.flatten(1).numpy())
        centres = torch.from_numpy(clusters.cluster_centers_)
        pixels = centres.shape[1]
        with torch.no_grad():
            self.table.weight.zero_()
            self.table.bias.zero_()
            self.table.weight[:pixels] = self.likelihood.output_at(centres).T

    def _components(self) -> Distribution:
        """p(x|m) of every m, batch ``(M,)``."""
        codes = torch.eye(self.table.in_features, device=self.table.weight.device, dtype=self.table.weight.dtype)
        return self.likelihood(codes)

    def forward(self, x: Tensor, samples: int = 1) -> Enumeration:
        """All codes are tried, so ``samples`` has no part in it."""
        components, p = self._components(), self.prior(None)
        log_px = pairwise_log_prob(components, x)
        with unvalidated():
            q = OneHotCategorical(logits=log_px + p.logits)
        codes = torch.eye(log_px.shape[1], device=x.device, dtype=x.dtype)
        return Enumeration(x, codes, q, p, components, log_px)

    def given(self, labels: Tensor) -> "MixtureModel":
        return self

    def encode(self, x: Tensor) -> OneHotCategorical:
        """P(m|x) of images ``(B, 1, H, W)``, batch ``(B,)``, event ``(M,)``."""
        return self.forward(x).q

    def decode(self, z: Tensor) -> Distribution:
        """p(x|m) of one-hot codes ``(..., M)``."""
        return self.likelihood(z)

    def reconstruct(self, q: OneHotCategorical) -> Tensor:
        """E[x'|x] ``(B, 1, H, W)``: the components' means, weighed by their probabilities."""
        means = self._components().mean
        return (q.probs @ means.flatten(1)).unflatten(-1, means.shape[1:])

    def sample_codes(self, count: int) -> Tensor:
        return self.prior(None).sample((count,))

    def sample(self, count: int) -> tuple[Tensor, Distribution]:
        """``count`` one-hot codes from the prior ``(count, M)``, and p(x|m) of each."""
        z = self.sample_codes(count)
        return z, self.decode(z)


def linear_rates(eigenvalues: Tensor, variance: float, beta: float) -> Tensor:
    """KL(q(z_d|x) ‖ p(z_d)), averaged over x, of each latent of a linear Gaussian β-VAE at its optimum ``(D,)``.

    β weighs the KL term as a noise of β σ² instead of σ² would, so a component is kept where its eigenvalue is larger
    than that, and then has the rate log(λ_d / β σ²) / 2: reverse water-filling. Don't Blame the ELBO! (Lucas et al.,
    2019), section 4, for β = 1.

    Args:
        eigenvalues: of the images' covariance, the largest first ``(D,)``.
        variance: σ² of a pixel.
        beta: the KL term's weight.
    """
    return 0.5 * (eigenvalues / (beta * variance)).log().clamp_min(0)


PART = 10_000  # images at a time: a copy of all of them would be most of a run's memory


def spectrum(images: Tensor, scale: Callable[[Tensor], Tensor] = lambda part: part) -> Tensor:
    """Eigenvalues of the covariance of images ``(N, 1, H, W)``, the largest first ``(H W,)``, in float64.

    ``scale`` makes some of the images what they are to be.
    """
    middle = None
    for part in images.split(PART):
        x = scale(part).flatten(1)
        if middle is None:
            middle = x.double().mean(0).to(x.dtype)  # about where the mean is, so the products lose nothing in float32
            sums = torch.zeros_like(middle, dtype=torch.float64)
            scatter = sums.outer(sums)
        x = x - middle
        scatter += (x.T @ x).double()
        sums += x.double().sum(0)
    scatter -= sums.outer(sums) / len(images)
    return torch.linalg.eigvalsh(scatter / max(1, len(images) - 1)).flip(0).clamp_min(0)
