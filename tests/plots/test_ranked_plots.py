import numpy as np
import torch
from drawn_plots import calls_of, plots_of

from vaelab.plots import run_plots
from vaelab.plots.ranked_plots import negative_log_likelihood
from vaelab.plots.sample_plots import COLUMNS


def test_samples_are_ranked_by_their_likelihood(monkeypatch):
    calls = calls_of(monkeypatch, "grid")
    plots = plots_of()
    plots.draw(run_plots.ranked_samples)
    torch.manual_seed(1)
    with torch.no_grad():
        nll = negative_log_likelihood(plots.model, calls[0][0])
    assert float(nll[:16].mean()) < float(nll[-16:].mean())
    assert np.corrcoef(nll.numpy(), np.arange(len(nll)))[0, 1] > 0.9


def test_the_hardest_are_harder_than_the_easiest(monkeypatch):
    calls = calls_of(monkeypatch, "labelled_rows")
    plots = plots_of()
    plots.draw(run_plots.hardest_and_easiest)
    hardest, _, easiest, _ = calls[0][0].values()
    with torch.no_grad():
        every = negative_log_likelihood(plots.model, plots.test(150)[0])
        low, high = (negative_log_likelihood(plots.model, images) for images in (easiest, hardest))
    assert float(low.max()) < float(every.median()) < float(high.min())


def test_samples_of_a_conditional_model_are_ranked_within_their_class(monkeypatch):
    calls = calls_of(monkeypatch, "grid")
    plots = plots_of("model=cvae")
    plots.draw(run_plots.ranked_samples)
    labels = torch.arange(10).repeat_interleave(COLUMNS)
    with torch.no_grad():
        nll = negative_log_likelihood(plots.model.given(labels), calls[0][0]).view(10, COLUMNS)
    assert (nll[:, :2].mean(1) < nll[:, -2:].mean(1)).all()
