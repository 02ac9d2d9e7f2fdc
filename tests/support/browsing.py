"""A report in headless Chromium: what a test reads off the page, and what it does there."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """Headless Chromium; ``CHROMIUM`` and ``CHROMEDRIVER`` name other programs than the installed ones."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    service = pytest.importorskip("selenium.webdriver.chrome.service")
    driver = os.environ.get("CHROMEDRIVER") or shutil.which("chromedriver")
    if not CHROMIUM or not driver:
        pytest.skip("no chromium or no chromedriver found; install them, or set CHROMIUM and CHROMEDRIVER")
    options = selenium.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for argument in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "disable-dev-shm-usage",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "window-size=1280,800",
        f"user-data-dir={profile}",
    ):
        options.add_argument(f"--{argument}")
    with selenium.Chrome(options=options, service=service.Service(driver)) as driven:
        yield driven


@contextmanager
def opened_page(browser: Any, page: Path) -> Iterator[Any]:
    """The report, just opened; at the end, nothing may have been asked of the network or complained about."""
    old = browser.current_window_handle
    browser.switch_to.new_window("tab")  # with a history of its own, which is short
    new = browser.current_window_handle
    browser.switch_to.window(old)
    browser.close()
    browser.switch_to.window(new)
    browser.get_log("performance"), browser.get_log("browser")
    browser.get(page.as_uri())
    yield browser
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("data:", page.as_uri()))] == []
    assert page.as_uri() in asked
    assert browser.get_log("browser") == []


def js(browser: Any, code: str, *arguments: Any) -> Any:
    return browser.execute_script(code, *arguments)


def choose(browser: Any, **wanted: str) -> int:
    """Set the filters, all others to "all"; the number of answers that the page says are left."""
    js(
        browser,
        """const [wanted] = arguments, fire = (box, type) => box.dispatchEvent(new Event(type));
        document.querySelector("#search").value = wanted.search || "";
        fire(document.querySelector("#search"), "input");
        for (const box of document.querySelectorAll("#filters select")) {
            const text = wanted[box.name] || "all";
            const option = [...box.options].find((o) => o.text.replace(/ \\(\\d+\\)$/, "") === text);
            box.value = option.value;
            fire(box, "change");
        }""",
        wanted,
    )
    return int(text(browser, "count").split(" of ")[0].replace(",", ""))


def text(browser: Any, element: str) -> str:
    return str(js(browser, "return document.getElementById(arguments[0]).textContent", element))


def pixels(browser: Any, board: str) -> str:
    return str(js(browser, "return document.getElementById(arguments[0]).toDataURL()", board))


def press(browser: Any, keys: str) -> None:
    """Type while the list has the focus."""
    js(browser, 'document.getElementById("list").focus()')
    browser.switch_to.active_element.send_keys(keys)


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something that the page does by itself."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
