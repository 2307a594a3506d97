"""The map of latents: points and latent vectors belong together, and paths lead between images."""

import pytest
import torch
from explored import explored
from sklearn.decomposition import PCA

from vaelab.errors import InputError
from vaelab.explore.latent_map import STEPS, latent_map, paths, planes


def test_two_latents_are_the_plane_itself():
    run = explored("latent=2")
    assert planes(run) == [(0, 1)]
    found = latent_map(run, (0, 1))
    torch.testing.assert_close(found.points, run.encoded.means)
    torch.testing.assert_close(found.latents((0.5, -1.5)), torch.tensor([0.5, -1.5]))
    assert found.axes == ("z0", "z1")
    assert found.contours == [(0, 0, radius) for radius in (1, 2, 3)]
    assert found.nearest(found.points[7].tolist()) == 7


def test_more_latents_are_projected_by_pca_and_back():
    run = explored("latent=5")
    assert planes(run)[0] is None
    found = latent_map(run, None)
    expected = PCA(2).fit_transform(run.encoded.means.double().numpy())
    torch.testing.assert_close(found.points.double(), torch.from_numpy(expected), atol=1e-4, rtol=0)
    z = found.latents((0.3, -0.2))
    torch.testing.assert_close((z - found.origin) @ found.directions.T, torch.tensor([0.3, -0.2]), atol=1e-5, rtol=0)
    # The circles are the contours of the projected N(0, I), whose centre is where the prior's mean lies.
    x, y, _ = found.contours[0]
    torch.testing.assert_close(torch.tensor([x, y]), -found.origin @ found.directions.T, atol=1e-5, rtol=0)
    assert found.prior is None


def test_a_pair_of_latents_leaves_the_others_at_their_mean():
    run = explored("latent=5")
    pair = planes(run)[1]
    assert pair == (run.order[0], run.order[1])
    found = latent_map(run, pair)
    torch.testing.assert_close(found.points, run.encoded.means[:, list(pair)])
    z = found.latents((2.0, -2.0))
    others = [latent for latent in range(5) if latent not in pair]
    assert z[list(pair)].tolist() == [2, -2]
    torch.testing.assert_close(z[others], run.encoded.means.mean(0)[others])


def test_one_latent_is_drawn_against_the_labels():
    run = explored("latent=1")
    (plane,) = planes(run)
    found = latent_map(run, plane)
    torch.testing.assert_close(found.points[:, :1], run.encoded.means)
    assert torch.equal(found.points[:, 1].round().long(), found.labels)
    assert found.latents((0.7, 5.0)).tolist() == pytest.approx([0.7])
    assert found.contours == []


def test_other_priors_are_shown_by_their_samples_and_an_autoencoder_has_none():
    found = latent_map(explored("latent=2", "prior=vamp", "prior.components=5"), (0, 1))
    assert found.contours == []
    assert found.prior.shape == (300, 2)
    bare = latent_map(explored("latent=2", "model=ae"), (0, 1))
    assert bare.contours == []
    assert bare.prior is None


def test_the_map_of_two_layers_is_that_of_the_lower_one():
    run = explored("model=hvae", "latent=6", "bottom=4")
    found = latent_map(run, None)
    assert float(found.directions[:, 4:].abs().max()) == 0
    assert found.prior is not None


def test_discrete_latents_have_no_map():
    with pytest.raises(InputError, match="no latent plane"):
        latent_map(explored("model=mixture", "network.hidden=[]"), None)


@pytest.mark.parametrize(
    "overrides", [(), ("model=ae",), ("model=cvae", "model.classes=10"), ("model=hvae", "bottom=2")]
)
def test_paths_lead_from_one_image_to_the_other(overrides):
    run = explored(*overrides)
    found = paths(run, 0, 2, None if run.run.classes is None else 3)
    assert list(found) == ["pixels", "line", "arc", "decoder"]
    x = run.images[0]
    torch.testing.assert_close(found["pixels"][[0, -1]], x[[0, 2]])
    label = None if run.run.classes is None else 3
    ends = run.decode(run.encoded.means[[0, 2]], label)
    for way in ("line", "arc", "decoder"):
        assert found[way].shape == (STEPS, *run.shape)
        torch.testing.assert_close(found[way][[0, -1]], ends, atol=1e-4, rtol=0)
    steps = {way: float(images.diff(dim=0).square().sum()) for way, images in found.items()}
    assert steps["decoder"] <= steps["line"] * (1 + 1e-4)
