"""Episodes that were acted in: their transcripts in the HTML report, in a browser too, and replayed in the terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.analysis.stored_answers import find_answer
from mgsd_bench.analysis.transcript import Transcript, read_transcripts
from mgsd_bench.config.settings import make_settings
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.evaluation.settings import EvaluationSettings
from mgsd_bench.report import transcripts
from mgsd_bench.report.explorer import Explorer
from mgsd_bench.report.html import write_html
from mgsd_bench.report.mosaic import Mosaics
from mgsd_bench.report.page import FIRST
from mgsd_bench.report.replay import answer_lines
from mgsd_bench.runs.loop_score import CAUSES
from mgsd_bench.runs.turns import TURNS, read_turns
from mgsd_envs.rendering import Picture, Pixels
from mgsd_envs.views import View, picture
from support.browsing import choose, js, opened_page, pixels, press, text
from support.commands import error, mgsd
from support.text_payloads import PAYLOADS

ACTED = ("act", "act-symbolic", "act-stale", "act-blind")
GOLDEN = Path(__file__).parent / "golden" / "replay.txt"


def acted(out: Path, model: str, **changes: Any) -> Run:
    given: dict[str, Any] = {
        "suite": "smoke",
        "tasks": ("frozenlake", "maze", "minibehaviour"),
        "levels": (4, 5),
        "limit": 2,
        "conditions": ACTED,
        "prompts": "compact",
        "backend": "scripted",
        "view": "fog:1",
        **changes,
    }
    job = Evaluation.from_settings(make_settings(EvaluationSettings, model=model, out=out, **given))
    evaluate(job, Console(quiet=True))
    return load_run(out)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """One that acts at random, in the first answers of which stand texts that mean harm, and one that forgets."""
    folder = tmp_path_factory.mktemp("acted")
    acted(folder / "random", "random")
    path = folder / "random" / TURNS
    payloads = iter(PAYLOADS.values())
    turns = [turn for turns in read_turns(folder / "random").values() for turn in turns]
    path.write_bytes(b"".join(replace(turn, text=next(payloads, turn.text)).to_line() for turn in turns))
    return [load_run(folder / "random"), acted(folder / "forgetful", "forgetful:1")]


def transcript_of(run: Run, episode: str, condition: str) -> Transcript:
    found = find_answer(run, episode, condition).transcript
    assert found is not None
    return found


class TestData:
    def test_a_turn_shows_what_the_model_was_shown(self, runs: list[Run]) -> None:
        by_condition = {name: transcript_of(runs[0], "maze/4/0000", name) for name in ACTED}
        for name, transcript in by_condition.items():
            shown = [transcript.shown(i) for i in range(len(transcript.turns))]
            assert len(shown) > 2
            trails = [turn.trail for turn in transcript.turns]
            if name == "act-symbolic":
                assert all(isinstance(one, str) and "seen: " in one for one in shown)
                continue
            for number, (one, trail) in enumerate(zip(shown, trails, strict=True)):
                if name == "act-blind" and number:
                    assert one is None
                    continue
                assert isinstance(one, Picture | Pixels)
                then = trail[:1] if name == "act-stale" else trail
                assert one.content() == picture(transcript.episode, then, View("fog", 1)).content()

    def test_turns_that_do_the_same_in_one_state_are_counted(self, runs: list[Run]) -> None:
        transcript = transcript_of(runs[0], "maze/4/0000", "act")
        tried = [(turn.steps[0].before, turn.steps[0].action) for turn in transcript.turns]
        again = [(tried[: i + 1].count(one), tried.count(one)) for i, one in enumerate(tried)]
        assert [turn.again for turn in transcript.turns] == [one if one[1] > 1 else None for one in again]
        assert any(turn.again for turn in transcript.turns)

    def test_faulty_actions_have_the_causes_that_were_counted(self, tmp_path: Path) -> None:
        given: dict[str, Any] = {"conditions": ("act",), "view": "full", "say_state": True, "levels": (4,)}
        run = acted(tmp_path / "run", "faulty:0.3,0.2,0.3", **given)
        found = ""
        for sample in run.samples:
            turns = transcript_of(run, sample.episode, "act").turns
            causes = "".join(cause[0] for turn in turns for cause in turn.causes)
            assert sample.loop is not None
            assert causes == sample.loop.causes
            found += causes
        assert found
        said = {turn["causes"][0] for turn in acted_turns(Explorer([run])) if "causes" in turn}
        assert said == {CAUSES[letter] for letter in found}

    def test_turns_of_another_episode_are_refused_in_one_line(self, runs: list[Run], tmp_path: Path) -> None:
        run = acted(tmp_path / "run", "random", limit=1, levels=(4,), conditions=("act",))
        turns = [turn for turns in read_turns(run.path).values() for turn in turns]
        changed = [replace(turns[0], actions=["nonsense"], effects=["done"]), *turns[1:]]
        (run.path / TURNS).write_bytes(b"".join(turn.to_line() for turn in changed))
        wanted = {sample.key: sample for sample in run.samples}
        with pytest.raises(UserError, match=r"turns\.jsonl: .* cannot be played again: turn 0: 'nonsense' is blocked"):
            read_transcripts(run, wanted)
        with pytest.raises(UserError, match="cannot be played again"):
            Explorer([run])

    def test_pictures_are_kept_once_and_pixel_for_pixel(self, runs: list[Run]) -> None:
        transcript, mosaics = transcript_of(runs[0], "frozenlake/4/0000", "act"), Mosaics()
        numbers = [mosaics.add(one, 4) for one in map(transcript.shown, range(len(transcript.turns))) if one]  # type: ignore[arg-type]
        assert len(set(numbers)) == len(mosaics.shown) <= len({turn.trail for turn in transcript.turns})
        again = mosaics.pixels
        first = transcript.shown(0)
        assert isinstance(first, Picture | Pixels)
        assert mosaics.add(first, 4) == numbers[0]
        assert mosaics.pixels == again
        assert np.array_equal(put_together(mosaics, numbers[0]), first.rgb())

    def test_a_page_holds_whole_questions_up_to_a_limit(self, runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
        index = json.loads(Explorer(runs).index)
        assert len(index["acted"]) == len(index["owners"]) == sum(len(run.samples) for run in runs)
        monkeypatch.setattr(transcripts, "MOST_TURNS", 100)
        few = Explorer(runs)
        numbers = json.loads(few.index)["acted"]
        assert 0 < len(numbers) < len(index["acted"])
        assert len(numbers) % 2 == 0
        lines = [json.loads(line) for line in few.transcripts.lines.splitlines()]
        assert sum(len(line["turns"]) for line in lines) <= 100


def acted_turns(explorer: Explorer) -> list[dict[str, Any]]:
    return [turn for line in explorer.transcripts.lines.splitlines() for turn in json.loads(line)["turns"]]


def put_together(mosaics: Mosaics, number: int) -> np.ndarray[Any, Any]:
    """A picture as the page draws it."""
    from base64 import b64decode
    from io import BytesIO

    shown = mosaics.shown[number]
    sheet = mosaics.sheets[shown.sheet]
    image = np.asarray(Image.open(BytesIO(b64decode(sheet.image.partition(",")[2]))))
    n = sheet.pixels
    tiles = [ord(c) - FIRST for c in shown.cells]
    cut = [image[t // sheet.columns * n :, t % sheet.columns * n :][:n, :n] for t in tiles]
    rows = [np.hstack(cut[r * shown.side : (r + 1) * shown.side]) for r in range(shown.side)]
    return np.vstack(rows)


@pytest.fixture(scope="module")
def acted_page(runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("acted") / "report.html"
    write_html(out, title="acted", verdict=None, runs=runs, figures={})
    return out


@pytest.fixture
def opened(browser: Any, acted_page: Path) -> Iterator[Any]:
    with opened_page(browser, acted_page) as driven:
        yield driven


@pytest.mark.browser
class TestInBrowser:
    def test_stepping_shows_each_turn(self, opened: Any, runs: list[Run]) -> None:
        transcript = transcript_of(runs[0], "maze/4/0000", "act")
        choose(opened, search="maze/4/0000", condition="act", model="random")
        n = len(transcript.turns)
        seen, marks = [], []
        for number, turn in enumerate(transcript.turns, 1):
            assert text(opened, "step") == f"turn {number} of {n}"
            step = turn.steps[0]
            happened = text(opened, "happened")
            assert step.action in happened
            assert ("not possible (" in happened) == (step.effect == "blocked")
            assert ("tried" in happened) == (turn.again is not None)
            before = transcript.to_go if number == 1 else transcript.turns[number - 2].to_go
            assert text(opened, "distance-now").endswith(f"{before} → {turn.to_go}")
            seen.append(pixels(opened, "seen-board"))
            marks.append(js(opened, "return document.getElementById('spark-now').getAttribute('x')"))
            press(opened, "\ue014")
        assert marks == sorted(marks, key=float)
        assert len(set(marks)) == n
        different = {transcript.shown(i).content() for i in range(n)}  # type: ignore[union-attr]
        assert len(set(seen)) == len(different) > 1
        assert text(opened, "true-end").startswith("ends here: ")
        marked = js(opened, "return document.querySelectorAll('#plan [data-again]').length")
        assert marked == sum(turn.again is not None for turn in transcript.turns) > 0
        js(opened, "document.querySelectorAll('#plan button')[1].click()")
        assert text(opened, "step") == f"turn 2 of {n}"

    def test_models_stand_side_by_side(self, opened: Any) -> None:
        choose(opened, search="maze/4/0000", condition="act")
        assert js(opened, "return document.querySelectorAll('.model').length") == 2
        before = js(opened, "return [...document.querySelectorAll('.model canvas')].map((it) => it.toDataURL())")
        press(opened, "\ue014\ue014")
        after = js(opened, "return [...document.querySelectorAll('.model canvas')].map((it) => it.toDataURL())")
        assert before != after

    def test_each_control_shows_what_it_showed(self, opened: Any, runs: list[Run]) -> None:
        hidden = "return document.getElementById(arguments[0]).hidden"
        choose(opened, search="maze/4/0000", condition="act-symbolic", model="random")
        assert text(opened, "seen-text") == transcript_of(runs[0], "maze/4/0000", "act-symbolic").shown(0)
        assert js(opened, hidden, "seen-board")
        choose(opened, search="maze/4/0000", condition="act-blind", model="random")
        assert not js(opened, hidden, "seen-board")
        press(opened, "\ue014")
        assert js(opened, hidden, "seen-board")
        assert text(opened, "seen-note").startswith("No picture")
        choose(opened, search="maze/4/0000", condition="act-stale", model="random")
        first = pixels(opened, "seen-board")
        press(opened, "\ue014")
        assert pixels(opened, "seen-board") == first
        assert "the first picture again" in text(opened, "seen-when")

    def test_texts_that_mean_harm_are_texts(self, opened: Any, runs: list[Run]) -> None:
        hostile = {
            (turns[0].episode, turns[0].condition): [turn.text for turn in turns]
            for turns in read_turns(runs[0].path).values()
            if any(len(turn.text) > len("<answer>PICK</answer>") for turn in turns)
        }
        said = []
        for (episode, condition), texts in hostile.items():
            choose(opened, search=episode, condition=condition, model="random")
            for expected in texts:
                shown = json.loads(js(opened, 'return JSON.stringify(document.getElementById("text").textContent)'))
                assert shown == expected or "characters are left out here" in shown
                said.append(expected)
                press(opened, "\ue014")
        assert len(set(said) & set(PAYLOADS.values())) > 40
        assert js(
            opened, "return window.pwned === undefined && document.querySelectorAll('#detail pre *').length === 0"
        )

    @pytest.mark.parametrize("width", [360, 1280])
    def test_nothing_sticks_out(self, opened: Any, width: int) -> None:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        choose(opened, search="maze/4/0000", condition="act", model="random")
        opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        try:
            assert js(opened, "return document.documentElement.scrollWidth") <= width
        finally:
            opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


class TestReplay:
    def test_golden(self, tmp_path: Path) -> None:
        given: dict[str, Any] = {"limit": 2, "tasks": ("minibehaviour",), "levels": (5,)}
        run = acted(tmp_path / "run", "noisy-step:0.3", conditions=("act",), **given)
        shown = "\n".join(answer_lines(find_answer(run, "minibehaviour/5/0002"))) + "\n"
        assert shown == GOLDEN.read_text(encoding="utf-8")

    @pytest.mark.parametrize("condition", ACTED)
    def test_each_condition(self, runs: list[Run], condition: str) -> None:
        transcript = transcript_of(runs[0], "frozenlake/4/0002", condition)
        shown = mgsd("show", str(runs[0].path), "frozenlake/4/0002", "--condition", condition)
        assert f"frozenlake/4/0002 · {condition}, fog:1 · shortest plan: " in shown
        assert re.findall(r"^turn (\d+)", shown, re.MULTILINE) == [str(i + 1) for i in range(len(transcript.turns))]
        for turn in transcript.turns:
            assert f"\n         {turn.steps[0].action}: " in shown
        assert shown.splitlines()[-1].startswith("outcome: ")
        assert ("first picture" in shown) == (condition in ("act-stale", "act-blind"))

    def test_an_answer_given_at_once(self, tmp_path: Path) -> None:
        run = acted(tmp_path / "run", "noisy-planning:1", conditions=("symbolic",), view="full", levels=(4,))
        for sample in run.samples:
            shown = mgsd("show", str(run.path), sample.episode)
            assert f"outcome: {sample.outcome}; " in shown
            assert shown.count(": done; to go ") == sample.steps
            assert ("what comes after it does not count" in shown) == (sample.illegal is not None)

    def test_nothing_in_it_moves_a_cursor(self, runs: list[Run]) -> None:
        for sample in runs[0].samples:
            for line in answer_lines(find_answer(runs[0], sample.episode, sample.condition)):
                assert line.isprintable()

    def test_an_episode_that_is_not_finished(self, runs: list[Run], tmp_path: Path) -> None:
        run = acted(tmp_path / "run", "random", levels=(4,), tasks=("maze",), conditions=("act",))
        (run.path / "samples.jsonl").write_text("")
        lines = list(answer_lines(find_answer(load_run(run.path), "maze/4/0000")))
        assert lines[-1].startswith("not finished: ")
        assert any(line.startswith("turn 1 ") for line in lines)

    def test_errors_are_one_line(self, runs: list[Run], tmp_path: Path) -> None:
        folder, episode = str(runs[0].path), "maze/4/0000"
        several = error("show", folder, episode)
        assert "several answers to maze/4/0000; choose --condition act or --condition act-blind or " in several
        assert "no episode 'maze/4/000'; there is maze/4/000" in error("show", folder, "maze/4/000")
        assert "what was asked is act, act-symbolic" in error("show", folder, episode, "--condition", "visual")
        assert "a run folder; name one of its episodes after it" in error("show", folder)
        assert "no run here" in error("show", str(tmp_path), episode)
        assert "--plan: an episode of a run is shown as it was asked" in error("show", folder, episode, "--plan", "R")
        assert "--repeat: of an answer in a run" in error("show", episode, "--repeat", "0")
