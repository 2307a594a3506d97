"""Logarithms of sums of densities, and their terms' shares, without the slow cases of exp.

Most components of a mixture are hundreds of nats below the nearest. exp of such a difference underflows, which takes a
CPU 15 to 40 times as long as another exp. So differences are limited to ``NEGLIGIBLE`` nats, which changes neither a
sum nor, beyond the rounding error, its gradient.
"""

import torch
from torch import Tensor

NEGLIGIBLE = 60.0  # e^-60 = 9e-27: even a million such terms do not change a sum of 1 in float64


def log_sum_exp(terms: Tensor, dim: int) -> Tensor:
    """log sum exp of ``terms`` along ``dim``, as ``torch.logsumexp``."""
    floor = terms.detach().amax(dim, keepdim=True) - NEGLIGIBLE
    return terms.clamp(min=floor).logsumexp(dim)


def exp_above(terms: Tensor, reference: Tensor) -> Tensor:
    """exp(``terms`` - ``reference``), but e^-60 where it is smaller."""
    return torch.exp((terms - reference).clamp(min=-NEGLIGIBLE))
