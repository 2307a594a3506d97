import torch
from drawn_plots import calls_of, plots_of

from vaelab.plots import run_plots, sample_plots


def test_a_conditional_model_has_a_row_for_each_class(monkeypatch):
    calls = calls_of(monkeypatch, "grid")
    plots_of("model=cvae").draw(run_plots.samples)
    images = calls[0][0]
    assert len(images) == 10 * sample_plots.COLUMNS
    rows = images.view(10, sample_plots.COLUMNS, -1)
    assert not torch.allclose(rows[0], rows[1])


def test_class_labels_stand_beside_conditional_samples():
    with torch.no_grad():
        figure = sample_plots.samples(plots_of("model=cvae"))
    names = [text.get_text() for text in figure.texts]
    assert [name for name in names if name.startswith("class ")] == [f"class {label}" for label in range(10)]
