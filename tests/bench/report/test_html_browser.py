"""The HTML report in a real browser: what it shows, and that it stays small with many answers."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mgsd_bench.analysis.attribution import attribute
from mgsd_bench.analysis.run import Run
from mgsd_bench.runs.sample import Sample
from mgsd_bench.suites.suite import digest
from mgsd_bench.suites.suite_folder import read_episodes
from mgsd_envs import get_task, trace
from support.browsing import choose, js, pixels, press, text
from support.pages import HOSTILE, write

pytestmark = pytest.mark.browser


def copies(run: Run, folder: Path, n: int) -> Run:
    """The visual answers of a run over and over, each time about an episode of another name."""
    rows = [json.loads(line) for line in (run.path / "episodes.jsonl").read_text().splitlines()]
    answers = {s.episode: s for s in run.samples if s.condition == "visual"}
    chosen = [(rows[i % len(rows)], f"{rows[i % len(rows)]['id']}/{i}") for i in range(n)]
    lines = [json.dumps({**row, "id": name}) + "\n" for row, name in chosen]
    (folder / "episodes.jsonl").write_text("".join(lines))
    identity = {**run.identity, "episodes_digest": digest(read_episodes(folder).values())}
    return Run(
        folder,
        {**run.record, "identity": identity},
        [replace(answers[row["id"]], episode=name) for row, name in chosen],
    )


class TestInBrowser:
    def test_filters_count_what_python_counts(self, opened: Any, run: Run) -> None:
        episodes = run.episodes

        def count(**wanted: str) -> int:
            return sum(all(row[name] == value for name, value in wanted.items()) for row in rows)

        rows = [
            {
                "task": s.task,
                "level": str(s.level),
                "condition": s.condition,
                "outcome": s.outcome,
                "attribution": attribute(episodes[s.episode], s) if s.condition == "visual" else "not attributed",
            }
            for s in run.samples
        ]
        assert choose(opened) == len(run.samples) == 144
        for name in rows[0]:
            for value, expected in Counter(row[name] for row in rows).items():
                assert choose(opened, **{name: value}) == expected
        for wanted in (
            {"task": "maze", "level": "4"},
            {"condition": "visual", "outcome": "illegal", "attribution": "perception"},
            {"task": "frozenlake", "attribution": "planning"},
        ):
            assert choose(opened, **wanted) == count(**wanted)
        assert choose(opened, search="MAZE/5") == count(task="maze", level="5")
        assert choose(opened, search="nothing like it") == 0
        assert text(opened, "none") == "No answer passes these filters."
        js(opened, 'document.getElementById("reset").click()')
        assert opened.execute_async_script("setTimeout(arguments[0], 50)") is None
        assert text(opened, "count") == "144 of 144 answers"

    def test_stepping_moves_the_agent_in_both_worlds(self, opened: Any, run: Run) -> None:
        sample, number = self.perception_fault(run)
        assert choose(opened, search=sample.episode, condition="visual") == 1
        assert text(opened, "name") == sample.episode
        n = len(sample.plan or ())
        seen: list[tuple[str, str]] = []
        for step in range(n + 1):
            assert text(opened, "step") == f"step {step} of {n}"
            seen.append((pixels(opened, "true-board"), pixels(opened, "believed-board")))
            press(opened, "\ue014")  # the right arrow
        true, believed = ({pictures[side] for pictures in seen} for side in (0, 1))
        assert len(believed) == n + 1
        assert len(true) == 1 + sample.steps
        assert text(opened, "true-end") == f"illegal at action {sample.steps + 1}: {sample.illegal}"
        assert text(opened, "believed-end") == f"solved after {n} actions"
        assert js(opened, 'return document.querySelector("#plan .illegal").title').startswith(f"{number + 1}: ")
        before = pixels(opened, "true-board")
        for option in ("show-shortest", "show-marks"):
            js(opened, "document.getElementById(arguments[0]).click()", option)
            assert pixels(opened, "true-board") != before
            before = pixels(opened, "true-board")

    @staticmethod
    def perception_fault(run: Run) -> tuple[Sample, int]:
        """An answer whose plan breaks a rule after a few steps, but works in the world that it states."""
        episodes = run.episodes
        return next(
            (s, s.steps)
            for s in run.samples
            if s.condition == "visual"
            and s.illegal
            and s.steps > 1
            and attribute(episodes[s.episode], s) == "perception"
            and trace(get_task(s.task), get_task(s.task).from_facts(map(tuple, s.facts)), s.plan or ())[1] is None
        )

    def test_playing_runs_to_the_end_and_stops(self, opened: Any, run: Run) -> None:
        sample = next(s for s in run.samples if s.outcome == "solved" and len(s.plan or ()) == 3)
        choose(opened, search=sample.episode, condition=sample.condition)
        press(opened, " ")
        assert text(opened, "play") == "pause"
        opened.set_script_timeout(20)
        opened.execute_async_script(
            """const done = arguments[0], play = document.getElementById("play");
            setInterval(() => { if (play.textContent === "play") done(); }, 50);"""
        )
        assert text(opened, "step") == "step 3 of 3"
        assert text(opened, "true-end") == "solved after 3 actions"

    def test_keyboard_walks_through_the_list(self, opened: Any) -> None:
        names = []
        for key in ("j", "j", "\ue015", "k", "\ue013", "\ue010", "\ue011"):  # down, up, end, home
            press(opened, key)
            names.append(js(opened, 'return document.querySelector(".row[aria-selected=true]").dataset.place'))
        assert names == ["1", "2", "3", "2", "1", "143", "0"]
        press(opened, "/")
        assert js(opened, "return document.activeElement.id") == "search"

    def test_an_address_leads_to_its_answer(self, opened: Any, page: Path, run: Run) -> None:
        sample = run.samples[-1]
        opened.get("about:blank")
        opened.get(f"{page.as_uri()}#{sample.key}")
        assert text(opened, "name") == sample.episode
        assert text(opened, "text") == sample.text

    def test_an_answer_is_only_text(self, opened: Any, run: Run) -> None:
        choose(opened, search=run.samples[0].episode, condition="visual")
        assert json.loads(js(opened, 'return JSON.stringify(document.getElementById("text").textContent)')) == HOSTILE
        assert js(opened, "return [window.pwned === undefined, document.querySelectorAll('pre *').length]") == [True, 0]
        assert js(opened, "return document.scripts.length") == 1

    def test_facts_are_listed(self, opened: Any, run: Run) -> None:
        sample, _ = self.perception_fault(run)
        choose(opened, search=sample.episode, condition="visual")
        true = get_task(sample.task).facts(run.episodes[sample.episode].state)
        stated = {tuple(fact) for fact in sample.facts}
        assert text(opened, "facts").startswith(
            f"{len(true & stated)} of {len(true)} facts right; {len(stated - true)} stated that are false."
        )
        assert len(js(opened, 'return [...document.querySelectorAll("#facts li")]')) == len(stated ^ true)
        choose(opened, search=sample.episode, condition="symbolic")
        assert text(opened, "believed-note") == "This condition does not ask for the state."
        assert js(opened, 'return document.getElementById("believed-board").hidden')

    @pytest.mark.parametrize("width", [400, 1280])
    def test_nothing_sticks_out(self, opened: Any, width: int) -> None:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        try:
            assert js(opened, "return document.documentElement.scrollWidth") <= width
        finally:
            opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def test_the_policy_lets_no_other_script_in(self, browser: Any, page: Path) -> None:
        browser.get(page.as_uri())
        js(browser, 'document.body.append(Object.assign(document.createElement("script"), {text: "window.pwned = 3"}))')
        js(browser, 'document.body.append(Object.assign(new Image(), {src: "http://example.invalid/leak"}))')
        assert js(browser, "return window.pwned === undefined")
        refused = [entry["message"] for entry in browser.get_log("browser")]
        assert any("script-src" in message for message in refused)
        assert any("img-src" in message for message in refused)

    def test_ten_thousand_answers(self, browser: Any, run: Run, tmp_path: Path) -> None:
        run = copies(run, tmp_path, 10_000)
        out = write(tmp_path / "many.html", run, diagnosed=False)
        browser.get(out.as_uri())
        assert js(browser, "return document.documentElement.dataset.ready")
        assert text(browser, "count") == "10,000 of 10,000 answers"
        for share in (0, 0.37, 0.5, 1):
            rows = browser.execute_async_script(
                """const [share, done] = arguments, list = document.getElementById("list");
                list.scrollTop = share * list.scrollHeight;
                requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(() => {
                    const area = list.getBoundingClientRect();
                    const inside = [...list.querySelectorAll(".row:not([hidden])")].filter((row) => {
                        const box = row.getBoundingClientRect();
                        return box.top < area.bottom && box.bottom > area.top;
                    });
                    done([inside.length * 46 >= area.height, document.querySelectorAll("*").length]);
                })));""",
                share,
            )
            assert rows[0], share
            assert rows[1] < 600
        press(browser, "\ue010")
        assert text(browser, "name") == run.samples[-1].episode
