"""Some of many latent samples, drawn by their importance weights: those that a gradient is computed of."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vaelab.models.contracts import Model
from vaelab.models.inference import Inference, decoded_at_once


@dataclass
class PartOfSamples(Inference):
    """K samples without gradients, and M of them with gradients, drawn with probabilities that are their weights.

    ``log_px`` and ``log_ratio`` are those of the K samples. ``px`` is that of the M, as the other is not kept.

    **Arguments**
        drawn: the Inference of the M samples.
        weights: of those, divided by the sum of all K weights ``(M, B)``.
    """

    drawn: Inference
    weights: Tensor


def draw_part(model: Model, x: Tensor, beta: float | Tensor, samples: int, count: int) -> PartOfSamples:
    """``samples`` latent samples of images ``x`` ``(B, C, H, W)``, and ``count`` of them with gradients.

    The weights are p(x|z) (p(z) / q(z|x))^β. The model's ``forward`` is not called.
    """
    q, p = model.encode(x), model.prior_distribution()
    z = q.rsample((samples,))
    with torch.no_grad():
        parts = z.split(max(1, round(decoded_at_once(x.device) / len(x))))
        log_px = torch.cat([model.decode(part).log_prob(x) for part in parts])
        log_ratio = torch.cat([q.log_prob(part) - p.log_prob(part) for part in parts])
        weights = (log_px - beta * log_ratio).softmax(0)
        index = systematic(weights, count)
    torch.clear_autocast_cache()  # up to torch 2.9 it keeps the copies of weights above, which have no gradient
    drawn = z.gather(0, index.unsqueeze(-1).expand(*index.shape, z.shape[-1]))
    part = Inference(x, drawn, q, p, model.decode(drawn))
    found = PartOfSamples(x, z, q, p, part.px, part, weights.gather(0, index))
    found.log_px, found.log_ratio = log_px, log_ratio
    return found


def systematic(weights: Tensor, count: int) -> Tensor:
    """The numbers ``(M, B)`` of M samples, drawn for each image with probabilities ``weights`` ``(K, B)``.

    This is systematic resampling, by equidistant points with one random shift: sample k is drawn M w_k times, rounded
    up or down.
    """
    shift = torch.rand(weights.shape[1], 1, device=weights.device)
    points = (torch.arange(count, device=weights.device) + shift) / count
    found = torch.searchsorted(weights.T.cumsum(1), points, right=True)
    return found.clamp_max(len(weights) - 1).T
