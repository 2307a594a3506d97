"""The plots of a sweep: colours, labels and titles. test_table.py has the values that they show."""

import json
import re

import pandas as pd
import pytest
import synthetic
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure

from vaelab.evaluation.metrics import METRICS, SWEEP_METRICS
from vaelab.sweeps import drawing, plots, sample_grid
from vaelab.sweeps.documents import with_deviation
from vaelab.sweeps.ranking import pareto_front
from vaelab.sweeps.table import read

LONG = "beta.weight+latent,accelerator=cpu,data=mnist5k,evaluation.nll_samples=10,experiment=short~0123456789ab"


@pytest.fixture
def group(tmp_path):
    return read([synthetic.sweep(tmp_path / LONG, latent=[2, 10, 20], beta__weight=[0.5, 1, 4])]).groups[0]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def is_inside(figure: Figure, artist: object) -> bool:
    figure.canvas.draw()
    box = artist.get_window_extent()
    width, height = figure.get_size_inches() * figure.dpi
    return box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height


@pytest.mark.parametrize("letters", [1, 7, 18, 200])
@pytest.mark.parametrize(
    "text", ["", "a b", "[1024,512,256,128,64]", LONG, "bernoulli, grey pixels · x+y;z" + 50 * "w"]
)
def test_wrapping_keeps_every_letter_and_fits_the_width(text, letters):
    wrapped = plots.wrap(text, letters)
    assert re.sub(r"\s", "", wrapped) == re.sub(r"\s", "", text)
    assert max(map(len, wrapped.split("\n"))) <= letters


def test_lines_break_after_punctuation():
    assert plots.wrap("latent=2,beta.weight=0.5", 15) == "latent=2,\nbeta.weight=0.5"


def test_a_long_title_is_whole_and_inside_the_figure(group):
    title = f"{group.heading} · {LONG}"
    figures = [
        plots.plane(group.configurations, "latent", "beta.weight", pareto_front(group.configurations), title),
        plots.heat_maps(group.configurations, "latent", "beta.weight", ["nll", "rate"], title),
        plots.lines(group.configurations, "latent", ["nll"], title),
        plots.scatter(group.best("nll"), ["latent"], "nll", title),
    ]
    for figure in figures:
        shown = figure.get_suptitle()
        assert re.sub(r"\s", "", shown).startswith(re.sub(r"\s", "", title))
        assert is_inside(figure, figure._suptitle)


@pytest.mark.parametrize("metric", SWEEP_METRICS)
def test_bright_is_better_in_every_heat_map(metric):
    low, high = (sum(colormaps[plots.colour_map(metric)](end)[:3]) for end in (0.0, 1.0))
    better = METRICS[metric].better
    if better:
        assert (high > low) == (better == "higher")
    else:  # grey
        red, green, blue, _ = colormaps[plots.colour_map(metric)](0.4)
        assert red == pytest.approx(green) == pytest.approx(blue)


def test_heat_maps_say_which_way_is_better(group):
    figure = plots.heat_maps(group.configurations, "latent", "beta.weight", ["elbo", "nll", "rate"])
    found = texts(figure)
    assert {METRICS[name].title for name in ("elbo", "nll", "rate")} <= set(found)
    assert "Bright (yellow) is better" in figure.get_suptitle()
    assert "Grey" in figure.get_suptitle()
    assert "Grey" not in plots.heat_maps(group.configurations, "latent", "beta.weight", ["nll"]).get_suptitle()
    assert [axes.images[0].get_cmap().name for axes in figure.axes] == ["viridis", "viridis_r", "Greys"]


def test_the_sample_grid_labels_originals_reconstructions_and_samples():
    originals = torch.rand(8, 1, 28, 28)
    panel = (originals, originals)
    figure = sample_grid.draw(
        originals, [[panel, panel], [panel, None]], ["latent=2", "latent=10"], ["beta.weight=1", "beta.weight=4"], LONG
    )
    written = [text.get_text() for text in figure.texts]
    assert re.sub(r"\s", "", written[0]) == LONG
    assert written.count("originals") == 1
    assert written.count("reconstructions") == written.count("samples") == 2
    assert {"latent=2", "latent=10", "beta.weight=1", "beta.weight=4"} <= set(written)
    assert all(is_inside(figure, text) for text in figure.texts)
    middle = {text.get_text(): text.get_position()[1] for text in reversed(figure.texts)}
    assert middle["originals"] > middle["reconstructions"] > middle["latent=2"] > middle["samples"]


def test_the_sample_grid_has_the_images_in_their_places():
    originals, reconstructions, samples = (torch.full((4, 1, 6, 6), value) for value in (0.9, 0.6, 0.3))
    figure = sample_grid.draw(originals, [[None, (reconstructions, samples)]], ["a"], ["b", "c"])
    top, page = (axes.images[0].get_array() for axes in figure.axes)
    assert top[3, 3] == pytest.approx(0.9)
    half, width = top.shape
    assert (page[:, :width] == 1).all()  # no model: white
    left = width + sample_grid.BETWEEN
    assert page[3, left + 3] == pytest.approx(0.6)
    assert page[half + 1, left + 3] == pytest.approx(0.3)


def test_the_latent_size_goes_downwards_and_the_kl_weight_across():
    assert drawing.grid_axes(["latent", "beta.weight", "prior"]) == ("latent", "beta.weight")
    assert drawing.grid_axes(["prior", "optimizer.lr"]) == ("prior", "optimizer.lr")
    assert drawing.grid_axes(["latent"]) == (None, "latent")
    assert drawing.grid_axes([]) == (None, None)


def test_a_report_removes_the_plots_of_the_last_one_and_nothing_else(tmp_path):
    sweep = synthetic.sweep(tmp_path, latent=[2, 5])
    (sweep / "figures").mkdir()
    for name in ("atlas", "sample_grid-3", "mine"):
        (sweep / "figures" / f"{name}.png").touch()
    found = read([sweep])
    assert json.dumps(drawing.draw(found, sweep)).count("![") == 2
    assert {path.stem for path in (sweep / "figures").iterdir()} == {"rate_distortion", "lines", "mine"}


def test_the_sample_grid_is_in_colour_where_the_images_are():
    red, green, blue = (torch.zeros(4, 3, 6, 9) for _ in range(3))
    red[:, 0] = green[:, 1] = blue[:, 2] = 1
    figure = sample_grid.draw(red, [[None, (green, blue)]], ["a"], ["b", "c"])
    top, page = (axes.images[0].get_array() for axes in figure.axes)
    assert top[3, 3].tolist() == [255, 0, 0]
    left = top.shape[1] + sample_grid.BETWEEN
    assert page[3, left + 3].tolist() == [0, 255, 0]
    assert page[top.shape[0] + 1, left + 3].tolist() == [0, 0, 255]


def test_bits_per_dimension_have_digits_that_show_differences():
    configurations = pd.DataFrame({"latent": [2, 5], "seed": [0, 0], "bits_per_dim": [2.31416, 2.31712]})
    assert with_deviation(configurations.iloc[0], "bits_per_dim") == "2.3142"
    figure = plots.heat_maps(configurations, "latent", "seed", ["bits_per_dim"])
    assert {"2.314", "2.317"} <= set(texts(figure))
