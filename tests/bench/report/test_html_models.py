"""The HTML report of several models in a real browser: side by side, by address, as CSV, by keyboard."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from rich.console import Console

from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.analysis.verdict import judge
from mgsd_bench.backends import BackendConfig
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.report.html import write_html
from mgsd_bench.suites.choose import find_suite
from support.browsing import choose, js, opened_page, press, text, until
from support.pages import HOSTILE

pytestmark = pytest.mark.browser

HOSTILE_NAME = "=<img src=x onerror='window.pwned=4'>"


@pytest.fixture(scope="session")
def runs(run: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """The faulty model of the other tests, one that plans badly and has a hostile name, and one that does all right."""
    found = [run]
    for model in ("noisy-planning:0.5", "oracle"):
        out = tmp_path_factory.mktemp("models") / "run"
        conditions = ["visual", "symbolic"]
        suite, config = find_suite("smoke"), BackendConfig(model)
        evaluate(Evaluation(suite, None, conditions, 1, "compact", "scripted", config, out), Console(quiet=True))  # type: ignore[arg-type]
        found.append(load_run(out))
    without_prompts = {key: value for key, value in found[1].record.items() if key != "prompts"}
    identity = {**found[1].identity, "model": HOSTILE_NAME}
    found[1] = replace(found[1], record={**without_prompts, "identity": identity})
    return found


@pytest.fixture(scope="session")
def page(runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "report.html"
    write_html(out, title=HOSTILE_NAME, verdict=judge(runs), runs=runs, figures={})
    return out


@pytest.fixture
def wide(opened: Any) -> Iterator[Any]:
    yield opened
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def failures(runs: list[Run], place: int, condition: str = "visual") -> set[str]:
    return {s.episode for s in runs[place].samples if s.condition == condition and s.outcome != "solved"}


def rows(browser: Any) -> list[str]:
    found: list[str] = js(
        browser,
        """return [...document.querySelectorAll(".row:not([hidden])")].sort((a, b) => a.dataset.place - b.dataset.place)
        .map((row) => row.querySelector(".id").textContent)""",
    )
    return found


class TestSideBySide:
    def test_every_question_shows_every_model(self, opened: Any, runs: list[Run]) -> None:
        assert text(opened, "count") == "432 of 432 answers, to 144 questions"
        episode = sorted(failures(runs, 0) - failures(runs, 1))[0]
        assert choose(opened, search=episode, condition="visual") == 3
        assert rows(opened) == [episode]
        cards = js(
            opened,
            """return [...document.querySelectorAll(".model")].map((card) => [
                card.querySelector(".pick").textContent, card.querySelector(".tag").textContent,
                card.querySelector(".way").textContent, card.querySelector(".note").textContent])""",
        )
        assert [name for name, *_ in cards] == ["1 faulty:0.1,0.2,0.1", f"2 {HOSTILE_NAME}", "3 oracle"]
        assert [outcome == "✓ solved" for _, outcome, *_ in cards] == [False, True, True]
        assert cards[1][2] == cards[2][2] != ""
        answer = next(s for s in runs[0].samples if (s.episode, s.condition) == (episode, "visual"))
        assert cards[0][2] == "no plan" or len(cards[0][2].split()) == len(answer.plan or ())
        assert cards[2][3].endswith("facts stated, 0 false")

    def test_another_model_can_be_shown_in_full(self, opened: Any, runs: list[Run]) -> None:
        episode = sorted(failures(runs, 0))[-1]
        choose(opened, search=episode, condition="visual")
        for number, (run, name) in enumerate(zip(runs, ["faulty:0.1,0.2,0.1", HOSTILE_NAME, "oracle"], strict=True), 1):
            press(opened, str(number))
            answer = next(s for s in run.samples if (s.episode, s.condition) == (episode, "visual"))
            assert text(opened, "whose") == f"{name} in full"
            assert text(opened, "text") == answer.text
            assert js(opened, "return document.querySelectorAll('.pick[aria-pressed=true]').length") == 1
        js(opened, "document.querySelector('.model').click()")
        assert text(opened, "whose") == "faulty:0.1,0.2,0.1 in full"

    def test_failures_come_first_the_least_expected_before_the_others(self, opened: Any, runs: list[Run]) -> None:
        choose(opened, model=HOSTILE_NAME, condition="visual")
        shortest = {s.episode: s.shortest for s in runs[1].samples}
        failed = failures(runs, 1)
        first = rows(opened)[: len(failed)]
        assert set(first) <= failed
        only = [episode for episode in first if episode not in failures(runs, 0)]
        assert first[: len(only)] == only  # what the two others solve
        assert [shortest[episode] for episode in only] == sorted(shortest[episode] for episode in only)
        js(
            opened,
            'const b = document.getElementById("order"); b.value = "episode"; b.dispatchEvent(new Event("change"))',
        )
        assert rows(opened) == list(runs[1].episodes)[: len(rows(opened))]

    def test_prompts_are_shown_where_they_were_recorded(self, opened: Any, runs: list[Run]) -> None:
        choose(opened, search="maze/3", condition="visual", model="oracle")
        assert text(opened, "prompt-text") == runs[2].prompts["maze/visual"]
        assert "{look}" not in text(opened, "prompt-text")
        choose(opened, search="maze/3", condition="symbolic", model="oracle")
        assert "{state}" in text(opened, "prompt-text")
        assert text(opened, "prompt-note").startswith("{state} stands for")
        choose(opened, search="maze/3", model=HOSTILE_NAME)
        assert text(opened, "prompt-text") == ""
        assert text(opened, "prompt-note").startswith("Not recorded")

    def test_texts_are_searched(self, opened: Any, runs: list[Run]) -> None:
        words = '"http://EXAMPLE.invalid/leak">'
        assert choose(opened, search=words) == 1
        assert text(opened, "name") == runs[0].samples[0].episode
        count = sum("printer: (0,1)" in s.text for run in runs for s in run.samples)
        assert choose(opened, search="Printer: (0,1)") == count > 0


class TestAddress:
    def test_a_view_can_be_sent_on(self, opened: Any, page: Path, runs: list[Run]) -> None:
        left = choose(opened, model=HOSTILE_NAME, task="frozenlake", condition="visual", search="frozenlake/4")
        js(
            opened,
            'const b = document.getElementById("order"); b.value = "episode"; b.dispatchEvent(new Event("change"))',
        )
        press(opened, "j")
        name = text(opened, "name")
        shown = [f"{HOSTILE_NAME}/{name}/visual/0"]
        until(lambda: parse_qs(opened.current_url.partition("#")[2])["show"] == shown)
        address = opened.current_url
        assert parse_qs(address.partition("#")[2])["model"] == [HOSTILE_NAME]
        opened.get("about:blank")
        opened.get(address)
        assert text(opened, "count").startswith(f"{left} of 432")
        assert text(opened, "name") == name
        assert js(opened, "return document.getElementById('search').value") == "frozenlake/4"
        assert js(opened, "return document.getElementById('order').value") == "episode"

    def test_the_back_button_takes_back_a_filter(self, opened: Any) -> None:
        for task in ("maze", "frozenlake"):
            choose(opened, task=task)
        js(opened, "document.querySelectorAll('.row')[2].click()")
        second = text(opened, "name")
        js(opened, "history.back()")
        until(lambda: text(opened, "name") != second)
        assert text(opened, "name").startswith("frozenlake")
        js(opened, "history.back()")
        until(lambda: text(opened, "name").startswith("maze"))
        js(opened, "history.back()")
        until(lambda: text(opened, "count").startswith("432 of 432"))
        js(opened, "history.forward()")
        until(lambda: text(opened, "name").startswith("maze"))

    @pytest.mark.parametrize(
        "said", ["task=nothing&show=x", "order=%3Cb%3E", "show=%E0%A4%A", "%E0%A4%A", "&&=", "__proto__=1"]
    )
    def test_an_address_that_says_nothing_is_passed_over(self, browser: Any, page: Path, said: str) -> None:
        with opened_page(browser, page) as driven:
            driven.get("about:blank")
            driven.get(f"{page.as_uri()}#{said}")
            assert js(driven, "return document.documentElement.dataset.ready")
            assert text(driven, "count").startswith("432 of 432")


def downloaded(browser: Any) -> list[dict[str, str]]:
    made = browser.execute_async_script(
        """const done = arguments[0], before = URL.createObjectURL;
        URL.createObjectURL = (file) => { file.text().then(done); return before.call(URL, file); };
        HTMLAnchorElement.prototype.click = () => {};
        document.getElementById("download").click();
        URL.createObjectURL = before;"""
    )
    return list(csv.DictReader(io.StringIO(made, newline="")))


class TestDownload:
    def test_holds_what_is_shown(self, opened: Any, runs: list[Run]) -> None:
        n = choose(opened, model="faulty:0.1,0.2,0.1", condition="visual", task="maze")
        lines = downloaded(opened)
        assert len(lines) == n == sum(s.condition == "visual" and s.task == "maze" for s in runs[0].samples)
        samples = {s.episode: s for s in runs[0].samples if s.condition == "visual"}
        for line in lines:
            sample = samples[line["episode"]]
            assert (line["outcome"], line["level"], line["illegal"]) == (
                sample.outcome, str(sample.level), sample.illegal or "",
            )  # fmt: skip
            assert line["plan"].split() == (sample.plan or [])
            assert line["text"] == sample.text
            assert int(line["shortest"]) == sample.shortest

    def test_what_others_wrote_is_no_formula(self, opened: Any, runs: list[Run]) -> None:
        choose(opened, search=runs[0].samples[0].episode, condition="visual")
        lines = {line["model"]: line for line in downloaded(opened)}
        assert set(lines) == {"faulty:0.1,0.2,0.1", f"'{HOSTILE_NAME}", "oracle"}
        assert lines["faulty:0.1,0.2,0.1"]["text"] == HOSTILE.replace("\ud800", "�")


class TestForEverybody:
    def test_names_and_answers_are_only_text(self, opened: Any) -> None:
        choose(opened, model=HOSTILE_NAME)
        assert js(opened, "return window.pwned === undefined")
        assert js(opened, "return [...document.images].filter((i) => i.getAttribute('src') === 'x').length") == 0
        assert HOSTILE_NAME in text(opened, "verdict")

    def test_whatever_can_be_used_has_a_name(self, opened: Any) -> None:
        nameless = js(
            opened,
            """return [...document.querySelectorAll("button, input, select, canvas, [tabindex], [role]")].filter((it) =>
                !(it.getAttribute("aria-label") || it.textContent.trim() || it.closest("label")
                  || it.getAttribute("aria-hidden"))).map((it) => it.outerHTML)""",
        )
        assert nameless == []
        bare = js(
            opened, "return [...document.querySelectorAll('.tag, .signs i')].filter((it) => !it.textContent).length"
        )
        assert bare == 0  # nothing is said by colour alone

    def test_the_list_says_where_it_is(self, opened: Any) -> None:
        press(opened, "jj")
        active = js(opened, "return document.getElementById('list').getAttribute('aria-activedescendant')")
        assert js(opened, f"return document.getElementById('{active}').getAttribute('aria-selected')") == "true"
        label = js(opened, f"return document.querySelector('#{active} .signs').getAttribute('aria-label')")
        assert "oracle solved" in label

    @pytest.mark.parametrize("width", [360, 768, 1280])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_nothing_sticks_out(self, wide: Any, width: int, scheme: str) -> None:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        wide.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        wide.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        js(wide, "for (const it of document.querySelectorAll('details')) it.open = true")
        assert js(wide, "return document.documentElement.scrollWidth") <= width
        ground, ink = json.loads(
            js(wide, "const s = getComputedStyle(document.body); return JSON.stringify([s.backgroundColor, s.color])")
        )
        dark = [sum(map(int, colour[4:-1].split(", "))) < 384 for colour in (ground, ink)]
        assert dark == [scheme == "dark", scheme == "light"]
