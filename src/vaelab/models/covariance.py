"""Eigenvalues and eigenvectors of the pixels' covariance: all of them, or the largest where there are many pixels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vaelab import rng

Scale = Callable[[Tensor], Tensor]

ROUNDING = 1e-10  # smaller eigenvalues, relative to the largest one, are rounding errors
PRODUCT_ROUNDING = 1e-6  # smaller sums of eigenvalues, relative to that of all, are rounding errors of float32 products
CHUNK = 10_000  # images at a time, so that there is no scaled copy of all images
CHUNK_NUMBERS = 4_000_000  # pixels at a time, at most
EXACT_PIXELS = 1_024  # up to so many, the whole covariance takes about a second
# Of the block Krylov method: vectors in a block beyond those that are wanted, and passes over the images. It ends where
# no eigenvalue changes by more than TOLERANCE, relatively; the eigenvalues are then accurate to far less than that.
EXTRA, MOST_PASSES, TOLERANCE = 10, 10, 1e-4


def _unscaled(images: Tensor) -> Tensor:
    return images


@dataclass(frozen=True)
class Spectrum:
    """The largest eigenvalues of the covariance of images, and the sum of all of them.

    **Attributes**
        leading: the largest first ``(K,)``, in float64.
        total: the sum of all eigenvalues, which is that of the pixels' variances.
        pixels: how many eigenvalues there are.
    """

    leading: Tensor
    total: float
    pixels: int

    def rest(self, count: int) -> float:
        """The sum of all eigenvalues but the ``count`` largest, at most K; 0 where it is a rounding error."""
        rest = self.total - float(self.leading[:count].sum())
        return rest if rest > PRODUCT_ROUNDING * self.total else 0.0


@dataclass(frozen=True)
class PrincipalAxes:
    """The largest eigenvalues of the covariance of images, with their eigenvectors.

    **Attributes**
        spectrum: the eigenvalues.
        axes: the eigenvectors, one in each column ``(pixels, K)``, in float64.
        mean: of the images ``(pixels,)``, in float64.
    """

    spectrum: Spectrum
    axes: Tensor
    mean: Tensor


def is_exact(pixels: int, count: int) -> bool:
    """Whether the whole covariance is computed for the ``count`` largest of its eigenvalues."""
    return pixels <= EXACT_PIXELS or 2 * (count + EXTRA) > pixels  # no room for two blocks


def spectrum(images: Tensor, scale: Scale = _unscaled) -> Tensor:
    """Eigenvalues of the covariance of images ``(N, C, H, W)``, the largest first ``(C H W,)``, in float64.

    **Arguments**
        scale: maps a chunk of the images to the values that models are trained on. Where it draws pixels, it draws the
            same ones every time.
    """
    # Near the mean, so that float32 products keep their precision.
    middle = next(_chunks(images, scale)).double().mean(0)
    sums = torch.zeros_like(middle)
    scatter = sums.outer(sums)
    for x in _centred(images, scale, middle):
        scatter += (x.T @ x).double()
        sums += x.double().sum(0)
    scatter -= sums.outer(sums) / len(images)
    return torch.linalg.eigvalsh(scatter / max(1, len(images) - 1)).flip(0).clamp_min(0)


def leading_spectrum(images: Tensor, count: int, scale: Scale = _unscaled) -> Spectrum:
    """The ``count`` largest eigenvalues of the covariance of images ``(N, C, H, W)``, and the sum of all.

    Up to ``EXACT_PIXELS`` pixels they are those of the whole covariance, above that those of ``principal_axes``.

    **Arguments**
        scale: as in ``spectrum``.
    """
    pixels = images[0].numel()
    if is_exact(pixels, count):
        eigenvalues = spectrum(images, scale)
        return Spectrum(eigenvalues[:count], float(eigenvalues.sum()), pixels)
    return principal_axes(images, count, scale).spectrum


def principal_axes(images: Tensor, count: int, scale: Scale = _unscaled) -> PrincipalAxes:
    """The ``count`` largest eigenvalues and the eigenvectors of the covariance of images ``(N, C, H, W)``.

    The whole covariance of 64 x 64 x 3 pixels would have 1.2 GB, and its eigenvalues would take minutes. Only its
    products with blocks of vectors are computed, in some passes over the images, and the eigenvalues within the space
    that they span.

    **References**
        Randomized Block Krylov Methods for Stronger and Faster Approximate Singular Value Decomposition (Musco and
        Musco, 2015).

    **Arguments**
        count: at most half of the pixels, less ``EXTRA``.
        scale: as in ``spectrum``.
    """
    mean, total = _moments(images, scale)

    def multiplied(block: Tensor) -> Tensor:
        """The covariance times a block of vectors ``(pixels, K)``."""
        product = torch.zeros_like(block)
        for x in _centred(images, scale, mean):
            product += (x.T @ (x @ block.to(x.dtype))).double()
        return product / max(1, len(images) - 1)

    leading, axes = _krylov(multiplied, len(mean), count)
    return PrincipalAxes(Spectrum(leading, total, len(mean)), axes, mean)


def _moments(images: Tensor, scale: Scale) -> tuple[Tensor, float]:
    """The mean ``(pixels,)``, and the sum of the pixels' variances."""
    middle = next(_chunks(images, scale)).double().mean(0)
    sums, squares = torch.zeros_like(middle), 0.0
    for x in _centred(images, scale, middle):
        sums += x.sum(0, dtype=torch.float64)
        squares += float(x.square().sum(0).sum(dtype=torch.float64))
    shift = sums / len(images)
    total = (squares - len(images) * float(shift.square().sum())) / max(1, len(images) - 1)
    return middle + shift, total


def _chunks(images: Tensor, scale: Scale) -> Iterator[Tensor]:
    """Scaled images ``(N, pixels)``, some at a time, the same in every pass."""
    size = min(CHUNK, max(1, CHUNK_NUMBERS // images[0].numel()))
    for index, chunk in enumerate(images.split(size)):
        with rng.fixed_noise(images.device, rng.SPECTRUM, index):
            x = scale(chunk).flatten(1)
        yield x


def _centred(images: Tensor, scale: Scale, middle: Tensor) -> Iterator[Tensor]:
    for x in _chunks(images, scale):
        yield x - middle.to(x.dtype)


def _krylov(multiplied: Callable[[Tensor], Tensor], pixels: int, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` largest eigenvalues, and the eigenvectors, of a symmetric matrix that is known by its products."""
    start = torch.randn(pixels, count + EXTRA, generator=rng.generator(rng.SPECTRUM), dtype=torch.float64)
    basis = block = torch.linalg.qr(start).Q
    products = multiplied(block)
    leading, within = _largest(basis, products, count)
    for _ in range(min(MOST_PASSES, pixels // block.shape[1]) - 1):
        block = products[:, -block.shape[1] :]
        for _ in range(2):  # once leaves rounding errors
            block = torch.linalg.qr(block - basis @ (basis.T @ block)).Q
        basis = torch.cat([basis, block], 1)
        products = torch.cat([products, multiplied(block)], 1)
        before = leading
        leading, within = _largest(basis, products, count)
        if ((leading - before).abs() <= TOLERANCE * leading.clamp_min(ROUNDING * leading[0])).all():
            break
    return leading, basis @ within


def _largest(basis: Tensor, products: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues ``(count,)`` and the eigenvectors of a matrix within the space of ``basis``."""
    projected = basis.T @ products
    eigenvalues, vectors = torch.linalg.eigh((projected + projected.T) / 2)
    return eigenvalues.flip(0)[:count].clamp_min(0), vectors.flip(1)[:, :count]
