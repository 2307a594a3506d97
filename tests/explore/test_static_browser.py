"""The explorer as plain files in a browser, served by nothing but files on a port: drawing, sliders, the map."""

import functools
import http.server
import itertools
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import chromium
from PIL import Image
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from vaelab.errors import VaelabError
from vaelab.explore import static_site, web_runtime
from vaelab.runs.finished import load

# Torch's exporters warn, of themselves.
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def runtime():
    """onnxruntime-web, without which there is nothing to test."""
    try:
        web_runtime.archive()
    except VaelabError as error:
        pytest.skip(str(error))


def serve(folder: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def site(finished, runtime, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "site"
    size = static_site.write_site(finished, folder)
    assert 3_000_000 < size < 15_000_000
    return folder


@pytest.fixture(scope="module")
def address(site):
    yield from serve(site)


@pytest.fixture(scope="module")
def other_prior_address(site, tmp_path_factory):
    """The same page, told that its prior is another than N(0, I)."""
    folder = tmp_path_factory.mktemp("other-prior-page") / "site"
    shutil.copytree(site, folder)
    info = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    (folder / "model.json").write_text(json.dumps({**info, "is_standard_normal": False}), encoding="utf-8")
    yield from serve(folder)


@pytest.fixture(scope="module")
def conditional_address(conditional, runtime, tmp_path_factory):
    folder = tmp_path_factory.mktemp("conditional-page") / "site"
    static_site.write_site(conditional, folder)
    yield from serve(folder)


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


def opened(browser: Chrome, address: str, width: int = 1280, height: int = 800, language: str = "en-US") -> None:
    """The page, once its model has answered; of the errors of pages before it nothing is left."""
    agent = browser.execute_script("return navigator.userAgent")
    browser.execute_cdp_cmd("Network.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": language})
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(address)
    wait(lambda: browser.execute_script("return document.getElementById('status').hidden"))
    wait(lambda: is_drawn(browser, "moved"))


def wait(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "the page did not get there"
        time.sleep(0.05)


def pixels(browser: Chrome, selector: str) -> list[int]:
    """The first channel of a canvas of the page."""
    script = """const canvas = document.querySelector(arguments[0]);
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return Array.from({length: data.length / 4}, (_, index) => data[4 * index]);"""
    return browser.execute_script(script, selector)


def is_drawn(browser: Chrome, id_: str) -> bool:
    return max(pixels(browser, f"#{id_}")) > 0


def bars(browser: Chrome) -> dict[int, tuple[float, float]]:
    """Mean and standard deviation of each latent, as the bars have them."""
    rows = browser.execute_script("return Array.from(document.querySelectorAll('.bar[data-mean]'), row => row.dataset)")
    return {int(row["latent"]): (float(row["mean"]), float(row["std"])) for row in rows}


def numbers(browser: Chrome) -> dict[str, float]:
    """Rate, distortion and ELBO."""
    script = """return Array.from(document.querySelectorAll('#numbers dd'),
                                 each => [each.parentNode.id, each.dataset.value]);"""
    return {name: float(value) for name, value in browser.execute_script(script)}


def place(browser: Chrome) -> dict[int, float]:
    """The point of the map, such as z2 = 0.85, z0 = 1.10."""
    text = browser.find_element(By.ID, "place").text.replace("−", "-")
    parts = (part.split(" = ") for part in text.split(", "))
    return {int(name[1:]): float(value) for name, value in parts}


def hovered(browser: Chrome, plane: WebElement, offset: tuple[int, int]) -> dict[int, float]:
    """The point of the map after the pointer moved to ``offset`` pixels from its middle."""
    changes(browser, "#pointed", ActionChains(browser).move_to_element_with_offset(plane, *offset).perform)
    return place(browser)


def at(browser: Chrome, plane: WebElement, *offset: int) -> np.ndarray:
    """The two latents at ``offset`` pixels from the middle of the map, which the pointer moves to."""
    ActionChains(browser, duration=0).move_to_element_with_offset(plane, *offset).perform()
    return np.array(list(place(browser).values()))


def seen(browser: Chrome, plane: WebElement) -> np.ndarray:
    """How far the two latents change over a part of the map, across and up."""
    return at(browser, plane, 80, -80) - at(browser, plane, -80, 80)


def latents(browser: Chrome) -> np.ndarray:
    """The values beside the sliders."""
    values = browser.find_elements(By.CSS_SELECTOR, "#sliders output")
    return np.array([float(value.text.replace("−", "-")) for value in values])


def changes(browser: Chrome, selector: str, act: Callable[[], object]) -> None:
    """Do ``act``, and wait until the canvas shows something else."""
    before = pixels(browser, selector)
    act()
    wait(lambda: pixels(browser, selector) != before)


MEAN, FIRST_SAMPLE = "#decoded figure:nth-child(2) canvas", "#decoded figure:nth-child(3) canvas"


def draw(browser: Chrome, *points: tuple[int, int]) -> None:
    """A line on the canvas, through points that are counted in pixels from its middle."""
    pad = browser.find_element(By.ID, "pad")
    actions = ActionChains(browser, duration=30).move_to_element_with_offset(pad, *points[0]).click_and_hold()
    for (x, y), (next_x, next_y) in itertools.pairwise(points):
        actions.move_by_offset(next_x - x, next_y - y)
    actions.release().perform()


def check_errors(browser: Chrome) -> None:
    # The tests read the canvases often, of which the browser warns.
    assert [entry for entry in browser.get_log("browser") if "getImageData" not in entry["message"]] == []
    hosts = "return performance.getEntriesByType('resource').map(entry => new URL(entry.name).host)"
    assert set(browser.execute_script(hosts)) == {browser.execute_script("return location.host")}


def pick(browser: Chrome, index: int) -> None:
    thumb = browser.find_elements(By.CSS_SELECTOR, "#thumbs button")[index]
    changes(browser, "#decoded figure:first-child canvas", thumb.click)


def chosen(run, index: int):
    """The test image of a thumb, 4 of each class, and its label."""
    x, labels = run.images()
    label, place = divmod(index, 4)
    return x[(labels == label).nonzero()[place]], label


# ---- each view ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [5, 33])
def test_the_posterior_of_a_test_image_is_that_of_python(browser, address, finished, index):
    opened(browser, address)
    pick(browser, index)
    run = load(finished, "cpu")
    x, _ = chosen(run, index)
    expected, score = run.encode(x), run.score(x, samples=2_000)
    wait(lambda: abs(bars(browser)[0][0] - float(expected.mean[0, 0])) < 1e-3)
    for latent, (mean, std) in bars(browser).items():
        assert mean == pytest.approx(float(expected.mean[0, latent]), abs=1e-3)
        assert std == pytest.approx(float(expected.std[0, latent]), abs=1e-3)
    found = numbers(browser)
    assert found["rate"] == pytest.approx(float(score["rate"]), rel=1e-3)
    assert found["elbo"] == pytest.approx(-found["rate"] - found["distortion"], abs=1e-6)
    assert found["distortion"] == pytest.approx(float(score["distortion"]), rel=0.1)  # 16 samples
    decoded = run.reconstruct(x)[0, 0].mul(255).round()
    assert np.allclose(pixels(browser, MEAN), decoded.flatten(), atol=1)
    check_errors(browser)


def test_a_drawing_changes_all_that_is_shown(browser, address):
    opened(browser, address)
    changes(browser, MEAN, lambda: draw(browser, (0, -70), (0, 70)))
    bar_of_one = bars(browser)
    x = np.array(pixels(browser, "#decoded figure:first-child canvas")).reshape(28, 28)
    rows, columns = x.any(1).nonzero()[0], x.any(0).nonzero()[0]
    assert len(rows) == 20  # as MNIST's digits
    assert abs((rows + 0.5).mean() - 14) <= 1
    assert abs((columns + 0.5).mean() - 14) <= 1
    changes(browser, MEAN, lambda: draw(browser, (-60, -60), (60, -60), (60, 60)))
    assert bars(browser) != bar_of_one
    browser.find_element(By.ID, "clear").click()
    assert "empty" in browser.find_element(By.ID, "hint").text
    assert max(pixels(browser, "#pad")) == 0
    changes(browser, "#pad", lambda: draw(browser, (0, -70), (0, 70)))
    changes(browser, "#pad", lambda: browser.find_element(By.ID, "pad").send_keys(Keys.DELETE))
    assert max(pixels(browser, "#pad")) == 0
    check_errors(browser)


def test_new_noise_draws_other_samples_and_the_same_mean(browser, address):
    opened(browser, address)
    mean = pixels(browser, MEAN)
    changes(browser, FIRST_SAMPLE, browser.find_element(By.ID, "again").click)
    assert pixels(browser, MEAN) == mean


def test_a_file_has_the_posterior_of_the_same_test_image(browser, address, finished, tmp_path):
    opened(browser, address)
    run = load(finished, "cpu")
    x, _ = chosen(run, 9)
    grey = Image.fromarray(x[0, 0].mul(255).round().byte().numpy())
    grey.save(tmp_path / "digit.png")
    grey.point(lambda value: 255 - value).resize((280, 280), Image.Resampling.NEAREST).save(tmp_path / "light.png")
    expected = run.encode(x).mean[0].tolist()
    for name in ("digit.png", "light.png"):  # the second is dark on light, which the page sees
        browser.find_element(By.CSS_SELECTOR, "#thumbs button").click()
        browser.find_element(By.ID, "file").send_keys(str(tmp_path / name))
        wait(lambda: [bars(browser)[latent][0] for latent in range(4)] == pytest.approx(expected, abs=1e-3))
        assert browser.find_element(By.ID, "invert").is_selected() == (name == "light.png")
    (tmp_path / "text.png").write_text("no image")
    browser.find_element(By.ID, "file").send_keys(str(tmp_path / "text.png"))
    wait(lambda: "cannot read this file" in browser.find_element(By.ID, "hint").text)


def test_sliders_move_the_image_and_buttons_move_the_sliders(browser, address, finished):
    opened(browser, address)
    slider = browser.find_element(By.CSS_SELECTOR, "#sliders input")
    changes(browser, "#moved", lambda: slider.send_keys(*[Keys.ARROW_RIGHT] * 40))
    for button in ("to-sample", "to-center"):
        changes(browser, "#moved", browser.find_element(By.ID, button).click)
    values = [float(each.get_attribute("value")) for each in browser.find_elements(By.CSS_SELECTOR, "#sliders input")]
    assert np.allclose(values, 0, atol=0.05)
    run = load(finished, "cpu")
    middle = run.decode(torch.zeros(4)).mul(255).round().flatten()
    wait(lambda: np.allclose(pixels(browser, "#moved"), middle, atol=1))
    changes(browser, "#moved", browser.find_element(By.ID, "to-posterior").click)
    wait(lambda: pixels(browser, "#moved") == pixels(browser, MEAN))
    check_errors(browser)


def test_the_map_decodes_the_point_under_the_pointer(browser, address, finished):
    opened(browser, address)
    plane = browser.find_element(By.ID, "plane")
    left, shown = (hovered(browser, plane, offset) for offset in ((-60, 60), (60, -60)))
    assert all(shown[latent] > left[latent] for latent in left)
    z = torch.tensor([shown.get(latent, 0.0) for latent in range(4)])
    decoded = load(finished, "cpu").decode(z).mul(255).flatten()
    assert len(shown) == 2
    wait(lambda: np.allclose(pixels(browser, "#pointed"), decoded, atol=3))  # the text has two digits
    plane.click()
    changes(browser, "#pointed", lambda: plane.send_keys(Keys.ARROW_LEFT))
    changes(browser, "#moved", lambda: plane.send_keys(Keys.ENTER))
    check_errors(browser)


def test_the_temperature_scales_the_same_sample_of_the_prior(browser, address, finished):
    opened(browser, address)
    changes(browser, "#moved", browser.find_element(By.ID, "to-sample").click)
    sample, slider = latents(browser), browser.find_element(By.ID, "temperature")
    for key, temperature in ((Keys.END, 2), (Keys.HOME, 0)):
        changes(browser, "#moved", lambda key=key: slider.send_keys(key))
        assert browser.find_element(By.ID, "temperature-value").text == f"{temperature:.2f}"
        assert np.allclose(latents(browser), temperature * sample, atol=0.02)
    middle = load(finished, "cpu").decode(torch.zeros(4)).mul(255).round().flatten()
    wait(lambda: np.allclose(pixels(browser, "#moved"), middle, atol=1))
    changes(browser, "#moved", browser.find_element(By.ID, "to-posterior").click)
    mean = latents(browser)
    slider.send_keys(Keys.END)  # no sample is shown any more
    assert np.array_equal(latents(browser), mean)
    check_errors(browser)


def test_another_prior_has_samples_on_the_map_and_no_temperature(browser, address, other_prior_address):
    shown = {}
    for name in (address, other_prior_address):
        opened(browser, name)
        shown[name] = browser.find_element(By.ID, "heat").is_displayed(), browser.find_element(By.ID, "prior-says").text
    assert shown == {
        address: (True, "circles: the prior's 1, 2, 3 σ"),
        other_prior_address: (False, "grey: samples of the prior"),
    }
    check_errors(browser)


def test_wheel_keys_and_button_zoom_the_map(browser, address):
    opened(browser, address)
    plane = browser.find_element(By.ID, "plane")
    whole, under = seen(browser, plane), at(browser, plane, 60, -60)
    ActionChains(browser).scroll_from_origin(ScrollOrigin.from_element(plane, 60, -60), 0, -200).perform()
    assert browser.execute_script("return scrollY") == 0
    assert np.allclose(at(browser, plane, 60, -60), under, atol=0.02)
    assert np.allclose(seen(browser, plane) / whole, np.exp(-0.3), atol=0.01)
    plane.send_keys("0")
    assert np.allclose(seen(browser, plane), whole)
    for key, factor in (("+", 0.8), ("-", 1)):
        plane.send_keys(key)
        assert np.allclose(seen(browser, plane) / whole, factor, atol=0.01)
    plane.send_keys("+" * 60)  # no further than can be told apart
    assert np.allclose(at(browser, plane, 200, -200) - at(browser, plane, -200, 200), 2.5 * whole / 100, atol=0.02)
    browser.find_element(By.ID, "whole").click()
    assert np.allclose(seen(browser, plane), whole)
    check_errors(browser)


def test_shift_and_dragging_moves_the_map_and_chooses_nothing(browser, address):
    opened(browser, address)
    plane, shown = browser.find_element(By.ID, "plane"), latents(browser)
    whole, under = seen(browser, plane), at(browser, plane, 0, 0)
    drag = ActionChains(browser, duration=30).key_down(Keys.SHIFT).click_and_hold().move_by_offset(50, 30)
    drag.release().key_up(Keys.SHIFT).perform()
    assert np.allclose(at(browser, plane, 50, 30), under, atol=0.03)
    assert np.allclose(seen(browser, plane), whole, atol=0.02)
    assert np.array_equal(latents(browser), shown)
    check_errors(browser)


def test_two_fingers_zoom_the_map_and_leave_the_page_where_it_is(browser, address):
    opened(browser, address, 390, 844)
    plane = browser.find_element(By.ID, "plane")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", plane)
    scrolled = browser.execute_script("return scrollY")
    box = browser.execute_script("return arguments[0].getBoundingClientRect()", plane)
    left, top = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    whole = seen(browser, plane)

    def touch(kind: str, *heights: float) -> None:
        points = [{"x": left, "y": top + height, "id": number} for number, height in enumerate(heights)]
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", -40)
    touch("touchStart", -40, 40)
    for more in (20, 40):
        touch("touchMove", -40 - more, 40 + more)
    touch("touchEnd")
    assert np.allclose(seen(browser, plane) / whole, 0.5, atol=0.02)
    assert browser.execute_script("return scrollY") == scrolled
    check_errors(browser)


# ---- languages and sizes --------------------------------------------------------------------------------------------


def test_the_page_speaks_chinese_where_the_browser_does(browser, address):
    opened(browser, address, language="zh-CN")
    assert "后验分布" in browser.find_element(By.ID, "posterior").text
    assert browser.execute_script("return document.documentElement.lang") == "zh"
    opened(browser, f"{address}?lang=en", language="zh-CN")
    assert browser.execute_script("return document.documentElement.lang") == "en"
    check_errors(browser)


def test_the_page_fits_a_phone(browser, address):
    opened(browser, address, 390, 844)
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    tops = [browser.find_element(By.ID, name).rect["y"] for name in ("draw", "posterior", "move", "map")]
    assert tops == sorted(set(tops))
    check_errors(browser)


def test_a_conditional_model_decodes_the_chosen_class(browser, conditional_address, conditional):
    opened(browser, conditional_address)
    pick(browser, 13)
    run = load(conditional, "cpu")
    x, label = chosen(run, 13)
    wait(lambda: np.allclose(pixels(browser, MEAN), run.reconstruct(x, label).mul(255).round().flatten(), atol=1))
    select = browser.find_element(By.ID, "class")
    assert select.get_attribute("value") == str(label)
    changes(browser, MEAN, lambda: select.send_keys("7"))
    wait(lambda: np.allclose(pixels(browser, MEAN), run.reconstruct(x, 7).mul(255).round().flatten(), atol=1))
    check_errors(browser)
