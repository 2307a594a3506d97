"""Normalizing flows: those of zuko, as distributions of this project."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from vaelab.models.distributions import Shape, unvalidated

with unvalidated():  # zuko switches torch's argument validation off for the whole process; here it is restored
    from zuko.distributions import NormalizingFlow  # type: ignore[import-untyped]  # zuko has types, but no py.typed
    from zuko.flows import MAF  # type: ignore[import-untyped]

DRAWS = 64  # samples for the mean and variance of a flow


@contextmanager
def _full_precision() -> Iterator[None]:
    with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield


class Flow(Distribution):
    """N(0, I) mapped by invertible networks, in full precision also under autocast.

    A sample is mapped back for its density, and bfloat16 would round differently in the two directions. Mean and
    variance have no closed form. They are estimated from ``DRAWS`` samples with the same noise for every image, so that
    differences between images are not noise.

    **Arguments**
        flow: a flow of zuko, batch ``()`` or ``(B,)``, event ``(D,)``.
    """

    arg_constraints: ClassVar = {}
    has_rsample = True

    def __init__(self, flow: NormalizingFlow) -> None:
        self.flow = flow
        super().__init__(flow.batch_shape, flow.event_shape, validate_args=False)

    def _draws(self) -> Tensor:
        """Samples ``(DRAWS, *batch, D)``; their noise has mean 0 and variance 1: exact for an affine map."""
        (length,) = self.event_shape
        noise = torch.randn(DRAWS // 2, length, generator=torch.Generator().manual_seed(0))
        noise = noise / noise.square().mean(0).sqrt()
        noise = torch.cat([noise, -noise]).to(self.flow.base.mean)  # its type and device
        noise = noise.view(DRAWS, *[1] * len(self.batch_shape), length)
        with _full_precision():
            return self.flow.transform.inv(noise.expand(DRAWS, *self.batch_shape, length))

    @property
    def mean(self) -> Tensor:
        return self._draws().mean(0)

    @property
    def variance(self) -> Tensor:
        return self._draws().var(0, correction=0)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        with _full_precision():
            return self.flow.rsample(Size(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        shape = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        with _full_precision():
            return self.flow.log_prob(value.expand(*shape, -1))  # zuko broadcasts the context, not the value


class MaskedAutoregressiveFlow(nn.Module):
    """N(0, I) through affine autoregressive maps, one after the other; their coefficients may depend on a context.

    **References**
        Masked Autoregressive Flow for Density Estimation (Papamakarios et al., 2017).

    **Arguments**
        latent: D.
        transforms: the number of maps.
        hidden: widths of each map's network.
        context: the size of the context; 0: there is none.
        passes: how often the network of a map runs for a sample: 2 is coupling, None is once per latent.
    """

    def __init__(
        self, latent: int, transforms: int, hidden: Sequence[int], context: int = 0, passes: int | None = None
    ) -> None:
        super().__init__()
        self.maps = MAF(latent, context, transforms=transforms, hidden_features=list(hidden), passes=passes)

    def forward(self, context: Tensor | None = None) -> Flow:
        """``context`` ``(B, context)`` -> batch ``(B,)``, event ``(latent,)``; without one, batch ``()``."""
        with unvalidated():
            return Flow(self.maps(context))
