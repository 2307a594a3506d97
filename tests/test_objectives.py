import pytest
import torch

from vaelab.conditionals import DiracPosterior
from vaelab.model import Inference, LatentVariableModel
from vaelab.objectives import ELBO, Reconstruction


class Densities(Inference):
    """An Inference whose densities are given."""

    def __init__(self, log_px: torch.Tensor, kl: torch.Tensor) -> None:
        self.log_px, self.kl = log_px, kl


LOG_PX = torch.tensor([[-10.0, -20.0, -30.0], [-12.0, -18.0, -33.0]])  # (K, B) = (2, 3)
KL = torch.tensor([1.0, 2.0, 3.0])


@pytest.mark.parametrize("kl", [KL, torch.stack([KL - 0.5, KL + 0.5])])
def test_elbo_averages_samples_and_weighs_the_kl(kl):
    loss = ELBO(samples=2)(Densities(LOG_PX, kl), 4.0)
    torch.testing.assert_close(loss, torch.tensor([11.0 + 4, 19.0 + 8, 31.5 + 12]))


def test_reconstruction_ignores_beta():
    inference = Densities(LOG_PX, KL)
    torch.testing.assert_close(Reconstruction()(inference, 1.0), Reconstruction()(inference, 100.0))
    torch.testing.assert_close(Reconstruction()(inference, 1.0), ELBO()(inference, 0.0))


@pytest.mark.parametrize("samples", [0, -1, 1.5, "two"])
def test_samples_that_are_none_are_refused(samples):
    with pytest.raises(ValueError, match=r"loss\.samples must be a whole number of at least 1, got"):
        ELBO(samples)


def test_a_dirac_posterior_has_no_bound():
    posterior = DiracPosterior(lambda outputs: torch.nn.Flatten(), 4)
    model = LatentVariableModel(posterior, lambda z: z, lambda posterior: None)
    assert not model.has_bound
