"""Paths through the latent space: between two latent vectors, along one latent, over a plane. Tensors in and out."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from vaelab.errors import InputError

REACH = 2.5  # a traversal goes over the quantiles that -2.5 to 2.5 standard deviations are of a normal distribution
QUANTILE_SAMPLES = 10_000  # from a prior whose quantiles have no closed form
PATH_ITERATIONS = 60  # iterations of the search for a shortest path


def linear(first: Tensor, last: Tensor, steps: int) -> Tensor:
    """The straight line between two latent vectors ``(D,)``, both included: ``(steps, D)``."""
    return torch.lerp(first, last, _shares(first, steps))


def spherical(first: Tensor, last: Tensor, steps: int) -> Tensor:
    """The arc between two latent vectors ``(D,)``, both included: ``(steps, D)``.

    The direction turns by equal angles, the length changes by equal differences. The straight line between two
    samples of N(0, I) leads through vectors that are shorter than samples are; the arc does not. Where both vectors
    point the same way or opposite ways, and where one of them is 0, this is the straight line.

    **References**
        Sampling Generative Networks (White, 2016).
    """
    lengths = torch.stack([first.norm(), last.norm()])
    if float(lengths.min()) == 0:
        return linear(first, last, steps)
    angle = torch.arccos((first @ last / lengths.prod()).clamp(-1, 1))
    if float(torch.sin(angle)) < 1e-4:
        return linear(first, last, steps)
    share = _shares(first, steps)
    start, end = first / lengths[0], last / lengths[1]
    directions = (torch.sin((1 - share) * angle) * start + torch.sin(share * angle) * end) / torch.sin(angle)
    return directions * torch.lerp(lengths[0], lengths[1], share)


def _shares(like: Tensor, steps: int) -> Tensor:
    return torch.linspace(0, 1, steps, dtype=like.dtype, device=like.device)[:, None]


def traversal(start: Tensor, latent: int, values: Tensor) -> Tensor:
    """``start`` ``(D,)`` with its component ``latent`` replaced by each of ``values`` ``(S,)``: ``(S, D)``."""
    z = start.repeat(len(values), 1)
    z[:, latent] = values
    return z


def traversal_shares(steps: int) -> Tensor:
    """The probabilities ``(steps,)`` of -REACH to REACH standard deviations of N(0, 1), at equal distances."""
    return Normal(0.0, 1.0).cdf(torch.linspace(-REACH, REACH, steps))


def quantiles(p: Distribution, shares: Tensor) -> Tensor:
    """The quantiles of each latent under p(z): ``(S, D)``.

    They are exact for a product of normal distributions, else those of samples.

    **Arguments**
        p: the prior, event ``(D,)``.
        shares: probabilities ``(S,)`` between 0 and 1.
    """
    if isinstance(p, Independent) and isinstance(p.base_dist, Normal):
        return p.base_dist.icdf(shares[:, None])
    return torch.quantile(p.sample((QUANTILE_SAMPLES,)), shares, dim=0)


def plane(p: Distribution, side: int) -> Tensor:
    """A grid over a prior of two independent latents: ``(side², 2)``, row by row from the top.

    Neighbours enclose equal shares of the prior's mass. The first latent grows to the right, the second upwards.

    **References**
        Auto-Encoding Variational Bayes (Kingma and Welling, 2013), appendix A.

    **Raises**
        InputError: the prior has not two latents.
    """
    if p.event_shape != (2,):
        raise InputError(f"a plane needs latent=2, this prior has {p.event_shape[0]}")
    device = p.sample().device
    at = quantiles(p, (torch.arange(side, device=device) + 0.5) / side)
    columns, rows = at[:, 0].repeat(side), at[:, 1].flip(0).repeat_interleave(side)
    return torch.stack([columns, rows], 1)


def shortest(decode: Callable[[Tensor], Tensor], first: Tensor, last: Tensor, steps: int) -> Tensor:
    """The path between two latent vectors ``(D,)`` along which the decoded images change least: ``(steps, D)``.

    It minimises the energy sum_t ‖g(z_{t+1}) - g(z_t)‖², where g is the decoder, by L-BFGS from the straight line. A
    minimum is a shortest path under the metric that the decoder pulls back to the latent space, at constant speed.

    **References**
        Latent Space Oddity: on the Curvature of Deep Generative Models (Arvanitidis et al., 2018).
        The Riemannian Geometry of Deep Generative Models (Shao et al., 2018), algorithm 1.

    **Arguments**
        decode: g, latents ``(N, D)`` -> images ``(N, ...)``, with gradients.
        first, last: the ends, which are kept.
    """
    line = linear(first, last, steps)
    if steps < 3 or torch.equal(first, last):
        return line
    inner = line[1:-1].clone().requires_grad_()
    optimizer = torch.optim.LBFGS([inner], max_iter=PATH_ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        images = decode(torch.cat([first[None], inner, last[None]]))
        loss = images.diff(dim=0).square().sum()
        inner.grad = torch.autograd.grad(loss, inner)[0].contiguous()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return torch.cat([first[None], inner.detach(), last[None]])
