"""Which plots a model has, and that they show what their titles say."""

import numpy as np
import pytest
import torch
from compositions import module_of, small_data

from vaelab.plots import image_grids, latent_charts, latent_paths, path_plots, run_plots, sample_plots
from vaelab.plots.latent_plots import kl_terms
from vaelab.plots.projection import project
from vaelab.plots.ranked_plots import negative_log_likelihood
from vaelab.plots.run_plots import RunPlots

EVERY = {
    "samples", "ranked_samples", "reconstructions", "interpolation", "traversal", "latent_means", "kl_per_latent",
    "posterior_std", "hardest_and_easiest",
}  # fmt: skip


@pytest.fixture(scope="module")
def data():
    made = small_data()
    made.setup()
    return made


def plots_of(data, *overrides, **options) -> RunPlots:
    return RunPlots(module_of(*overrides).eval().evaluated(data), "a title", **options)


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        ([], EVERY),
        (["latent=2"], EVERY | {"manifold"}),
        (["latent=2", "prior=mixture", "prior.components=3"], EVERY - {"kl_per_latent"}),
        (["model=hvae", "latent=5", "bottom=3"], EVERY - {"kl_per_latent"}),
        (["latent=1"], EVERY),
        (["model=ae"], EVERY - {"ranked_samples", "kl_per_latent", "posterior_std"}),
        (
            ["model=mixture", "components=4", "network.hidden=[]"],
            {"samples", "ranked_samples", "reconstructions", "hardest_and_easiest"},
        ),
        (["model=cvae"], EVERY - {"interpolation"}),
        (["prior=vamp", "prior.components=4"], EVERY - {"kl_per_latent"} | {"pseudo_inputs"}),
        (["posterior=flow"], EVERY - {"kl_per_latent"}),
    ],
)
def test_a_model_has_the_plots_that_mean_something_for_it(data, overrides, names):
    drawn = plots_of(data, *overrides).at_end()
    assert set(drawn) == names
    for name, plot in drawn.items():
        assert plot.std() > 5, name
        edge = plot[:, 0]  # paper or the page's grey, no ink
        assert ((edge > 200) | (abs(edge - 255 * image_grids.GAP_GREY) < 2)).all(), f"{name} is cut on its left"


def test_the_same_model_has_the_same_plots(data):
    first, second = (plots_of(data).at_end() for _ in range(2))
    for name, plot in first.items():
        np.testing.assert_array_equal(plot, second[name], err_msg=name)


def shown(monkeypatch, kind: str) -> list:
    """What a function of image_grids is called with."""
    calls = []
    original = getattr(image_grids, kind)

    def watched(*arguments, **options):
        calls.append(arguments)
        return original(*arguments, **options)

    monkeypatch.setattr(image_grids, kind, watched)
    return calls


def test_interpolations_lead_from_the_latents_of_one_image_to_those_of_the_other(data, monkeypatch):
    calls = shown(monkeypatch, "labelled_rows")
    plots = plots_of(data)
    plots.draw(run_plots.interpolation)
    ((rows, _),) = calls
    originals, _ = plots.test(3)
    torch.testing.assert_close(rows["pixels"][[0, -1]], originals[[0, 2]])
    with torch.no_grad():
        ends = plots.model.reconstruct(plots.model.encode(originals[[0, 2]]))
    for way in ("latents, line", "latents, arc"):
        torch.testing.assert_close(rows[way][[0, -1]], ends, atol=1e-4, rtol=0)


def test_traversals_begin_with_the_latent_that_carries_most(data, monkeypatch):
    calls = shown(monkeypatch, "labelled_rows")
    plots = plots_of(data)
    plots.draw(run_plots.traversal)
    ((rows, _),) = calls
    with torch.no_grad():
        kl = kl_terms(plots)
    assert [int(name.split(",")[0][1:]) for name in rows] == kl.argsort(descending=True).tolist()
    for images in rows.values():
        assert images.shape[0] == path_plots.TRAVERSAL_STEPS
        assert not torch.allclose(images[0], images[-1])


def test_traversals_are_over_the_prior_and_leave_out_what_the_decoder_does_not_see(data, monkeypatch):
    calls, drawn_paths = shown(monkeypatch, "labelled_rows"), []
    original = latent_paths.traversal
    monkeypatch.setattr(latent_paths, "traversal", lambda *given: drawn_paths.append(given) or original(*given))
    plots_of(data, "model=hvae", "latent=5", "bottom=3").draw(run_plots.traversal)
    assert [name.split(",")[0] for name in calls[0][0]] == ["z0", "z1", "z2"]
    drawn_paths.clear()
    plots = plots_of(data, "prior=vamp", "prior.components=4", "latent=2")
    plots.model.posterior.network[-1][-1].bias.data[:2] += torch.tensor([50.0, -30.0])
    plots.draw(run_plots.traversal)
    for (_, latent, values), centre in zip(drawn_paths, (50, -30), strict=True):
        assert abs(float(values.median()) - centre) < 10, latent


def test_a_plot_that_fails_is_logged_and_leaves_the_others(data, monkeypatch, caplog):
    monkeypatch.setattr(latent_charts, "std_histogram", lambda *_: 1 / 0)
    with caplog.at_level("WARNING", logger="vaelab"):
        assert set(plots_of(data).at_end()) == EVERY - {"posterior_std"}
    assert "the plot posterior_std failed: ZeroDivisionError" in caplog.text


def test_a_handful_of_images_is_enough(caplog):
    data = small_data(test=6, train=64)
    data.setup()
    with caplog.at_level("WARNING", logger="vaelab"):
        assert set(plots_of(data, projection="tsne").at_end()) == EVERY
    assert caplog.text == ""


def test_samples_are_ranked_by_their_likelihood(data, monkeypatch):
    calls = shown(monkeypatch, "grid")
    plots = plots_of(data)
    plots.draw(run_plots.ranked_samples)
    torch.manual_seed(1)
    with torch.no_grad():
        nll = negative_log_likelihood(plots.model, calls[0][0])
    assert float(nll[:16].mean()) < float(nll[-16:].mean())
    assert np.corrcoef(nll.numpy(), np.arange(len(nll)))[0, 1] > 0.9


def test_the_hardest_are_harder_than_the_easiest(data, monkeypatch):
    calls = shown(monkeypatch, "labelled_rows")
    plots = plots_of(data)
    plots.draw(run_plots.hardest_and_easiest)
    hardest, _, easiest, _ = calls[0][0].values()
    with torch.no_grad():
        every = negative_log_likelihood(plots.model, plots.test(150)[0])
        low, high = (negative_log_likelihood(plots.model, images) for images in (easiest, hardest))
    assert float(low.max()) < float(every.median()) < float(high.min())


def test_the_manifold_has_a_plane_s_corner_in_its_corner(data, monkeypatch):
    calls = shown(monkeypatch, "grid")
    plots = plots_of(data, "latent=2")
    plots.draw(run_plots.manifold)
    images = calls[0][0]
    assert len(images) == path_plots.MANIFOLD_SIDE**2
    outer = 1.9600  # the quantile at 0.975 of N(0, 1)
    with torch.no_grad():
        corner = plots.model.decode(torch.tensor([[-outer, outer]])).mean
    torch.testing.assert_close(images[:1], corner, atol=1e-3, rtol=0)


def test_a_conditional_model_has_a_row_for_each_class(data, monkeypatch):
    calls = shown(monkeypatch, "grid")
    plots_of(data, "model=cvae").draw(run_plots.samples)
    images = calls[0][0]
    assert len(images) == 10 * sample_plots.COLUMNS
    rows = images.view(10, sample_plots.COLUMNS, -1)
    assert not torch.allclose(rows[0], rows[1])


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
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    with pytest.raises(ValueError, match="pip install umap-learn, or take tsne or pca"):
        run_plots.projector("umap")


def test_class_labels_stand_beside_conditional_samples(data):
    with torch.no_grad():
        figure = sample_plots.samples(plots_of(data, "model=cvae"))
    names = [text.get_text() for text in figure.texts]
    assert [name for name in names if name.startswith("class ")] == [f"class {label}" for label in range(10)]


def test_a_traversal_says_how_many_latents_it_shows_and_at_which_values(data):
    with torch.no_grad():
        figure = path_plots.traversal(plots_of(data, "latent=14"))
    texts = [text.get_text() for text in figure.texts]
    assert "12 of 14 latents, by KL" in texts[0]
    assert "-2.5" in texts
    assert "0.0" in texts
    assert "2.5" in texts
