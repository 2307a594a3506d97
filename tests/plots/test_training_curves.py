import numpy as np

from vaelab.evaluation.metrics import CURVES
from vaelab.plots import training_curves


def test_kl_over_training_sorts_the_latents_by_their_last_kl():
    kl = np.array([[0.5, 0.1, 0.2], [0.1, 3.0, 1.0]])
    axes = training_curves.kl_over_training([1.0, 2.0], kl).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0.1, 3.0], [0.2, 1.0], [0.5, 0.1]])


def test_kl_terms_are_read_from_metrics(finished):
    epochs, kl = training_curves.read_kl(finished / "metrics.csv")
    assert epochs == [1.0, 2.0]
    assert kl.shape == (2, 4)
    rates = training_curves.read_history(finished / "metrics.csv")["rate"]["val"][1]
    np.testing.assert_allclose(kl.sum(1), rates, rtol=1e-5)


def test_latents_keep_their_numbers_whatever_the_order_of_the_columns(tmp_path):
    names = sorted(f"kl/{latent}" for latent in range(12))
    assert names[2] == "kl/10"
    lines = [
        ",".join(["epoch", *names]),
        ",".join(["0.5", *[""] * 12]),  # a row of the training has no KL terms
        ",".join(["1", *(name.removeprefix("kl/") for name in names)]),
    ]
    (tmp_path / "metrics.csv").write_text("\n".join(lines))
    epochs, kl = training_curves.read_kl(tmp_path / "metrics.csv")
    assert epochs == [1.0]
    np.testing.assert_array_equal(kl, [range(12)])
    names = [text.get_text() for text in training_curves.kl_over_training(epochs, kl).axes[0].get_yticklabels()]
    assert names == [f"z{latent}" for latent in range(11, -1, -1)]


def test_each_schedule_has_a_panel():
    figure = training_curves.schedules(
        {"constant": lambda step, steps: 1.0, "rising": lambda step, steps: step / steps}
    )
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["beta=constant", "beta=rising"]
    assert list(figure.axes[1].lines[0].get_ydata()[[0, 500]]) == [0, 0.5]


HISTORY = {
    name: {"train": ([0.5, 1.0, 1.5, 2.0], [9.0, 5.0, 4.0, 3.0]), "val": ([1.0, 2.0], [5.5, 3.5])} for name in CURVES
}


def test_each_curve_has_a_panel_with_both_splits():
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
