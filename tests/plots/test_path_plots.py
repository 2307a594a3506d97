import torch
from drawn_plots import calls_of, plots_of

from vaelab.plots import latent_paths, path_plots, run_plots


def test_interpolations_lead_from_the_latents_of_one_image_to_those_of_the_other(monkeypatch):
    calls = calls_of(monkeypatch, "labelled_rows")
    plots = plots_of()
    plots.draw(run_plots.interpolation)
    ((rows, _),) = calls
    originals, _ = plots.test(3)
    torch.testing.assert_close(rows["pixels"][[0, -1]], originals[[0, 2]])
    with torch.no_grad():
        ends = plots.model.reconstruct(plots.model.encode(originals[[0, 2]]))
    for way in ("latents, line", "latents, arc"):
        torch.testing.assert_close(rows[way][[0, -1]], ends, atol=1e-4, rtol=0)


def test_traversals_begin_with_the_latent_that_carries_most(monkeypatch):
    calls = calls_of(monkeypatch, "labelled_rows")
    plots = plots_of()
    plots.draw(run_plots.traversal)
    ((rows, _),) = calls
    with torch.no_grad():
        kl = plots.model(plots.test(150)[0]).kl_per_latent.mean(0)
    assert [int(name.split(",")[0][1:]) for name in rows] == kl.argsort(descending=True).tolist()
    for images in rows.values():
        assert images.shape[0] == path_plots.TRAVERSAL_STEPS
        assert not torch.allclose(images[0], images[-1])


def test_traversals_are_over_the_prior_and_leave_out_what_the_decoder_does_not_see(monkeypatch):
    calls, drawn_paths = calls_of(monkeypatch, "labelled_rows"), []
    original = latent_paths.traversal
    monkeypatch.setattr(latent_paths, "traversal", lambda *given: drawn_paths.append(given) or original(*given))
    plots_of("model=hvae", "latent=5", "bottom=3").draw(run_plots.traversal)
    assert [name.split(",")[0] for name in calls[0][0]] == ["z0", "z1", "z2"]
    drawn_paths.clear()
    plots = plots_of("prior=vamp", "prior.components=4", "latent=2")
    plots.model.posterior.network[-1][-1].bias.data[:2] += torch.tensor([50.0, -30.0])
    plots.draw(run_plots.traversal)
    for (_, latent, values), centre in zip(drawn_paths, (50, -30), strict=True):
        assert abs(float(values.median()) - centre) < 10, latent


def test_a_traversal_says_how_many_latents_it_shows_and_at_which_values():
    with torch.no_grad():
        figure = path_plots.traversal(plots_of("latent=14"))
    texts = [text.get_text() for text in figure.texts]
    assert "12 of 14 latents, by KL" in texts[0]
    assert "-2.5" in texts
    assert "0.0" in texts
    assert "2.5" in texts


def test_the_manifold_has_the_corner_of_the_plane_at_its_top_left(monkeypatch):
    calls = calls_of(monkeypatch, "grid")
    plots = plots_of("latent=2")
    plots.draw(run_plots.manifold)
    images = calls[0][0]
    assert len(images) == path_plots.MANIFOLD_SIDE**2
    outer = 1.9600  # the quantile at 0.975 of N(0, 1)
    with torch.no_grad():
        corner = plots.model.decode(torch.tensor([[-outer, outer]])).mean
    torch.testing.assert_close(images[:1], corner, atol=1e-3, rtol=0)


def test_a_traversal_with_another_range_for_each_latent_says_so():
    with torch.no_grad():
        figure = path_plots.traversal(plots_of("model=ae"))
    texts = [text.get_text() for text in figure.texts]
    assert "the first 3 of 3 latents; along the top: the latent's quantiles among posterior means" in texts[0]
    assert "0.6 %" in texts
    assert [text.split(",")[0] for text in texts if " to " in text] == ["z0", "z1", "z2"]
