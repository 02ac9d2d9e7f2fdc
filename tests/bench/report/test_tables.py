"""Tables against golden files, and what untrusted names do to them."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from mgsd_bench.analysis.attribution import Attribution
from mgsd_bench.analysis.diagnosis import Diagnosis, FactCounts
from mgsd_bench.analysis.metrics import GATED, METRICS
from mgsd_bench.analysis.overlap import Bounds
from mgsd_bench.analysis.results import Results
from mgsd_bench.analysis.summary import ConditionSummary, Macro, Row
from mgsd_bench.prompts import ONE_SHOT
from mgsd_bench.report.tables import (
    as_markdown,
    as_terminal,
    attribution_table,
    diagnosis_table,
    facts_table,
    model_names,
    paper_table,
    results_table,
)
from mgsd_bench.report.text import csv_text, latex_text, markdown_text, one_line
from mgsd_bench.statistics.intervals import Estimate
from support.diagnoses import bare, diagnosis, est, results, unmeasured

GOLDEN = Path(__file__).parent / "golden"


def fixed() -> list[Results]:
    return [*results(diagnosis(), diagnosis("50%_better|MGSD & <co>", 0.8)), unmeasured()]


def golden() -> dict[str, str]:
    """What each golden file has to hold. After a wanted change, `python tests/test_tables.py` writes them anew."""
    table = paper_table(fixed())
    return {"table.md": table.to_markdown(), "table.tex": table.to_latex(), "table.csv": table.to_csv()}


def show(table: RenderableType, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False, color_system=None)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["table.md", "table.tex", "table.csv"])
def test_paper_table_is_written_as_agreed(name: str) -> None:
    assert golden()[name].encode() == (GOLDEN / name).read_bytes()


def test_csv_is_tidy_and_says_what_the_table_says() -> None:
    table = paper_table(fixed(), "plan_on_gt")
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert len(rows) == 2 * (7 + 3 + 1)  # what the third model lacks is left out
    (row,) = [r for r in rows if r["model"] == "small-4b" and r["task"] == "maze" and r["level"] == "6"]
    truth = results(diagnosis())[0].estimate("plan_on_gt", "maze", 6)
    assert truth is not None
    figures = {key: getattr(truth, key) for key in ("value", "low", "high", "n")}
    assert {key: float(row[key]) for key in figures} == pytest.approx(figures, abs=1e-6)
    assert {r["scope"] for r in rows if r["level"] == ""} == {"task", "macro"}


@pytest.mark.parametrize("measure", [name for name in GATED if METRICS[name].condition in ONE_SHOT])
def test_every_measure_has_a_table_with_a_note_on_its_intervals(measure: str) -> None:
    table = paper_table(fixed(), measure)
    assert table.cells[0][-1] is not None
    assert "Wilson" in table.to_markdown()
    assert "Wilson" in table.to_latex()
    blind = [name for name in table.models if name.startswith("blind")]
    assert len(blind) == (2 if measure == "e2e" else 0)


def test_runs_of_other_tasks_and_sizes_share_a_table() -> None:
    both = diagnosis("maze only")
    maze_only, small = replace(both, tasks={"maze": both.tasks["maze"]}), diagnosis("small", n=20)
    table = paper_table(results(maze_only, small), baselines=False)
    assert [task for task, level in table.columns if level is None] == ["maze", "frozenlake", "minibehaviour", None]
    assert table.cells[0][table.columns.index(("frozenlake", 3))] is None
    assert table.counts[0] == "40/20"


def test_names_that_occur_twice_are_told_apart() -> None:
    assert model_names([diagnosis("a"), diagnosis("b"), diagnosis("a")]) == ["a", "b", "a (2)"]


@pytest.mark.parametrize(
    ("text", "markdown", "latex", "comma"),
    [
        ("Qwen3-VL_4B", "Qwen3-VL_4B", r"Qwen3-VL\_4B", "Qwen3-VL_4B"),
        ("a|b", r"a\|b", r"a\textbar{}b", "a|b"),
        ("a\\|b", r"a\\\|b", r"a\textbackslash{}\textbar{}b", "a\\|b"),
        ("<img src=x>", r"\<img src=x\>", r"\textless{}img src=x\textgreater{}", "<img src=x>"),
        ("_x_ *y* [z](u)", r"\_x\_ \*y\* \[z\](u)", r"\_x\_ *y* [z](u)", "_x_ *y* [z](u)"),
        ("100% $5 #1 {a}~^", r"100% \$5 \#1 {a}\~^", r"100\% \$5 \#1 \{a\}\textasciitilde{}\textasciicircum{}",
         "100% $5 #1 {a}~^"),
        ("a--b", "a--b", "a-{}-b", "a--b"),
        ("=1+1", "=1+1", "=1+1", "'=1+1"),
        ("@cmd", "@cmd", "@cmd", "'@cmd"),
        ("\uff1d1+1", "\uff1d1+1", "\uff1d1+1", "'\uff1d1+1"),
        ("\t=1\n2\x1b[31m\0", r"=1 2 \[31m", "=1 2 [31m", "'=1 2 [31m"),
    ],
)  # fmt: skip
def test_names_are_text_in_every_format(text: str, markdown: str, latex: str, comma: str) -> None:
    assert markdown_text(text) == markdown
    assert latex_text(text) == latex
    assert csv_text(text) == comma


def test_a_name_cannot_break_out_of_its_cell() -> None:
    hostile = diagnosis('[2em]\\\\ \\input{x} | "a,b"\n=1')
    table = paper_table(results(hostile), baselines=False)
    assert [row["model"] for row in csv.DictReader(io.StringIO(table.to_csv()))] == [one_line(hostile.model)] * 11
    assert "\n{[2em]" in table.to_latex()  # braced, or \\ and \midrule would take it for their own argument
    assert "\\input" not in table.to_latex()
    markdown = table.to_markdown().split("\n\n")[0].splitlines()
    assert {line.replace("\\\\", "").replace("\\|", "").count("|") for line in markdown} == {13}


@pytest.mark.parametrize("table", [diagnosis_table, attribution_table, facts_table])
@pytest.mark.parametrize(
    "value", [diagnosis(n=1500), diagnosis(skill=0.0, n=2), bare(), diagnosis("[/x] \x1b[31m" * 9)]
)
def test_terminal_tables_fit_80_columns(table: Any, value: Diagnosis) -> None:
    text = show(table(value))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "\x1b" not in text
    words = {
        diagnosis_table: ("State F1", "Wilson", "equal-weight mean of frozenlake, maze,"),
        attribution_table: ("perception", "Wilson", "counts too many where faults go"),
        facts_table: ("invented", "95 % interval", "true", "stated"),
    }
    assert all(word in " ".join(text.split()) for word in (*words[table], "minibehaviour"))


def test_diagnosis_table_shows_figure_interval_and_another_n() -> None:
    value = diagnosis()
    maze = value.tasks["maze"]
    assert maze.gap is not None
    gap = replace(maze.gap, difference=Estimate(-0.105, -0.2, 0.01, 57))
    value = replace(value, tasks={**value.tasks, "maze": replace(maze, gap=gap)})
    text = show(diagnosis_table(value))
    assert all(part in text for part in ("-10.5", "-20 to +1", "n 57", "88.0", "79–93"))


def test_shares_of_the_attribution_rest_on_episodes_not_repeats() -> None:
    value = diagnosis()
    counts = {**dict.fromkeys(Attribution, 0), "solved": 10, "perception": 10}
    value = replace(value, macro=replace(value.macro, n=10, attribution=counts))
    lines = show(attribution_table(value)).splitlines()
    last = next(line.split() for line in lines if line.startswith("all "))
    assert last == ["all", "10", "50.0", "50.0", "0.0", "0.0", "0.0", "0.0"]
    assert "24–76" in show(attribution_table(value))  # Wilson of 5 in 10


def test_the_attribution_shows_how_far_it_can_be_known() -> None:
    value = diagnosis()
    known, open_ = Bounds(0.25, 0.25, 0.25), Bounds(0.3, 0.251, 0.349)
    bounds = {"perception": open_, "planning": known, "both": Bounds(0.05, 0.0, 0.1)}
    value = replace(value, macro=replace(value.macro, attribution_bounds=bounds), tasks={})
    (line,) = [line for line in show(attribution_table(value)).splitlines() if "[" in line]
    assert line.split() == ["[25–35]", "[0–10]"]
    assert "[" not in show(attribution_table(replace(value, macro=replace(value.macro, attribution_bounds={}))))


def test_facts_are_missed_and_invented_apart() -> None:
    maze = diagnosis().tasks["maze"]
    kinds = {"open": FactCounts(90, 30, 10, 0.8, est(0.1, 80), est(0.25, 80)), "size": FactCounts(0, 0, 0, 1.0)}
    text = show(facts_table(replace(diagnosis(), tasks={"maze": replace(maze, facts=kinds)})))
    rows = [line.split() for line in text.splitlines()]
    assert ["maze", "open", "100", "120", "10.0", "25.0"] in rows
    assert ["size", "0", "0", "–", "–"] in rows
    assert ["all", "10.0", "8.0"] in rows


def test_text_of_a_run_is_never_markup() -> None:
    rows = [["model", "n"], ["[bold]x[/y]", "1"]]
    assert "[bold]x[/y]" in show(as_terminal(rows))
    assert as_markdown([["model", "n"], ["a|\nb", "1"]]) == "| model | n |\n| --- | ---: |\n| a\\| b | 1 |\n"
    estimate = est(0.5, 4)
    outcomes = dict.fromkeys(("wrong", "illegal", "no_answer", "truncated", "error"), 1)
    row = Row("maze", 3, 4, 4, estimate, estimate, estimate, None, outcomes, {})
    summary = ConditionSummary((row,), (row,), Macro(("maze",), estimate, estimate, estimate))
    assert "[/x] · visual" in show(results_table("visual", summary, "[/x]"))


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for file, content in golden().items():
        (GOLDEN / file).write_bytes(content.encode())
