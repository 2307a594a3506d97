"""A headless Chromium on this machine, and what one sees in it."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

# The plain page, and what its components keep in shadow trees of their own.
ALL_TEXT = """
function texts(root, found) {
  for (const element of root.querySelectorAll("*")) if (element.shadowRoot) texts(element.shadowRoot, found);
  found.push(root.innerText || Array.from(root.children || []).map(child => child.innerText || "").join("\\n"));
  return found;
}
return texts(document.body, []).join("\\n");
"""
IMAGES = """
function count(root) {
  let found = 0;
  for (const element of root.querySelectorAll("*")) {
    if (element.tagName === "IMG" && element.naturalWidth > 100) found += 1;
    if (element.shadowRoot) found += count(element.shadowRoot);
  }
  return found;
}
return count(document.body);
"""
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1500,1400",
)  # fmt: skip


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """The browser; where there is none the test is skipped, but under CI it fails."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        reason = "no Chromium with chromedriver here: apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = program
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield browser
        finally:
            browser.quit()


def wait_for(browser: webdriver.Chrome, *texts: str, timeout_s: float = 60) -> str:
    """All text on the page, once it holds every one of ``texts``."""
    until = time.monotonic() + timeout_s
    while True:
        seen = browser.execute_script(ALL_TEXT)
        missing = [text for text in texts if text not in seen]
        if not missing:
            return seen
        if time.monotonic() > until:
            pytest.fail(f"after {timeout_s:.0f} s the page lacks {missing}; it has:\n{seen[-3000:]}")
        time.sleep(0.5)
