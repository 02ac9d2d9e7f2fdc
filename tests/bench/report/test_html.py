"""The HTML report as a file: what it holds, and that answers in it stay mere text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mgsd_bench.analysis.diagnose import diagnose
from mgsd_bench.analysis.run import Run
from mgsd_bench.errors import UserError
from mgsd_bench.report.explorer import MOST_ACTIONS, MOST_TEXT, Explorer
from mgsd_bench.report.page import FIRST, in_script, pack
from mgsd_bench.suites.choose import find_suite
from mgsd_envs import get_task, trace
from support.pages import FIGURES, HOSTILE, write


class TestFile:
    def test_holds_everything_and_names_no_address(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        assert text.count("<script") == text.count("</script>") == 4
        assert not re.findall(r"""(?:src|href|action)=["'](?!data:)""", text)
        assert not re.findall(r"@import|url\(", text)
        assert "default-src 'none'" in text
        assert "A &lt;b&gt;bold&lt;/b&gt; title" in text
        assert "Fig. &lt;1&gt;" in text

    def test_is_the_same_every_time(self, run: Run, page: Path, tmp_path: Path) -> None:
        assert write(tmp_path / "again.html", run, figures=FIGURES).read_bytes() == page.read_bytes()

    def test_summary_shows_the_estimates_with_intervals_and_n(self, run: Run, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        macro = diagnose([run]).macro
        for name in ("state_f1", "plan_on_gt", "e2e", "gap"):
            estimate = macro.estimate(name)
            assert estimate is not None
            ends = estimate.value, estimate.low, estimate.high
            value, low, high = (f"{100 * end:.1f}".replace("-", "−") for end in ends)
            assert f'<p class="figure">{value}</p>' in text
            assert f"95 %: {low} to {high} · n&nbsp;=&nbsp;{estimate.n}" in text
        for cause, count in macro.attribution.items():
            assert f"<b>{cause}</b>" in text
            assert f"<td>{count:,} <small>{100 * count / macro.n:.1f} %" in text

    def test_without_a_diagnosis_figures_or_answers(self, run: Run, tmp_path: Path) -> None:
        text = write(tmp_path / "a.html", replace(run, given=[]), diagnosed=False).read_text()
        assert "<dt>model</dt><dd>faulty:0.1,0.2,0.1</dd>" in text
        assert 'class="card"' not in text
        assert "<figure><img" not in text

    def test_with_parts_of_the_diagnosis_missing(self, run: Run, tmp_path: Path) -> None:
        only_visual = replace(run, given=[s for s in run.samples if s.condition == "visual"])
        text = write(tmp_path / "a.html", only_visual).read_text()
        assert text.count("not measured") == 2  # Plan-on-GT and the gap

    def test_a_run_that_does_not_fit_its_episodes(self, run: Run, tmp_path: Path) -> None:
        stray = replace(run.samples[0], episode="maze/3/9999")
        with pytest.raises(UserError, match="do not agree on 'maze/3/9999'"):
            write(tmp_path / "a.html", replace(run, given=[stray]), diagnosed=False)


def unpack(text: str) -> list[int]:
    return [ord(character) - FIRST for character in text]


class TestExplorerData:
    def test_packing_goes_there_and_back(self) -> None:
        assert unpack(json.loads(in_script(pack(range(3000))))) == list(range(3000))

    def test_script_elements_cannot_be_ended(self) -> None:
        assert "<" not in in_script(HOSTILE)
        assert in_script(HOSTILE).isascii()
        assert json.loads(in_script(HOSTILE)) == HOSTILE

    @pytest.mark.parametrize("name", dict.fromkeys(part.task for part in find_suite("smoke").parts))
    def test_routes_repeat_the_rollout_tile_by_tile(self, run: Run, name: str) -> None:
        explorer = Explorer([run])
        index = json.loads(explorer.index)
        episodes = run.episodes
        task = get_task(name)
        looks: dict[tuple[int, int], set[int]] = {}  # (sheet, tile) to the kinds of cell that it stands for
        for line, owner in zip(explorer.samples.split("\n"), index["owners"], strict=True):
            episode = episodes[index["ids"][owner]]
            if episode.task != name:
                continue
            data, picture = json.loads(line), json.loads(explorer.episodes.split("\n")[owner])
            plan = [index["actions"][i] for i in unpack(data["plan"] or "")]
            cursors, illegal = trace(task, episode.state, plan)
            route = data["route"]
            assert [divmod(i, episode.level) for i in unpack(route["path"])] == [tuple(c[:2]) for c in cursors]
            assert route["illegal"] == illegal
            cells = unpack(picture["cells"])
            steps = route["changes"].split(" ") if len(cursors) > 1 else []
            for cursor, changes in zip(cursors, ["", *steps], strict=True):
                pairs = unpack(changes)
                for cell, tile in zip(pairs[::2], pairs[1::2], strict=True):
                    cells[cell] = tile
                kinds = [kind for row in task.tile_ids(task.state_at(episode.state, cursor)) for kind in row]
                for kind, tile in zip(kinds, cells, strict=True):
                    looks.setdefault((picture["sheet"], tile), set()).add(kind)
        assert looks
        assert all(len(kinds) == 1 or (name == "maze" and min(kinds) >= 16) for kinds in looks.values())

    def test_a_long_answer_is_cut_and_a_long_plan_too(self, run: Run) -> None:
        sample = next(s for s in run.samples if s.condition == "visual")
        long = replace(sample, text="a" * MOST_TEXT + "b" * MOST_TEXT, plan=["left"] * 3000)
        shown = json.loads(Explorer([replace(run, given=[long])]).samples)
        assert len(shown["text"]) < MOST_TEXT + 100
        assert f"[... {MOST_TEXT:,} characters are left out here ...]" in shown["text"]
        assert len(shown["plan"]) == MOST_ACTIONS
        assert shown["actions"] == 3000

    @pytest.mark.parametrize(
        ("facts", "note"),
        [
            ([], "The answer states nothing about the state that can be read."),
            ([["size", 3]], "The facts that were stated make no complete world: one player is needed, got 0."),
        ],
    )
    def test_why_there_is_no_believed_state(self, run: Run, facts: list[Any], note: str) -> None:
        sample = next(s for s in run.samples if s.condition == "visual" and s.task == "frozenlake")
        shown = json.loads(Explorer([replace(run, given=[replace(sample, facts=facts)])]).samples)
        assert (shown["believed"], shown["note"]) == (None, note)

    @pytest.mark.parametrize("size", [1, 2, 32])
    def test_a_believed_world_of_another_size(self, run: Run, size: int) -> None:
        sample = next(s for s in run.samples if s.condition == "visual" and s.task == "minibehaviour")
        facts = [["agent", 0, 0], ["printer", 0, 0], ["size", size], ["table", size - 1, 0]]
        explorer = Explorer([replace(run, given=[replace(sample, facts=facts)])])
        shown = json.loads(explorer.samples)
        assert shown["believed"]["size"] == size
        assert len(shown["believed"]["cells"]) == size**2
