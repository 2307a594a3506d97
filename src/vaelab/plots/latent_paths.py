"""Codes to look at: ways between two of them, along one latent, over a plane. Tensors in, tensors out."""

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from vaelab.errors import InputError

REACH = 2.5  # standard deviations that a traversal goes to either side, or the quantiles that they are of a normal
DRAWN = 10_000  # codes from a prior whose quantiles have no closed form


def linear(first: Tensor, last: Tensor, steps: int) -> Tensor:
    """The straight way from code ``(D,)`` to code, both ends included: ``(steps, D)``."""
    return torch.lerp(first, last, _shares(first, steps))


def spherical(first: Tensor, last: Tensor, steps: int) -> Tensor:
    """Along the arc: direction by constant angle, length by constant difference; ``(steps, D)``.

    Between two codes of N(0, I) the straight way leads through shorter codes than the prior draws, this one does not.
    Sampling Generative Networks (White, 2016). Where both point the same or opposite ways it is the straight one.
    """
    lengths = torch.stack([first.norm(), last.norm()])
    if float(lengths.min()) == 0:
        return linear(first, last, steps)
    angle = torch.arccos((first @ last / lengths.prod()).clamp(-1, 1))
    if float(torch.sin(angle)) < 1e-4:
        return linear(first, last, steps)
    share = _shares(first, steps)
    directions = first / lengths[0], last / lengths[1]
    way = (torch.sin((1 - share) * angle) * directions[0] + torch.sin(share * angle) * directions[1]) / torch.sin(angle)
    return way * torch.lerp(lengths[0], lengths[1], share)


def _shares(like: Tensor, steps: int) -> Tensor:
    return torch.linspace(0, 1, steps, dtype=like.dtype, device=like.device)[:, None]


def traversal(start: Tensor, latent: int, values: Tensor) -> Tensor:
    """``start`` ``(D,)`` with its component ``latent`` at each of ``values`` ``(S,)``: ``(S, D)``."""
    codes = start.repeat(len(values), 1)
    codes[:, latent] = values
    return codes


def quantiles(p: Distribution, shares: Tensor) -> Tensor:
    """Each latent's quantiles under the prior ``(S, D)``, at ``shares`` ``(S,)`` between 0 and 1.

    In closed form of a normal prior, else of many codes drawn from it.
    """
    if isinstance(p, Independent) and isinstance(p.base_dist, Normal):
        return p.base_dist.icdf(shares[:, None])
    return torch.quantile(p.sample((DRAWN,)), shares, dim=0)


def plane(p: Distribution, side: int) -> Tensor:
    """A grid over a prior of two independent latents, the same mass between neighbours: ``(side², 2)``, top row first.

    Auto-Encoding Variational Bayes (Kingma and Welling, 2013), appendix A.
    """
    if p.event_shape != (2,):
        raise InputError(f"a plane needs latent=2, this prior has {p.event_shape[0]}")
    device = p.sample().device
    at = quantiles(p, (torch.arange(side, device=device) + 0.5) / side)
    columns, rows = at[:, 0].repeat(side), at[:, 1].flip(0).repeat_interleave(side)
    return torch.stack([columns, rows], 1)
