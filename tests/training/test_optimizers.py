"""Muon against torch's own, and its Newton-Schulz iteration against the singular values."""

import pytest
import torch

from vaelab import hardware
from vaelab.training.optimizers import Muon, orthogonalised

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
SHAPES = [(20, 60), (60, 20), (9, 9)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_iteration_acts_on_the_singular_values_alone(shape):
    """U p(S) Vᵀ, with p the polynomial a s + b s³ + c s⁵, five times."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    s = s / s.norm()
    a, b, c = COEFFICIENTS
    for _ in range(5):
        s = a * s + b * s**3 + c * s**5
    assert 0.6 < float(s.min()) <= float(s.max()) < 1.3
    found = orthogonalised(matrix, COEFFICIENTS, 5, 1e-7, torch.float64)
    torch.testing.assert_close(found, u @ s.diag() @ v)
    torch.testing.assert_close(
        orthogonalised(matrix.float(), COEFFICIENTS, 5, 1e-7, torch.float32), found.float(), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("is_native", [True, False])
def test_a_step_on_matrices_is_that_of_torchs_muon(monkeypatch, is_native):
    """Bit by bit in bfloat16, which torch's always takes, and up to bfloat16's rounding in float32."""
    monkeypatch.setattr(hardware, "cpu_has_bf16", lambda: is_native)
    generator = torch.Generator().manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    theirs = [torch.nn.Parameter(weight.detach().clone()) for weight in ours]
    begin = [weight.detach().clone() for weight in ours]
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.02}
    optimizers = Muon(ours, **options), torch.optim.Muon(theirs, **options, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other, first in zip(ours, theirs, begin, strict=True):
        assert torch.equal(one, other) == is_native
        difference, way = (one - other).detach().norm(), (one - first).detach().norm()
        assert float(difference / way) < 0.03
