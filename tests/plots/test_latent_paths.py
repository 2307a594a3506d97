import math

import pytest
import torch
from torch.distributions import Normal

from vaelab.models.distributions import Mixture, diagonal_normal
from vaelab.plots import latent_paths

FIRST, LAST = torch.tensor([3.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])


@pytest.mark.parametrize("path", [latent_paths.linear, latent_paths.spherical])
def test_a_path_begins_and_ends_at_its_two_vectors(path):
    latents = path(FIRST, LAST, 7)
    assert latents.shape == (7, 3)
    torch.testing.assert_close(latents[[0, -1]], torch.stack([FIRST, LAST]), atol=1e-6, rtol=0)


def test_the_line_has_equal_steps_and_the_arc_equal_angles():
    steps = latent_paths.linear(FIRST, LAST, 5).diff(dim=0)
    torch.testing.assert_close(steps, steps[:1].expand(4, 3))
    arc = latent_paths.spherical(FIRST, LAST, 5)
    torch.testing.assert_close(arc.norm(dim=1), torch.linspace(3, 1, 5))
    angles = torch.atan2(arc[:, 1], arc[:, 0])
    torch.testing.assert_close(angles, torch.linspace(0, math.pi / 2, 5))


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.0])
def test_the_arc_between_parallel_vectors_is_the_line(factor):
    torch.testing.assert_close(
        latent_paths.spherical(FIRST, factor * FIRST, 4), latent_paths.linear(FIRST, factor * FIRST, 4)
    )


def test_the_arc_keeps_the_length_that_the_line_loses():
    torch.manual_seed(0)
    first, last = torch.randn(2, 500)
    middle = latent_paths.linear(first, last, 3)[1].norm() / latent_paths.spherical(first, last, 3)[1].norm()
    assert float(middle) == pytest.approx(1 / math.sqrt(2), abs=0.05)


def test_a_traversal_changes_one_latent():
    latents = latent_paths.traversal(FIRST, 1, torch.tensor([-2.0, 0.0, 2.0]))
    torch.testing.assert_close(latents, torch.tensor([[3.0, -2, 0], [3, 0, 0], [3, 2, 0]]))
    assert FIRST[1] == 0


def test_quantiles_are_the_inverse_of_the_distribution_function():
    p = diagonal_normal(torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0]))
    shares = torch.tensor([0.1, 0.5, 0.9])
    at = latent_paths.quantiles(p, shares)
    torch.testing.assert_close(Normal(p.base_dist.loc, p.base_dist.scale).cdf(at), shares[:, None].expand(3, 2))
    torch.manual_seed(0)
    mixture = Mixture(torch.zeros(1), diagonal_normal(p.base_dist.loc[None], p.base_dist.scale[None]))
    torch.testing.assert_close(latent_paths.quantiles(mixture, shares), at, atol=0.15, rtol=0)


def test_the_plane_has_its_first_latent_across_and_its_second_upwards():
    p = diagonal_normal(torch.zeros(2), torch.ones(2))
    grid = latent_paths.plane(p, 3).view(3, 3, 2)
    outer = float(Normal(0.0, 1.0).icdf(torch.tensor(5 / 6)))
    torch.testing.assert_close(grid[0, 0], torch.tensor([-outer, outer]))  # top left
    torch.testing.assert_close(grid[2, 2], torch.tensor([outer, -outer]))  # bottom right
    torch.testing.assert_close(grid[1, 1], torch.zeros(2))


def test_a_plane_of_more_latents_is_refused():
    with pytest.raises(ValueError, match="latent=2, this prior has 3"):
        latent_paths.plane(diagonal_normal(torch.zeros(3), torch.ones(3)), 4)


def test_the_shortest_path_of_a_linear_decoder_is_the_line():
    torch.manual_seed(0)
    weight = torch.randn(3, 20)
    found = latent_paths.shortest(lambda z: z @ weight, FIRST, LAST, 6)
    torch.testing.assert_close(found, latent_paths.linear(FIRST, LAST, 6), atol=1e-3, rtol=0)
    assert torch.equal(latent_paths.shortest(lambda z: z, FIRST, FIRST, 4), FIRST.expand(4, 3))


def test_the_shortest_path_through_polar_coordinates_is_a_straight_line_of_images():
    def decode(z: torch.Tensor) -> torch.Tensor:
        return torch.stack([z[:, 0] * z[:, 1].cos(), z[:, 0] * z[:, 1].sin()], 1)

    first, last = torch.tensor([1.0, 0.0]), torch.tensor([2.0, math.pi / 2])
    images = decode(latent_paths.shortest(decode, first, last, 9))
    expected = torch.lerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0]), torch.linspace(0, 1, 9)[:, None])
    torch.testing.assert_close(images, expected, atol=1e-3, rtol=0)
    line = decode(latent_paths.linear(first, last, 9))
    assert float((line - expected).abs().max()) > 0.1
