"""The page of models that have more than a VAE: a range of beta, classes, two layers, components."""

from pathlib import Path

import pytest
from browser import chromium
from conftest import SMALL, train_here
from explorer_page import draw, named, serving, show, source, turn, until, visible
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.engine
MODELS = {
    "many": ("model=multirate", "beta.low=0.1", "beta.high=10", "epochs=8"),
    "layers": ("model=hvae", "latent=6", "bottom=4"),
    "parts": ("model=mixture", "network.hidden=[]", "latent=8"),
}


@pytest.fixture(scope="module")
def runs(conditional, tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("explorer")
    for name, options in MODELS.items():
        status, out, err = train_here(folder, *SMALL, *options, f"name={name}", "evaluation.parts=[]")
        assert (status, err) == (0, ""), out + err
    return [*(folder / "outputs" / "runs" / name for name in MODELS), conditional]


@pytest.fixture(scope="module")
def opened(runs, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("served"), *runs) as (address, _), chromium() as browser:
        browser.set_window_size(1280, 940)
        yield browser, address


@pytest.fixture
def browser(opened):
    """The page, freshly loaded; nothing may go wrong in its console."""
    browser, address = opened
    browser.get_log("browser")
    show(browser, address)
    yield browser
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def choose(browser, name: str, value: str) -> None:
    """Choose ``value`` in the list with this name, by mouse."""
    named(browser, name).click()
    find = lambda: [each for each in visible(browser, ".q-menu .q-item") if each.text.strip() == value]  # noqa: E731
    until(browser, find)[0].click()
    until(browser, lambda: not visible(browser, ".q-menu"))


def open_run(browser, name: str) -> None:
    """Open another run, which builds the view anew."""
    until(browser, lambda: visible(browser, ".panel .box"))
    browser.execute_script("document.querySelectorAll('.panel .box').forEach(box => { box.dataset.old = 1; })")
    choose(browser, "run", name)
    until(browser, lambda: visible(browser, ".panel .box") and not visible(browser, ".panel .box[data-old]"))


def press(element, *keys: str) -> None:
    """Press keys on a slider."""
    thumb = element if element.get_attribute("tabindex") else element.find_element(By.CSS_SELECTOR, "[tabindex]")
    thumb.send_keys(*keys)


def test_beta_changes_what_a_multirate_model_makes_of_an_image(browser):
    assert named(browser, "run").get_attribute("value") == "many" or "many" in named(browser, "run").text
    draw(browser, (-50, -70), (100, 0), (-60, 140))
    result = until(browser, lambda: visible(browser, "img.big"))
    until(browser, lambda: all(map(source, result)) and "rate" in named(browser, "values").text)
    image, before = map(source, result)
    press(named(browser, "beta"), *[Keys.ARROW_RIGHT] * 20)
    until(browser, lambda: source(visible(browser, "img.big")[1]) != before)
    assert source(visible(browser, "img.big")[0]) == image
    text = visible(browser, ".top")[0].text
    assert float(text.split("β")[1].split()[0]) == pytest.approx(100 ** (20 / 60), rel=0.01)  # of 0.1 to 10
    turn(browser, 1)  # Move follows beta too
    decoded = source(until(browser, lambda: source(named(browser, "decoded")) and named(browser, "decoded")))
    press(named(browser, "beta"), *[Keys.ARROW_LEFT] * 20)
    until(browser, lambda: source(named(browser, "decoded")) != decoded)


def test_a_conditional_model_decodes_the_chosen_class(browser):
    open_run(browser, "cvae")
    result = until(browser, lambda: visible(browser, "img.big"))
    until(browser, lambda: all(map(source, result)))
    image, before = map(source, result)
    label = named(browser, "label").get_attribute("value") or "0"
    choose(browser, "label", "1" if label == "3" else "3")
    until(browser, lambda: source(visible(browser, "img.big")[1]) != before)
    assert source(visible(browser, "img.big")[0]) == image
    turn(browser, 1)
    decoded = source(until(browser, lambda: source(named(browser, "decoded")) and named(browser, "decoded")))
    choose(browser, "label", "7")
    until(browser, lambda: source(named(browser, "decoded")) != decoded)


def test_a_model_of_two_layers_has_sliders_of_either(browser):
    open_run(browser, "layers")
    turn(browser, 1)
    sliders = lambda: [each.get_attribute("data-name") for each in visible(browser, ".slider .q-slider")]  # noqa: E731
    lower = {f"slider-{latent}" for latent in range(4)}
    until(browser, lambda: lower == {name for name in sliders() if name})
    press(named(browser, "slider-1"), *[Keys.ARROW_RIGHT] * 30)
    until(browser, lambda: source(named(browser, "decoded")))
    before = source(named(browser, "decoded"))
    visible(browser, ".q-btn-toggle button")[1].click()
    until(browser, lambda: {name for name in sliders() if name} == {"slider-4", "slider-5"})
    until(browser, lambda: source(named(browser, "decoded")) != before)
    at_mean = source(named(browser, "decoded"))
    press(named(browser, "slider-5"), *[Keys.ARROW_RIGHT] * 60)
    until(browser, lambda: source(named(browser, "decoded")) != at_mean)


def test_a_mixture_has_components_instead_of_sliders(browser):
    open_run(browser, "parts")
    assert [tab.text.split()[-1] for tab in visible(browser, ".q-tab")][:2] == ["Draw", "Move"]
    turn(browser, 1)
    components = until(browser, lambda: visible(browser, ".panel button.pick"))
    assert len(components) == 8
    assert not visible(browser, ".slider .q-slider")
    before = source(named(browser, "decoded"))
    components[5].click()
    until(browser, lambda: source(named(browser, "decoded")) != before)
