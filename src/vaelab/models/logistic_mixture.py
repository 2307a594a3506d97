"""The mixture of discretized logistics: P(x) of an image whose values are 256 levels, with dependent channels."""

from typing import ClassVar

import torch
from torch import Size, Tensor
from torch.distributions import Distribution

from vaelab.models.discretized_logistic import DiscretizedLogistic


class DiscretizedLogisticMixture(Distribution):
    """For each pixel a mixture over its colour; within a component each channel depends on the ones before it.

        P(x) = prod_pixels sum_m w_m prod_c P_mc(x_c | x_1, ..., x_{c-1})

    P_mc is the logistic distribution with location loc_mc + sum_{j<c} a_mcj (x_j - 1/2) and scale s_mc, discretized to
    ``levels`` grey values from 0 to 1. For every value of the channels before it, it sums to one, and so does P.

    **References**
        PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and Other Modifications
        (Salimans et al., 2017), section 2.

    **Arguments**
        logits: of the weights w ``(..., M, H, W)``.
        loc: ``(..., M, C, H, W)``.
        scale: ``(..., M, C, H, W)``.
        slopes: a ``(..., M, C (C-1)/2, H, W)``, in the order a_21, a_31, a_32, a_41, ...
        levels: of a value.
    """

    arg_constraints: ClassVar = {}

    def __init__(self, logits: Tensor, loc: Tensor, scale: Tensor, slopes: Tensor, levels: int = 256) -> None:
        self.log_weights = torch.log_softmax(logits, -3)
        self.loc, self.scale, self.slopes, self.levels = loc, scale, slopes, levels
        super().__init__(loc.shape[:-4], loc.shape[-3:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The mean of every component, weighted by w; an approximation where there are several channels.

        A channel depends on those before it; their means take the place of their values. That would be exact if no
        value were cut at 0 or 1.
        """
        means: list[Tensor] = []
        for channel in range(self.event_shape[0]):
            means.append(self._channel(channel, means).mean)
        weights = self.log_weights.exp().unsqueeze(-3)
        return (weights * torch.stack(means, -3)).sum(-4).clamp(0, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        x = value.unsqueeze(-4).unbind(-3)
        log_p = self.log_weights
        for channel, values in enumerate(x):
            log_p = log_p + self._channel(channel, x).log_prob(values)
        return log_p.logsumexp(-3).sum((-2, -1))

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        with torch.no_grad():
            shape = Size(sample_shape)
            logits = self.log_weights.expand(*shape, *self.log_weights.shape)
            noise = -torch.empty_like(logits, memory_format=torch.contiguous_format).exponential_().log()
            chosen = (logits + noise).argmax(-3, keepdim=True).unsqueeze(-3)  # a component for each pixel: Gumbel-max
            parts = (part.expand(*shape, *part.shape) for part in (self.loc, self.scale, self.slopes))
            loc, scale, slopes = (torch.take_along_dim(part, chosen, -4) for part in parts)
            only = DiscretizedLogisticMixture(torch.zeros_like(loc[..., 0, :, :]), loc, scale, slopes, self.levels)
            x: list[Tensor] = []
            for channel in range(self.event_shape[0]):
                x.append(only._channel(channel, x).sample())
            return torch.stack(x, -3).squeeze(-4)

    def _channel(self, channel: int, before: "list[Tensor] | tuple[Tensor, ...]") -> DiscretizedLogistic:
        """P_mc of every component and pixel ``(..., M, H, W)``, given the channels before it, each of that shape."""
        loc = self.loc[..., channel, :, :]
        first = channel * (channel - 1) // 2
        for index in range(channel):
            loc = loc + self.slopes[..., first + index, :, :] * (before[index] - 0.5)
        return DiscretizedLogistic(loc, self.scale[..., channel, :, :], self.levels, validate_args=False)
