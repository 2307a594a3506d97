"""Logarithms of sums of densities."""

import torch
from torch import Tensor

NEGLIGIBLE = 60.0  # e^-60 = 9e-27: even a million such terms do not change a sum of 1 in float64


def log_sum_exp(terms: Tensor, dim: int) -> Tensor:
    """log sum exp of ``terms`` along ``dim``, as ``torch.logsumexp``, without the slow case of exp.

    Most components of a mixture are hundreds of nats below the nearest. exp of such a difference underflows, which
    takes a CPU 15 to 40 times as long as another exp. So terms are raised to ``NEGLIGIBLE`` nats below the largest,
    which changes neither the sum nor its gradient by more than the rounding error.
    """
    floor = terms.detach().amax(dim, keepdim=True) - NEGLIGIBLE
    limited = torch.where(terms < floor, floor, terms)  # clamp would split the gradient where they are equal
    return limited.logsumexp(dim)
