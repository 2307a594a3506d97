"""Which plots a model has."""

import numpy as np
import pytest
from colour_data import colours
from compositions import small_data
from drawn_plots import plots_of

from vaelab.plots import image_grids, latent_charts, path_plots, ranked_plots, sample_plots

EVERY = {
    "samples", "ranked_samples", "reconstructions", "interpolation", "traversal", "latent_means", "kl_per_latent",
    "posterior_std", "hardest_and_easiest",
}  # fmt: skip
ALONG_BETA = {"rate_distortion_curve", "digits_along_beta", "samples_along_beta", "kl_along_beta"}


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
        (["model=multirate"], EVERY | ALONG_BETA),
        (["model=multirate", "posterior=flow"], EVERY - {"kl_per_latent"} | ALONG_BETA - {"kl_along_beta"}),
    ],
)
def test_a_model_has_the_plots_that_mean_something_for_it(overrides, names):
    drawn = plots_of(*overrides).at_end()
    assert set(drawn) == names
    for name, plot in drawn.items():
        assert plot.std() > 5, name
        edge = plot[:, 0]  # white, or the grey between images
        assert ((edge > 200) | (abs(edge - 255 * image_grids.GAP_GREY) < 2)).all(), f"{name} is cut on its left"


def test_the_same_model_has_the_same_plots():
    first, second = (plots_of().at_end() for _ in range(2))
    for name, plot in first.items():
        np.testing.assert_array_equal(plot, second[name], err_msg=name)


def test_a_plot_that_fails_is_logged_and_leaves_the_others(monkeypatch, caplog):
    monkeypatch.setattr(latent_charts, "std_histogram", lambda *_: 1 / 0)
    with caplog.at_level("DEBUG", logger="vaelab"):
        assert set(plots_of().at_end()) == EVERY - {"posterior_std"}
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert warning.getMessage() == "the plot posterior_std failed: ZeroDivisionError: division by zero"
    (traceback,) = [record for record in caplog.records if record.exc_info]
    assert traceback.levelname == "DEBUG"


def test_a_handful_of_images_is_enough(caplog):
    data = small_data(test=6, train=64)
    data.setup()
    with caplog.at_level("WARNING", logger="vaelab"):
        assert set(plots_of(data=data, projection="tsne").at_end()) == EVERY
    assert caplog.text == ""


COLOUR = ("network=conv", "data.shape=[3,9,14]", "likelihood=logistic_mixture")


def test_a_model_of_colour_images_has_all_its_plots_in_their_colours():
    data = colours()
    of_images = [sample_plots.samples, sample_plots.reconstructions, ranked_plots.ranked_samples, path_plots.manifold,
                 path_plots.interpolation, path_plots.traversal, ranked_plots.hardest_and_easiest]  # fmt: skip
    drawn = plots_of(*COLOUR, "latent=2", data=data).draw(*of_images)
    vamp = plots_of(*COLOUR, "prior=vamp", "prior.components=8", data=data)
    drawn |= vamp.draw(sample_plots.pseudo_inputs)
    assert set(drawn) == {plot.__name__ for plot in (*of_images, sample_plots.pseudo_inputs)}
    originals = data.scale(data.sets["test"].images[:8]).movedim(1, -1).numpy()
    page = drawn["reconstructions"][-3 * (2 * 11 + 2) :, -3 * (8 * 16 + 2) :][1::3, 1::3] / 255
    for index, original in enumerate(originals):
        np.testing.assert_allclose(page[2:11, 2 + 16 * index : 16 + 16 * index], original, atol=0.003)
    for name, plot in drawn.items():
        assert (plot.max(-1) != plot.min(-1)).mean() > 0.2, name  # not grey
