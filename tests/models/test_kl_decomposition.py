"""The three parts of the KL term, estimated from a batch, against sums over all images."""

import math

import torch
from small_models import IMAGE, vae
from torch.distributions import Normal

from vaelab.models.aggregate import decompose_kl
from vaelab.models.distributions import Mixture, diagonal_normal


def log_qz(q, z, population):
    """The estimate of log q(z) from a batch."""
    p = diagonal_normal(torch.zeros(z.shape[-1]), torch.ones(z.shape[-1]))
    return q.log_prob(z) - decompose_kl(q, p, z, population)["mutual_information"]


def test_q_of_z_is_exact_where_the_batch_is_the_whole_training_set():
    """There q(z) and q(z_d) are plain means of densities."""
    torch.manual_seed(0)
    inference = vae()(torch.rand(8, *IMAGE), 2)
    parts = decompose_kl(inference.q, inference.p, inference.z, 8)
    q = inference.q.base_dist
    each = torch.stack([Normal(q.loc[n], q.scale[n]).log_prob(inference.z) for n in range(8)])
    joint = each.sum(-1).exp().mean(0).log()
    torch.testing.assert_close(inference.log_qz - parts["mutual_information"], joint)
    torch.testing.assert_close(joint - parts["total_correlation"], each.exp().mean(0).log().sum(-1))


def test_the_estimate_of_q_of_z_is_unbiased():
    """The mean of q(z) over batches of 4 of 12 images, each with the image that z was drawn for, is that of all 12."""
    torch.manual_seed(0)
    model, x = vae(), torch.rand(12, *IMAGE)
    with torch.no_grad():
        z = model.encode(x).sample((1,))
        exact = log_qz(model.encode(x), z, 12).exp()[0, 0]
        estimates = []
        for _ in range(4_000):
            batch = torch.cat([torch.tensor([0]), 1 + torch.randperm(11)[:3]])
            estimates.append(log_qz(model.encode(x[batch]), z[:, batch], 12).exp()[0, 0])
    estimates = torch.stack(estimates)
    error = float(estimates.std() / math.sqrt(len(estimates)))
    assert abs(float(estimates.mean() - exact)) < 4 * error + 1e-6


def test_the_last_part_has_another_name_where_the_prior_is_no_product_over_latents():
    """A prior with two modes, both of which q(z) has: log p(z) is no sum over latents."""
    torch.manual_seed(0)
    side = torch.where(torch.rand(800) < 0.5, 3.0, -3.0)[:, None].expand(-1, 4)
    q = diagonal_normal(side, torch.ones(800, 4))
    p = Mixture(torch.zeros(2), diagonal_normal(torch.tensor([[3.0] * 4, [-3.0] * 4]), torch.ones(2, 4)))
    parts = decompose_kl(q, p, q.sample((1,)), 800)
    assert set(parts) == {"mutual_information", "total_correlation", "product_kl"}
    assert abs(float(parts["product_kl"].mean()) + 3 * math.log(2)) < 0.15
