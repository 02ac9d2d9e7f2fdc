"""A person at the page, in a real browser: keys alone, whole runs, and what the page says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mgsd_bench.analysis.run import load_run
from support.browsing import chromium, js, text, until
from support.commands import mgsd
from support.playing import Expert, played_by

pytestmark = pytest.mark.browser

ENTER, BACKSPACE = "\ue007", "\ue003"
KEYS = {"left": "\ue012", "up": "\ue013", "right": "\ue014", "down": "\ue015", "pick": "p", "drop": "o"}
ASKED = (
    *("--suite", "smoke", "--tasks", "minibehaviour", "--levels", "5", "--limit", "1"),
    *("--condition", "direct,symbolic,act"),
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium."""
    with chromium(tmp_path_factory.mktemp("chromium")) as driven:
        yield driven


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("oracle") / "run"
    mgsd("eval", "--model", "oracle", "--backend", "scripted", *ASKED, "--out", str(out))
    return out


def press(browser: Any, keys: str) -> None:
    browser.switch_to.active_element.send_keys(keys)


def sections(browser: Any) -> dict[str, Any]:
    """Which part of the page is shown, and the number of the question that waits for an answer."""
    found: dict[str, Any] = js(
        browser,
        """const shows = (id) => !document.getElementById(id).hidden;
        return {gate: shows("gate"), end: shows("end"), alert: shows("alert"),
                number: shows("question") && !busy ? shown.number : null};""",
    )
    return found


def plays(browser: Any, expert: Expert, seen: list[str], most: int | None = None) -> Callable[[str], None]:
    """Plays by the keyboard; after some answers, by the button for stopping."""

    def person(url: str) -> None:
        browser.get_log("performance"), browser.get_log("browser")
        browser.get(url)
        answered, last = 0, -1
        while not (at := sections(browser))["end"]:
            if at["gate"]:
                seen.append(text(browser, "gate-title"))
                press(browser, ENTER)
                until(lambda: not sections(browser)["gate"])
            elif at["number"] not in (None, last):
                if answered == most:
                    js(browser, "document.getElementById('stop').click()")
                    until(lambda: bool(sections(browser)["alert"]))
                    break
                last, answered = at["number"], answered + 1
                respond()
        seen.append(text(browser, "alert") or text(browser, "end-title"))
        asked_for = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        urls = [m["params"]["request"]["url"] for m in asked_for if m["method"] == "Network.requestWillBeSent"]
        assert [address for address in urls if not address.startswith((url, "data:", "chrome:"))] == []
        assert [entry for entry in browser.get_log("browser") if "ERR_" not in entry["message"]] == []

    def respond() -> None:
        image, told, most = js(
            browser,
            """const at = document.getElementById("picture");
            return [document.getElementById("board").hidden ? null : at.src,
                    document.getElementById("told").textContent, shown.form.most];""",
        )
        plan = expert.left(image or told)
        if most == 1:
            press(browser, KEYS[plan[0]])
            return
        press(browser, "".join(KEYS[action] for action in plan) + KEYS["up"])
        assert text(browser, "count") == f"Your plan: {len(plan) + 1}, last up"
        press(browser, BACKSPACE)
        assert len(js(browser, "return [...document.querySelectorAll('#chosen li')]")) == len(plan)
        press(browser, ENTER)

    return person


def test_whole_runs_by_keys_stopped_and_gone_on_with(browser: Any, oracle: Path, tmp_path: Path) -> None:
    expert, out = Expert(load_run(oracle).episodes.values()), tmp_path / "run"
    words = ("play", *ASKED, "--out", str(out))
    seen: list[str] = []
    with played_by(plays(browser, expert, seen, 4)):
        assert "stopped on the page; 2 of 3 answers are kept" in mgsd(*words, code=130)
    assert seen == [
        *(f"Question {number} of 3" for number in (1, 2, 3)),
        "Stopped. What was answered is kept; the same command goes on, with a new address.",
    ]
    seen.clear()
    with played_by(plays(browser, expert, seen)):
        mgsd(*words)
    assert seen == ["Question 3 of 3", "All 3 questions are answered"]
    assert text(browser, "run") == str(out)
    rows = js(browser, "return [...document.querySelectorAll('#scores tr')].map((row) => row.innerText)")
    assert [row.split("\t")[0] for row in rows] == ["symbolic", "direct", "act"]
    assert all("100.0" in row for row in rows)
    assert json.loads((out / "metrics.json").read_text()) == json.loads((oracle / "metrics.json").read_text())
    assert "holds" in mgsd("verify", str(out))


def test_the_page_can_be_used_in_a_narrow_window_and_by_buttons(browser: Any, tmp_path: Path) -> None:
    """A state is typed, buttons are clicked, the feedback of a turn is said, and nothing sticks out."""
    out = tmp_path / "run"
    size = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": False}

    def person(url: str) -> None:
        browser.get(url)
        until(lambda: bool(sections(browser)["gate"]))
        press(browser, ENTER)
        until(lambda: sections(browser)["number"] == 0)
        assert js(browser, "return document.activeElement.id") == "asked"
        js(browser, "document.getElementById('stated').focus()")
        assert js(browser, "return document.activeElement.value").startswith("size: \nplayer: \n")
        press(browser, "p")  # is a letter there, and no action
        assert text(browser, "count") == "Your plan of at most 1: empty"
        assert js(browser, "return document.documentElement.scrollWidth") <= 360
        js(browser, "document.getElementById('stated').value = 'size: 3\\nplayer: (0,0)'")
        for number in range(1, 9):
            js(browser, "document.querySelectorAll('#actions button')[3].click()")  # up, which is not possible for long
            js(browser, "document.getElementById('submit').click()")
            until(lambda number=number: sections(browser)["number"] == number or sections(browser)["end"])  # type: ignore[misc]
            if sections(browser)["end"]:
                break
            if number > 3:
                assert text(browser, "now").startswith("Result of your last step: not possible (")
                assert js(browser, "return document.getElementById('past').children.length") == 4
        press(browser, ENTER)
        js(browser, "document.getElementById('stop').click()")
        until(lambda: bool(sections(browser)["alert"]))

    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        with played_by(person):
            mgsd(
                *("play", "--suite", "smoke", "--tasks", "maze", "--levels", "3", "--limit", "1"),
                *("--condition", "act", "--say-state", "--out", str(out)),
                code=130,
            )
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    turns = [json.loads(line) for line in (out / "turns.jsonl").read_text().splitlines()]
    assert len(turns) == 8
    assert turns[0]["text"] == "size: 3\nplayer: (0,0)\n<answer>U</answer>"
    assert turns[0]["facts"] == [["player", 0, 0], ["size", 3]]
