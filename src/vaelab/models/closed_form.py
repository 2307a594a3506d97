"""Linear Gaussian models, which have closed forms: PCA, composed of the pieces of a VAE, and the optimal rates."""

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Distribution

from vaelab.errors import InputError
from vaelab.models.contracts import Likelihood, Posterior, Prior
from vaelab.models.covariance import ROUNDING, is_exact, principal_axes
from vaelab.models.vae import LatentVariableModel, check_decoder_is_free


class ProbabilisticPCA(LatentVariableModel):
    """PCA as the linear Gaussian model p(x|z) = N(Wz + μ, σ²I), p(z) = N(0, I), solved in closed form.

    W = U(Λ - σ²)^½, with U and Λ the first eigenvectors and eigenvalues of the covariance, and σ² the mean of the
    other eigenvalues. Then WᵀW is diagonal, and so is the exact posterior N(M⁻¹Wᵀ(x - μ), σ²M⁻¹), M = WᵀW + σ² = Λ:
    the ELBO is log p(x).

    **References**
        Probabilistic Principal Component Analysis (Tipping and Bishop, 1999), section 3.2.

    **Arguments**
        posterior, likelihood: normal, with linear networks, the likelihood with one variance for all pixels.
        prior: N(0, I).

    **Raises**
        InputError: a piece is not linear or not Gaussian, or there are too few images or pixels for D latents.
    """

    starts_from_images = True
    stretch: Tensor

    def __init__(self, posterior: Posterior, likelihood: Likelihood, prior: Prior) -> None:
        super().__init__(posterior, likelihood, prior)
        self._check_gaussian()
        check_decoder_is_free(self, likelihood)
        self._layers = (
            _only_layer(posterior),
            _only_layer(likelihood),
        )  # a tuple: torch must not register them a second time
        latent, pixels = self._layers[1].in_features, self._layers[1].out_features
        if latent >= pixels:
            raise InputError(f"latent must be below {pixels}, the number of pixels, for PCA; got {latent}")
        self.register_buffer("stretch", torch.ones(latent))
        self.requires_grad_(False)

    def _check_gaussian(self) -> None:
        if not (self.posterior.is_normal and self.posterior.has_outputs):
            raise InputError(f"model=pca needs posterior=gaussian, not {type(self.posterior).__name__}")
        if not self.prior.is_standard_normal:
            raise InputError(f"model=pca needs prior=normal, not {type(self.prior).__name__}")
        probe = torch.tensor([-1.0, 2.0])
        mean = self.likelihood.outputs_at(probe)
        if self.likelihood.pixel_variance is None or mean is None or not torch.equal(mean, probe):
            raise InputError(
                f"PCA needs a linear mean and one variance for all pixels, which {type(self.likelihood).__name__} with "
                "these options does not have: take likelihood=gaussian without options of likelihood"
            )

    def start_from_images(self, images: Tensor, generator: Generator) -> None:
        """Solve for the training images ``(N, C, H, W)``."""
        encoder, decoder = self._layers
        latent = decoder.in_features
        if len(images) <= latent + 1:  # no variance would remain for the noise
            raise InputError(
                f"PCA with latent={latent} needs more than {latent + 1} training images, got {len(images)}"
            )
        mean, variance, axes, noise = _principal_components(images, latent)
        if noise < ROUNDING * variance[0]:
            raise InputError(f"the images have no variance beyond latent={latent} components: take fewer of them")
        signal = (variance - noise).clamp_min(1e-12)
        inwards = (signal.sqrt() / variance)[:, None] * axes
        encoder.weight.copy_(torch.cat([inwards, torch.zeros_like(inwards)]))
        encoder.bias.copy_(torch.cat([-inwards @ mean, (noise / variance).log()]))
        decoder.weight.copy_((signal.sqrt()[:, None] * axes).T)
        decoder.bias.copy_(mean)
        self.likelihood.set_pixel_variance(noise)
        self.stretch.copy_(variance / signal)

    def reconstruct(self, q: Distribution) -> Tensor:
        """The projection U Uᵀ(x - μ) + μ of PCA: that of the posterior's mean without its shrinkage (section 3.3)."""
        return self.decode(q.mean * self.stretch).mean


def _principal_components(images: Tensor, latent: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The mean ``(pixels,)``, the largest eigenvalues ``(D,)`` and axes ``(D, pixels)``, and the mean of the others.

    With fewer images than pixels, the last eigenvalues are zero because the images span no more dimensions; the mean is
    over the other ones.
    """
    pixels = images[0].numel()
    measured = min(len(images), pixels)
    if not is_exact(pixels, latent):
        found = principal_axes(images, latent)
        noise = found.spectrum.rest(latent) / (measured - latent)
        return found.mean, found.spectrum.leading, found.axes.T, torch.tensor(noise, dtype=torch.float64)
    x = images.flatten(1).double()
    eigenvalues, eigenvectors = torch.linalg.eigh(torch.cov(x.T))  # ascending
    noise = eigenvalues.flip(0)[latent:measured].clamp_min(0).mean()
    return x.mean(0), eigenvalues.flip(0)[:latent], eigenvectors.flip(1)[:, :latent].T, noise


def _only_layer(piece: Posterior | Likelihood) -> nn.Linear:
    layers = [module for module in piece.modules() if isinstance(module, nn.Linear)]
    if len(layers) != 1:
        raise InputError("PCA is linear: take network=linear network.hidden=[] with model=pca")
    return layers[0]


def linear_rates(eigenvalues: Tensor, variance: float, beta: float) -> Tensor:
    """KL(q(z_d|x) ‖ p(z_d)), averaged over x, of each latent of a linear Gaussian β-VAE at its optimum ``(D,)``.

    rate_d = max(0, log(λ_d / β σ²) / 2): β acts as a noise variance of β σ², and a component is used where its
    eigenvalue is larger than that (reverse water-filling).

    **References**
        Don't Blame the ELBO! (Lucas et al., 2019), section 4, for β = 1.

    **Arguments**
        eigenvalues: of the images' covariance, the largest first ``(D,)``.
        variance: σ² of a pixel.
        beta: the KL term's weight.
    """
    return 0.5 * (eigenvalues / (beta * variance)).log().clamp_min(0)
