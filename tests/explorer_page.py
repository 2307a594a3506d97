"""The explorer of given directories, served, and its page in a browser."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait


@contextmanager
def serving(folder: Path, *directories: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """The address of the explorer of ``directories``, and its process; it must end without a traceback."""
    log = folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "scripts" / "explore.py"), *map(str, directories), "--port", "0"],
            cwd=folder, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, "VAELAB_DATA": ""},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
    until = time.monotonic() + 180
    try:
        while "Ctrl-C" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.3)
        yield log.read_text().split()[0], process
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in log.read_text(), log.read_text()
    assert len(log.read_text().splitlines()) == 1, log.read_text()


def show(browser: webdriver.Chrome, address: str) -> None:
    browser.get(address)
    until(browser, lambda: visible(browser, ".q-tab"))


def until(browser: webdriver.Chrome, is_so, timeout_s: float = 40):
    """The first true value of ``is_so``, which may meet elements that the page is replacing."""
    wait = WebDriverWait(browser, timeout_s, 0.1, ignored_exceptions=[StaleElementReferenceException])
    try:
        return wait.until(lambda _: is_so())
    except TimeoutException:
        shown = browser.find_element(By.TAG_NAME, "body").text
        pytest.fail(f"it did not happen within {timeout_s:.0f} s; the page:\n{shown}")


def visible(browser: webdriver.Chrome, css: str) -> list[WebElement]:
    return [element for element in browser.find_elements(By.CSS_SELECTOR, css) if element.is_displayed()]


def named(browser: webdriver.Chrome, name: str) -> WebElement:
    return until(browser, lambda: visible(browser, f'[data-name="{name}"]'))[0]


def turn(browser: webdriver.Chrome, number: int) -> None:
    """Show the view with this number: draw, move, map, compare, sweep."""
    browser.find_elements(By.CSS_SELECTOR, ".q-tab")[number].click()


def source(element: WebElement) -> str:
    return element.get_attribute("src") or ""


def draw(browser: webdriver.Chrome, *moves: tuple[int, int]) -> None:
    canvas = named(browser, "canvas")
    actions = ActionChains(browser, duration=40).move_to_element_with_offset(canvas, *moves[0]).click_and_hold()
    for right, down in moves[1:]:
        actions = actions.move_by_offset(right, down)
    actions.release().perform()
