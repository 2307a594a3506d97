"""The page itself in a browser: draw, move, map, compare, a sweep, two languages, a phone, and what goes wrong."""

import json
import shutil
import statistics
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import chromium
from conftest import SMALL, train_here
from explorer_page import draw, named, serving, show, source, turn, until, visible
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from vaelab.runs.results import RESULTS

pytestmark = pytest.mark.engine
# Moves a slider by the keyboard, and resolves with the milliseconds until the decoded image is another.
LATENCY = """
const [slider, image, key, done] = arguments;
const begun = performance.now();
const observer = new MutationObserver(() => { observer.disconnect(); done(performance.now() - begun); });
observer.observe(image, { attributes: true, attributeFilter: ["src"] });
const code = key === "ArrowRight" ? 39 : 37;
slider.dispatchEvent(new KeyboardEvent("keydown", { key: key, keyCode: code, bubbles: true }));
"""
FOREIGN = """
return performance.getEntriesByType("resource").map(entry => entry.name).filter(
  name => !name.startsWith(location.origin) && !name.startsWith("data:") && !name.startsWith("blob:"));
"""


def as_sweep(run: Path, folder: Path) -> Path:
    """A sweep of two configurations, which are copies of one run."""
    for beta in (1, 4):
        job = folder / f"beta.weight={beta}"
        shutil.copytree(run, job)
        results = json.loads((job / RESULTS).read_text())
        results["overrides"] = [f"beta.weight={beta}"]
        results["config"]["beta"]["weight"] = beta
        results["test"]["rate"] -= beta
        results["test"]["distortion"] += 3 * beta
        (job / RESULTS).write_text(json.dumps(results))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("explorer")


@pytest.fixture(scope="module")
def address(finished, folder):
    status, out, err = train_here(folder, *SMALL, "model=ae", "name=ae", "evaluation.parts=[]")
    assert (status, err) == (0, ""), out + err
    sweep = as_sweep(finished, folder / "pair")
    with serving(folder, finished, folder / "outputs" / "runs" / "ae", sweep) as (found, _):
        yield found


@pytest.fixture(scope="module")
def opened() -> Iterator[webdriver.Chrome]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(opened, address):
    """The page, freshly loaded, at the size of a small laptop; nothing may go wrong in its console."""
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    opened.set_window_size(1280, 940)
    opened.get_log("browser")
    show(opened, address)
    yield opened
    wrong = [entry for entry in opened.get_log("browser") if entry["level"] == "SEVERE"]
    assert wrong == []
    assert opened.execute_script(FOREIGN) == []


def path_sources(browser: webdriver.Chrome) -> list[str]:
    """The images of all paths, which are replaced as a whole."""
    return browser.execute_script('return Array.from(document.querySelectorAll(".way img")).map(image => image.src)')


def test_a_drawing_is_encoded_and_decoded_while_it_grows(browser):
    result = until(browser, lambda: visible(browser, "img.big"))
    until(browser, lambda: all(map(source, result)))
    before = [source(image) for image in result]
    draw(browser, (-50, -70), (100, 0), (-60, 140))
    until(browser, lambda: all(source(image) != old for image, old in zip(result, before, strict=True)))
    seven = source(result[1])
    draw(browser, (-60, 0), (120, 0))
    until(browser, lambda: source(result[1]) != seven)
    assert source(named(browser, "samples")).startswith("data:image/png")
    text = named(browser, "values").text
    assert all(name in text for name in ("ELBO", "rate", "distortion"))
    assert len(browser.find_elements(By.CSS_SELECTOR, "svg.bars .mean")) == 4
    visible(browser, "button")  # nll on request
    next(each for each in visible(browser, "button") if "importance" in each.text).click()
    until(browser, lambda: "nll = " in named(browser, "nll").text)
    named(browser, "canvas").send_keys(Keys.DELETE)
    until(browser, lambda: "no image yet" in browser.page_source)
    assert not visible(browser, "img.big")


def test_a_test_image_is_picked_by_the_keyboard(browser):
    result = until(browser, lambda: visible(browser, "img.big"))
    before = source(result[0])
    visible(browser, "button.pick")[5].send_keys(Keys.ENTER)
    until(browser, lambda: source(result[0]) != before)


def test_files_are_shown_and_wrong_ones_get_one_line(browser, tmp_path):
    photo, wrong = tmp_path / "photo.png", tmp_path / "notes.png"
    Image.linear_gradient("L").save(photo)
    wrong.write_text("no image")
    result = until(browser, lambda: visible(browser, "img.big"))
    before = source(result[0])
    browser.find_elements(By.CSS_SELECTOR, ".q-expansion-item")[0].click()
    upload = until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "input[type=file]"))[0]
    upload.send_keys(str(photo))
    until(browser, lambda: source(result[0]) != before)
    browser.find_elements(By.CSS_SELECTOR, "input[type=file]")[0].send_keys(str(wrong))
    until(browser, lambda: "notes.png is no image, or a damaged one" in browser.page_source)
    assert "Traceback" not in browser.page_source


def test_the_image_follows_a_slider(browser, record_property):
    turn(browser, 1)
    image = named(browser, "decoded")
    until(browser, lambda: source(image))
    slider = until(browser, lambda: visible(browser, ".slider .q-slider"))[1]
    thumb = slider if slider.get_attribute("tabindex") else slider.find_element(By.CSS_SELECTOR, "[tabindex]")
    browser.set_script_timeout(20)
    times = [
        browser.execute_async_script(LATENCY, thumb, image, key) for key in ["ArrowRight"] * 15 + ["ArrowLeft"] * 15
    ]
    print(f"\nslider to decoded image: median {statistics.median(times):.0f} ms, largest {max(times):.0f} ms")
    record_property("slider_ms", statistics.median(times))
    before = source(image)
    next(each for each in visible(browser, "button") if "Sample" in each.text).click()
    until(browser, lambda: source(image) != before)
    sampled = source(image)
    next(each for each in visible(browser, "button") if "Mean of the prior" in each.text).click()
    until(browser, lambda: source(image) != sampled)
    centre = source(image)
    next(each for each in visible(browser, "button") if "q(z|x)" in each.text).click()
    until(browser, lambda: source(image) != centre)


def test_the_map_decodes_the_point_under_the_pointer_and_shows_paths(browser):
    turn(browser, 2)
    plane, decoded = named(browser, "map"), browser.find_elements(By.CSS_SELECTOR, '[data-name="decoded"]')[-1]
    ActionChains(browser).move_to_element_with_offset(plane, -120, -80).perform()
    until(browser, lambda: source(decoded))
    here = source(decoded)
    ActionChains(browser).move_to_element_with_offset(plane, 150, 100).perform()
    until(browser, lambda: source(decoded) != here)
    rows = until(browser, lambda: len(found := path_sources(browser)) == 7 and found)  # of two runs
    ActionChains(browser, duration=40).move_to_element_with_offset(plane, -150, 60).click_and_hold().move_by_offset(
        260, -100
    ).release().perform()
    until(browser, lambda: len(found := path_sources(browser)) == 7 and all(map(str.__ne__, found, rows)))
    plane.send_keys(Keys.ARROW_LEFT, "+", "0")


def test_runs_are_compared_on_one_drawing(browser):
    draw(browser, (-40, -60), (80, 0), (-50, 130))
    turn(browser, 3)
    cards = named(browser, "cards")
    until(browser, lambda: len(cards.find_elements(By.CSS_SELECTOR, ".box")) == 2)
    first, second = cards.find_elements(By.CSS_SELECTOR, ".box")
    images = [card.find_elements(By.CSS_SELECTOR, "img.medium") for card in (first, second)]
    assert source(images[0][0]) == source(images[1][0])
    assert source(images[0][1]) != source(images[1][1])
    assert "rate" in first.text
    assert "rate" not in second.text  # an auto-encoder has none


def test_a_sweep_is_walked_through_and_opened(browser):
    turn(browser, 4)
    title = named(browser, "configuration")
    until(browser, lambda: "beta.weight=1" in title.text)
    slider = named(browser, "axis-beta.weight")
    thumb = slider if slider.get_attribute("tabindex") else slider.find_element(By.CSS_SELECTOR, "[tabindex]")
    thumb.send_keys(Keys.ARROW_RIGHT)
    until(browser, lambda: "beta.weight=4" in title.text)
    assert source(named(browser, "reconstructions"))
    assert source(named(browser, "prior_samples"))
    next(each for each in visible(browser, "button") if "Open" in each.text).click()
    until(browser, lambda: "beta.weight=4" in visible(browser, ".top")[0].text)
    assert named(browser, "canvas")  # the view Draw


def test_a_click_on_a_configuration_opens_it(browser):
    turn(browser, 4)
    plane = named(browser, "sweep")
    until(browser, lambda: "beta.weight=1" in named(browser, "configuration").text)
    # The configuration with the smaller rate is at the upper left; the page leaves 8 % of the range around all.
    width, height = plane.size["width"] - 46 - 10, plane.size["height"] - 10 - 34
    left, top = 46 + width * 0.08 / 1.16, 10 + height * 0.08 / 1.16
    corner = round(left - plane.size["width"] / 2), round(top - plane.size["height"] / 2)
    ActionChains(browser).move_to_element_with_offset(plane, *corner).click().perform()
    until(browser, lambda: "beta.weight=4" in visible(browser, ".top")[0].text)
    assert named(browser, "canvas")  # the view Draw


def test_a_run_that_was_deleted_meanwhile_is_said_in_the_page(finished, opened, tmp_path):
    sweep = as_sweep(finished, tmp_path / "pair")
    with serving(tmp_path, sweep) as (found, _):
        show(opened, found)
        until(opened, lambda: "beta.weight=1" in named(opened, "configuration").text)
        shutil.rmtree(sweep / "beta.weight=4")
        slider = named(opened, "axis-beta.weight")
        thumb = slider if slider.get_attribute("tabindex") else slider.find_element(By.CSS_SELECTOR, "[tabindex]")
        thumb.send_keys(Keys.ARROW_RIGHT)
        until(opened, lambda: f"there is no {sweep / 'beta.weight=4'}" in opened.page_source)
        assert "Traceback" not in opened.page_source


def test_two_pages_at_once_and_one_that_is_closed_meanwhile(browser, address):
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    show(browser, address)
    turn(browser, 2)  # paths of two runs: the longest computation
    browser.close()
    browser.switch_to.window(first)
    result = until(browser, lambda: visible(browser, "img.big"))
    before = source(result[1])
    draw(browser, (-40, -60), (80, 0), (-50, 130))
    until(browser, lambda: source(result[1]) != before)


def test_the_page_is_chinese_for_a_chinese_browser(browser, address):
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd(
        "Network.setUserAgentOverride",
        {"userAgent": "Mozilla/5.0 Chrome/120", "acceptLanguage": "zh-CN,zh;q=0.9"},
    )
    try:
        show(browser, address)
        until(browser, lambda: "编码器把图像" in browser.page_source)
        assert "绘制" in visible(browser, ".q-tab")[0].text
    finally:
        browser.execute_cdp_cmd(
            "Network.setUserAgentOverride", {"userAgent": "Mozilla/5.0 Chrome/120", "acceptLanguage": "en-US"}
        )


def test_nothing_is_cut_off_on_a_phone_and_a_laptop_needs_no_scrolling(browser, address):
    for width, height in ((390, 844), (1280, 800)):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        show(browser, address)
        for number in range(5):
            turn(browser, number)
            until(browser, lambda: visible(browser, ".panel .box"))
            time.sleep(0.5)
            wide, high = browser.execute_script(
                "return [document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
            )
            assert wide <= width, f"view {number} at {width}"
            assert width < 500 or high <= 1.25 * height, f"view {number} at {width}"


def test_it_answers_to_this_machine_s_names_alone(address):
    port = address.rstrip("/").rpartition(":")[2]
    urllib.request.urlopen(f"http://localhost:{port}/", timeout=30).close()
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(urllib.request.Request(address, headers={"Host": "example.org"}), timeout=30)
