"""What an Inference computes, and when."""

import torch
from small_models import IMAGE, vae

from vaelab.models.inference import Inference


def test_an_inference_computes_each_density_once():
    model, x = vae(), torch.rand(3, *IMAGE)
    inference = model(x)
    assert isinstance(inference, Inference)
    assert inference.log_px is inference.log_px
    assert inference.kl is inference.kl
