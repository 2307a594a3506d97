"""Priors: modules called with the posterior that return the distribution p(z).

The posterior comes at call time because some priors are made of it (the VampPrior is a mixture of posteriors):
given as a part of the configuration, a prior would train against a second, silent copy of the encoder.
"""

import torch
from torch import nn
from torch.distributions import Independent

from vaelab.checks import whole
from vaelab.distributions import diagonal_normal


class StandardNormal(nn.Module):
    """p(z) = N(0, I)."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        # Constants: on the module's device, but in no checkpoint.
        self.register_buffer("loc", torch.zeros(whole("latent", latent)), persistent=False)
        self.register_buffer("scale", torch.ones(latent), persistent=False)

    def forward(self, posterior: nn.Module) -> Independent:
        """Batch ``()``, event ``(latent,)``."""
        return diagonal_normal(self.loc, self.scale)
