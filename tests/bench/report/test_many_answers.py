"""Reports of more answers than a page can hold: which are shown, that it is said, and what is in memory."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import mgsd_bench
from mgsd_bench.analysis.run import Run
from mgsd_bench.analysis.surprise import Answers
from mgsd_bench.errors import UserError
from mgsd_bench.report import explorer as page
from mgsd_bench.report.explorer import Explorer
from mgsd_bench.report.page import FIRST
from support.long_runs import long_run, peak
from support.pages import write

MOST = 120


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two models on the same 72 episodes, under three conditions: 432 answers."""
    folder = tmp_path_factory.mktemp("many")
    return [
        mgsd_bench.evaluate(
            model=model, backend="scripted", suite="smoke", conditions=("visual", "symbolic", "perceive"),
            out=folder / model.partition(":")[0],
        )
        for model in ("faulty:0.1,0.2,0.1", "noisy-planning:0.4")
    ]  # fmt: skip


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_ANSWERS", MOST)


def answers_of(explorer: Explorer) -> list[dict[str, str]]:
    """What the page can filter its answers by, an answer each, with the episode."""
    index = json.loads(explorer.index)
    named = {facet["name"]: [facet["values"][ord(c) - FIRST] for c in facet["codes"]] for facet in index["facets"]}
    named["episode"] = [index["ids"][owner] for owner in index["owners"]]
    return [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]


@pytest.mark.usefixtures("few")
class TestChosen:
    def test_whole_episodes_of_every_kind_up_to_the_limit(self, runs: list[Run]) -> None:
        explorer = Explorer(runs)
        shown = answers_of(explorer)
        assert MOST - 6 < len(shown) <= MOST
        assert set(Counter(row["episode"] for row in shown).values()) == {6}
        assert len(explorer.samples.split("\n")) == len(shown)
        assert {row["episode"] for row in shown} == {json.loads(e)["id"] for e in explorer.episodes.split("\n")}
        for column in ("model", "task", "level", "condition", "outcome"):
            names = [str(name) for run in runs for name in run.frame[column]]
            assert {row[column] for row in shown} == set(names), column

    def test_failures_are_preferred_and_come_first(self, runs: list[Run]) -> None:
        shown = answers_of(Explorer(runs))
        failed = [row["outcome"] != "solved" for row in shown]
        everywhere = float(np.mean([row != "solved" for run in runs for row in run.frame["outcome"]]))
        assert np.mean(failed) > 1.1 * everywhere
        assert failed == sorted(failed, reverse=True)
        assert "solved" in {row["outcome"] for row in shown if row["condition"] == "visual"}

    def test_what_is_shown_is_what_was_answered(self, runs: list[Run]) -> None:
        explorer = Explorer(runs)
        texts = {
            (name, s.episode, s.condition): s.text
            for run, name in zip(runs, names_of(runs), strict=True)
            for s in run.samples
        }
        for row, line in zip(answers_of(explorer), explorer.samples.split("\n"), strict=True):
            assert json.loads(line)["text"] == texts[row["model"], row["episode"], row["condition"]]

    def test_the_page_says_so_and_its_figures_are_of_all(self, runs: list[Run], tmp_path: Path) -> None:
        text = write(tmp_path / "few.html", runs[0]).read_text()
        assert "This page shows 120 of 216 answers: all to 40 of 72 episodes" in text
        assert "<dt>answers</dt><dd>216</dd>" in text
        assert text == write(tmp_path / "again.html", runs[0]).read_text()
        page.MOST_ANSWERS = 10_000  # type: ignore[attr-defined]  # the fixture sets it back
        whole = write(tmp_path / "whole.html", runs[0]).read_text()
        assert "This page shows" not in whole
        before = [re.split(r'<section id="explorer"', each)[0] for each in (text, whole)]
        assert before[0] == before[1]

    def test_an_episode_is_shown_however_many_answers_it_has(self, runs: list[Run]) -> None:
        numbers = [np.arange(len(run.episodes)) for run in runs]
        chosen = Answers.of(runs, names_of(runs), numbers).chosen(5)
        assert chosen.sum() == 6

    def test_a_run_that_changes_meanwhile_is_one_line(
        self, runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = long_run(runs[0].path, tmp_path / "run", 1, 0)
        assert run.episodes
        (run.path / "samples.jsonl").write_bytes(b"")
        with pytest.raises(UserError, match=r"samples\.jsonl was changed while it was read"):
            Explorer([run])


def names_of(runs: list[Run]) -> list[str]:
    return [run.model for run in runs]


def test_texts_have_the_room_that_there_is(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_CHARACTERS", 216 * 20)
    texts = [json.loads(line)["text"] for line in Explorer(runs[:1]).samples.split("\n")]
    cut = [text for text in texts if "characters are left out here" in text]
    assert cut
    assert all(len(text) < 20 + 60 for text in cut)


def test_memory_does_not_grow_with_texts_that_are_not_shown(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MOST_ANSWERS", 24)
    sizes = [len(long_run(runs[0].path, tmp_path / str(n), n, 8_000).frame) for n in (1, 8)]
    peaks = [peak(lambda run=run: Explorer([run])) for run in (mgsd_bench.load_run(tmp_path / str(n)) for n in (1, 8))]
    assert (peaks[1] - peaks[0]) / (sizes[1] - sizes[0]) < 2_000
