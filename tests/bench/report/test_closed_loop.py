"""What is shown of models that act step by step."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rich.console import Console

from mgsd_bench.analysis.closed_loop import LoopDiagnosis
from mgsd_bench.analysis.diagnose_loops import diagnose_loops
from mgsd_bench.analysis.frame import sample_frame
from mgsd_bench.analysis.metrics import ACTING
from mgsd_bench.analysis.summary import summarise
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.report.closed_loop import acting_table, curve, html_tables, tables, terminal_tables, to_markdown
from mgsd_bench.report.figures import FEWEST, to_svg
from mgsd_bench.report.tables import results_table
from mgsd_bench.runs.sample import Sample
from support.gating import call
from support.walking import at_once, careless, episode_of, oracle, run_of, sees, store, walked

SAYS = LoopSettings(say_state=True)
EPISODES = [episode_of(task, 4, i) for task in ("frozenlake", "sokoban") for i in range(4)]


def _samples() -> list[Sample]:
    acted = [walked(e, careless(Random(i)), loop=SAYS, seer=sees) for i, e in enumerate(EPISODES)]
    clever = [replace(walked(e, oracle), condition="act-symbolic") for e in EPISODES]
    stale = [replace(walked(e, careless(Random(9))), condition="act-stale") for e in EPISODES]
    return [*acted, *clever, *stale, *map(at_once, acted)]


@pytest.fixture(scope="module")
def diagnosis() -> LoopDiagnosis:
    return diagnose_loops([run_of(_samples(), model="[b]walker\x1b[31m")])


def _shown(things: Sequence[Any], width: int = 100) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    for thing in things:
        console.print(thing)
    return console.export_text()


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_every_figure_whole(diagnosis: LoopDiagnosis, width: int) -> None:
    text = _shown(terminal_tables(diagnosis), width)
    assert "…" not in text
    assert "\x1b" not in text
    assert "[b]walker" in text
    for title in ("acting step by step", "what it needs", "steps", "what faulty steps are due to"):
        assert f"· {title}" in text


def test_figures_of_tables_are_those_of_the_diagnosis(diagnosis: LoopDiagnosis) -> None:
    act = diagnosis.arm("act")
    assert act is not None
    shown = tables(diagnosis)
    heading, *rows = shown["Acting step by step"][0]
    assert heading == ("task", "", "act", "act-symbolic", "act-stale")
    macro = {row[1]: row[2] for row in rows[[row[0] for row in rows].index("macro") :]}
    spl = act.macro.figures["spl"]
    assert macro["SPL"] == f"{100 * spl.value:.1f} ({100 * spl.low:.0f}–{100 * spl.high:.0f})"
    assert macro["dead ends"].endswith(" n 4")  # of Sokoban alone
    assert macro["n"] == "8"
    gaps = {row[0]: row for row in shown["What it needs"][0] if row[0]}
    assert list(gaps) == ["difference", *(gap.name for gap in diagnosis.gaps)]
    assert gaps["modality gap"][1:3] == ("act", "act-symbolic")
    steps = shown["Steps"][0]
    assert "irreversible" in steps[0]
    assert "done" not in steps[0]
    causes = shown["What faulty steps are due to"][0]
    assert {row[0] for row in causes[1:]} == {"act"}  # alone in saying what it sees
    assert {row[4].split(" ")[0] for row in causes[1:]} == {"100.0"}


def test_markdown_and_html_hold_the_same_tables(diagnosis: LoopDiagnosis) -> None:
    text = to_markdown(diagnosis)
    assert text.count("\n## ") == len(tables(diagnosis)) == len(html_tables(diagnosis, "walker"))
    assert "\\[b\\]walker" in text or r"\[b]walker" in text
    assert "\x1b" not in text


def test_what_no_arm_states_is_not_shown() -> None:
    bare = diagnose_loops([run_of([walked(e, oracle) for e in EPISODES])])
    assert list(tables(bare)) == ["Acting step by step", "Steps"]


@pytest.mark.slow
def test_the_curve_is_drawn(diagnosis: LoopDiagnosis) -> None:
    figure = curve(diagnosis)
    assert figure.get_label() == "turns"
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert [ax.get_title(loc="left").split("\n")[0] for ax in panels] == [arm.name for arm in diagnosis.arms]
    (useful,) = [line for line in panels[1].get_lines() if line.get_label() == "useful"]
    enough = [shares for shares in diagnosis.arms[1].curve if shares.n >= FEWEST]
    assert list(useful.get_ydata()) == [100.0] * len(enough)  # type: ignore[arg-type]
    assert len(enough) < len(diagnosis.arms[1].curve)
    assert to_svg(figure) == to_svg(curve(diagnosis))


def test_eval_shows_how_a_model_acts() -> None:
    summary = summarise(sample_frame(_samples()))
    text = _shown([results_table("act", summary.conditions["act"], "walker")], 80)
    heading = next(line for line in text.splitlines() if line.startswith("task"))
    assert " ".join(heading.split()) == "task level n SR 95 % strict SPL fatal stuck out none cut error"
    table = acting_table("act", summary.conditions["act"], "walker")
    assert table is not None
    shown = _shown([table], 80)
    assert ACTING["repeat"].title in shown
    assert "…" not in shown
    assert acting_table("direct", summary.conditions["direct"], "walker") is None


@pytest.mark.slow
def test_commands_on_a_run_in_which_a_model_acts(tmp_path: Path) -> None:
    run = store(tmp_path / "run", run_of(_samples()), EPISODES)
    said = call("diagnose", run)
    assert "closed_loop.json" in said
    assert "what it needs" in said
    stored = json.loads((run / "closed_loop.json").read_text())
    assert LoopDiagnosis.from_json(stored).to_json() == stored
    assert not (run / "diagnosis.json").exists()
    text = call("report", run, "--condition", "act", "--format", "md", "--measure", "act", "--measure", "act_spl")
    assert "SPL" in text
    assert len(re.findall(r"^\| walker", text, re.MULTILINE)) == 2
    call("report", run, "--condition", "act", "--out", tmp_path / "report.html", "--figures", tmp_path / "figures")
    page = (tmp_path / "report.html").read_text()
    assert "Acting step by step: walker" in page
    assert "What happens in each turn" in page
    assert (tmp_path / "figures" / "turns.svg").exists()
    other = store(tmp_path / "other", run_of(_samples(), history=0), EPISODES)
    assert "other closed loop" in call("compare", run, other, "--condition", "act", code=3)
    assert "not alike in closed-loop" in call("compare", run, other, "--condition", "act", "--allow", "closed-loop")
