import pytest
import torch

from vaelab.plots import image_grids, latent_charts, style


def test_a_title_is_shortened_before_it_is_too_small_to_read():
    figure = latent_charts.kl_bars([1.0], title="a very long name " * 12)
    (title,) = figure.texts
    assert title.get_fontsize() >= style.LEAST_FONT
    assert title.get_text().endswith("…")
    drawn = style.pixels(figure)
    assert (drawn[:20, -3:] == 255).all()


@pytest.mark.parametrize("title", ["short", "a very long title " * 8])
def test_titles_are_not_cut(title):
    drawn = style.pixels(image_grids.grid(torch.zeros(64, 1, 28, 28), title))
    above = drawn[:30]
    assert (above < 200).any()
    assert (above[:, -4:] == 255).all()
