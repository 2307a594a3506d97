import sys

import pytest
import torch

from vaelab.plots import run_plots
from vaelab.plots.projection import project


@pytest.mark.parametrize(("latent", "names"), [(1, ("z0", "label")), (2, ("z0", "z1")), (3, ("pca 1", "pca 2"))])
def test_latents_are_projected_by_their_number(latent, names):
    means = torch.randn(50, latent)
    points, axes = project(means, torch.arange(50) % 10, "pca")
    assert points.shape == (50, 2)
    assert axes == names
    if latent < 3:
        torch.testing.assert_close(points[:, 0], means[:, 0])


def test_tsne_keeps_neighbours_together():
    torch.manual_seed(0)
    labels = torch.arange(90) % 3
    points, axes = project(20.0 * torch.eye(5)[labels] + torch.randn(90, 5), labels, "tsne")
    assert axes == ("tsne 1", "tsne 2")
    centres = torch.stack([points[labels == label].mean(0) for label in range(3)])
    assert torch.equal(torch.cdist(points, centres).argmin(1), labels)


def test_an_unknown_or_missing_projection_is_one_line(monkeypatch):
    with pytest.raises(ValueError, match=r"pictures\.projection must be one of pca, tsne, umap"):
        run_plots.projector("pcb")
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ValueError, match="pip install umap-learn, or take tsne or pca"):
        run_plots.projector("umap")
