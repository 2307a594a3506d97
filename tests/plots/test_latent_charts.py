import numpy as np
import torch

from vaelab.plots import latent_charts, style


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


def test_a_legend_of_62_labels_is_not_cut():
    labels = torch.arange(62)
    drawn = style.pixels(latent_charts.scatter(torch.randn(62, 2), labels))
    assert (drawn[:, -2:] == 255).all()


def test_kl_bars_are_sorted_and_named_beside_the_marks_of_probabilistic_pca():
    (axes,) = latent_charts.kl_bars([2.0, 0.1, 3.0], [2.5, 1.0, 0.0]).axes
    assert [bar.get_height() for bar in axes.patches] == [3.0, 2.0, 0.1]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["z2", "z0", "z1"]
    assert (
        "probabilistic PCA" in axes.get_legend().get_texts()[0].get_text() + axes.get_legend().get_texts()[1].get_text()
    )
    assert list(axes.lines[0].get_ydata()) == [2.5, 1.0, 0.0]
    (axes,) = latent_charts.kl_bars([1.0]).axes
    assert axes.get_legend() is None


def test_the_histogram_counts_every_pair_of_an_image_and_a_latent():
    (axes,) = latent_charts.std_histogram(torch.rand(50, 4)).axes
    assert sum(bar.get_height() for bar in axes.patches) == 200


def test_of_many_latents_some_are_named():
    figure = latent_charts.kl_bars([float(latent) for latent in range(130)])
    names = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert names == [f"z{latent}" for latent in range(129, -1, -3)]
