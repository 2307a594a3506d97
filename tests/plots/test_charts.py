import numpy as np
import pytest
import torch

from vaelab.evaluation.metrics import CURVES
from vaelab.plots import image_grids, latent_charts, style, training_curves


def test_a_sheet_holds_every_image_in_its_place():
    images = torch.arange(6).view(6, 1, 1, 1).expand(6, 1, 4, 5) / 5
    page = image_grids.sheet(images, columns=3)
    assert page.shape == (2 * (4 + image_grids.GAP) + image_grids.GAP, 3 * (5 + image_grids.GAP) + image_grids.GAP)
    assert page[image_grids.GAP, image_grids.GAP] == 0
    assert page[-image_grids.GAP - 1, -image_grids.GAP - 1] == 1
    assert page[0, 0] == np.float32(image_grids.GAP_GREY)


def test_pixels_outside_the_range_are_cut_not_stretched():
    page = image_grids.sheet(torch.tensor([-3.0, 0.5, 7.0]).view(3, 1, 1, 1), columns=3)
    assert [page[image_grids.GAP, image_grids.GAP + index * (1 + image_grids.GAP)] for index in range(3)] == [0, 0.5, 1]


@pytest.mark.parametrize("count", [1, 7, 64])
def test_every_pixel_becomes_a_crisp_square(count):
    torch.manual_seed(0)
    images = (torch.rand(count, 1, 28, 28) > 0.5).float()
    picture = style.pixels(image_grids.grid(images))
    assert picture.dtype == np.uint8
    page = image_grids.sheet(images, 8)
    assert picture.shape == (page.shape[0] * image_grids.SCALE, page.shape[1] * image_grids.SCALE, 3)
    small = picture[image_grids.SCALE // 2 :: image_grids.SCALE, image_grids.SCALE // 2 :: image_grids.SCALE, 0] / 255
    np.testing.assert_allclose(small, page, atol=0.01)
    blocks = picture[..., 0].reshape(page.shape[0], image_grids.SCALE, page.shape[1], image_grids.SCALE)
    assert (blocks.max((1, 3)) == blocks.min((1, 3))).all()


def left_margin(picture: np.ndarray) -> int:
    """White columns before the first ink."""
    return int(np.argmax((picture < 200).any((0, 2))))


def test_reconstructions_are_labelled_within_the_picture():
    images = torch.rand(8, 1, 28, 28)
    picture = style.pixels(image_grids.reconstructions(images, images, "a title"))
    assert left_margin(picture) > 2
    assert picture.shape[1] > picture.shape[0]


def test_rows_are_named_one_under_the_other():
    images = torch.ones(5, 1, 28, 28)
    figure = image_grids.labelled_rows({"one": images, "two": 0.5 * images, "three": 0 * images})
    assert [text.get_text() for text in figure.texts] == ["one", "two", "three"]
    heights = [text.get_position()[1] for text in figure.texts]
    assert heights == sorted(heights, reverse=True)
    picture = style.pixels(figure)
    middle = picture[:, picture.shape[1] // 2, 0]
    third = len(middle) // 3
    assert [middle[third // 2 + row * third] for row in range(3)] == [255, 128, 0]


def test_a_shorter_row_is_filled_up():
    picture = style.pixels(
        image_grids.labelled_rows({"five": torch.ones(5, 1, 28, 28), "two": torch.ones(2, 1, 28, 28)})
    )
    lower = picture[-40, :, 0]
    assert (lower[-3 * 28 * 3 :] == lower[-1]).all()  # the page's grey where three images are missing


@pytest.mark.parametrize("name", ["x", "a rather long name, 1234 nats"])
def test_names_of_rows_are_whole(name):
    picture = style.pixels(image_grids.labelled_rows({name: torch.zeros(4, 1, 28, 28)}))
    assert left_margin(picture) > 2


def test_a_scatter_has_a_colour_and_a_name_for_each_label():
    torch.manual_seed(0)
    labels = torch.arange(300) % 3
    figure = latent_charts.scatter(torch.randn(300, 2) + 10 * labels[:, None], labels, "title", ("pca 1", "pca 2"))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["0", "1", "2"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("pca 1", "pca 2")
    for label, dots in enumerate(axes.collections):
        assert len(dots.get_offsets()) == 100
        assert abs(float(np.mean(dots.get_offsets())) - 10 * label) < 1
    assert len({tuple(dots.get_facecolor()[0]) for dots in axes.collections}) == 3


def test_many_labels_fit_beside_the_scatter():
    labels = torch.arange(62)
    picture = style.pixels(latent_charts.scatter(torch.randn(62, 2), labels))
    assert (picture[:, -2:] == 255).all()


def test_kl_bars_have_the_linear_model_s_beside_them():
    (axes,) = latent_charts.kl_bars([2.0, 0.1, 3.0], [2.5, 1.0, 0.0]).axes
    assert [bar.get_height() for bar in axes.patches] == [3.0, 2.0, 0.1]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["z2", "z0", "z1"]
    assert (
        "probabilistic PCA" in axes.get_legend().get_texts()[0].get_text() + axes.get_legend().get_texts()[1].get_text()
    )
    assert list(axes.lines[0].get_ydata()) == [2.5, 1.0, 0.0]
    (axes,) = latent_charts.kl_bars([1.0]).axes
    assert axes.get_legend() is None


def test_kl_over_training_ends_in_falling_order():
    kl = np.array([[0.5, 0.1, 0.2], [0.1, 3.0, 1.0]])
    axes = training_curves.kl_over_training([1.0, 2.0], kl).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0.1, 3.0], [0.2, 1.0], [0.5, 0.1]])


def test_the_spread_s_histogram_counts_every_image_and_latent():
    (axes,) = latent_charts.std_histogram(torch.rand(50, 4)).axes
    assert sum(bar.get_height() for bar in axes.patches) == 200


def test_kl_terms_are_read_from_metrics(finished):
    epochs, kl = training_curves.read_kl(finished / "metrics.csv")
    assert epochs == [1.0, 2.0]
    assert kl.shape == (2, 4)
    rates = training_curves.read_history(finished / "metrics.csv")["rate"]["val"][1]
    np.testing.assert_allclose(kl.sum(1), rates, rtol=1e-5)


def test_schedules_have_a_panel_each():
    figure = training_curves.schedules(
        {"constant": lambda step, steps: 1.0, "rising": lambda step, steps: step / steps}
    )
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["beta=constant", "beta=rising"]
    assert list(figure.axes[1].lines[0].get_ydata()[[0, 500]]) == [0, 0.5]


def test_a_title_is_shortened_before_it_is_too_small_to_read():
    figure = latent_charts.kl_bars([1.0], title="a very long name " * 12)
    (title,) = figure.texts
    assert title.get_fontsize() >= style.LEAST_FONT
    assert title.get_text().endswith("…")
    picture = style.pixels(figure)
    assert (picture[:20, -3:] == 255).all()


@pytest.mark.parametrize("title", ["short", "a very long title " * 8])
def test_titles_stay_within_the_picture(title):
    picture = style.pixels(image_grids.grid(torch.zeros(64, 1, 28, 28), title))
    above = picture[:30]
    assert (above < 200).any()
    assert (above[:, -4:] == 255).all()


HISTORY = {
    name: {"train": ([0.5, 1.0, 1.5, 2.0], [9.0, 5.0, 4.0, 3.0]), "val": ([1.0, 2.0], [5.5, 3.5])} for name in CURVES
}


def test_curves_have_a_panel_each_with_both_splits():
    figure = training_curves.curves(HISTORY, "run")
    assert [axes.get_title(loc="left").split(":")[0] for axes in figure.axes] == list(CURVES)
    for axes in figure.axes:
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "val"]
        assert axes.get_xlabel() == "epoch"
        assert axes.get_ylabel() == "nats per image"
        np.testing.assert_array_equal(axes.lines[1].get_ydata(), [5.5, 3.5])


def test_curves_of_an_autoencoder_without_validation():
    history = {name: {"train": HISTORY[name]["train"]} for name in ("loss", "distortion")}
    assert len(training_curves.curves(history).axes) == 2


def test_history_is_read_from_metrics(finished):
    history = training_curves.read_history(finished / "metrics.csv")
    assert set(history) == {*CURVES, "posterior_std"}
    assert history["elbo"]["val"][0] == [1.0, 2.0]
