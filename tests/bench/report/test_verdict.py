"""The verdict in words, and its tables."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mgsd_bench.analysis.comparison import Comparison, ComparisonRow
from mgsd_bench.analysis.verdict import Pair, RunVerdict, Verdict
from mgsd_bench.prompts import CONDITIONS
from mgsd_bench.report.verdict import as_html, sentences
from mgsd_bench.runs.scoring import Outcome
from mgsd_bench.statistics.intervals import Estimate
from support.diagnoses import diagnosis

BOTH = ("symbolic", "visual")
GOOD = RunVerdict(
    BOTH,
    solved=Estimate(0.74, 0.70, 0.77, 600),
    by_task={"maze": Estimate(0.74, 0.70, 0.77, 600)},
    unread=Estimate(0.05, 0.03, 0.07, 600),
    failed=156,
    causes={"planning": Estimate(0.61, 0.53, 0.68, 156), "perception": Estimate(0.39, 0.32, 0.47, 156)},
    sees=Estimate(0.97, 0.965, 0.975, 600),
    invents=Estimate(0.03, 0.02, 0.04, 600),
    diagnosis=diagnosis(),
)
BASE = replace(
    GOOD,
    solved=Estimate(0.02, 0.01, 0.04, 600),
    unread=Estimate(0.31, 0.27, 0.35, 600),
    failed=1_588,
    causes={"format": Estimate(1.0, 0.99, 1.0, 588)},
)


def change(value: float, low: float, high: float) -> Comparison:
    row = ComparisonRow("macro", 600, BASE.solved, GOOD.solved, Estimate(value, low, high, 600), 1, 9, 0.01, None)  # type: ignore[arg-type]
    return Comparison("tiny-base", "tiny-mgsd", "visual", (), row, (), ())


def verdict(*runs: RunVerdict, found: Comparison | None = None, reasons: tuple[str, ...] = ()) -> Verdict:
    ranking = tuple(i for i, run in enumerate(runs) if run.solved)
    pairs = (Pair(ranking[0], ranking[1], found, reasons),) if len(ranking) > 1 else ()
    return Verdict("visual", runs, ranking, pairs)


NAMES = ["tiny-mgsd", "tiny-base"]


def test_several_models_in_words() -> None:
    assert sentences(verdict(GOOD, BASE, found=change(0.72, 0.69, 0.75)), NAMES) == [
        "tiny-mgsd solves 74 % (70–77) from the picture, 72 points above tiny-base (69–75), paired; it sees 97 % "
        "(96–98) of the facts, and 3 % (2–4) of what it states is false; of its 156 failures 61 % (53–68) are "
        "planning, 39 % are perception.",
        "tiny-base solves 2 % (1–4) from the picture; it sees 97 % (96–98) of the facts, and 3 % (2–4) of what it "
        "states is false; of its 1,588 failures 100 % (99–100) hold no plan that can be read; 31 % (27–35) of its "
        "answers could not be read or were cut off.",
    ]


def test_a_difference_that_may_be_chance_is_no_lead() -> None:
    first, _ = sentences(verdict(GOOD, BASE, found=change(0.02, -0.03, 0.07)), NAMES)
    assert "not told apart from tiny-base (2 points, −3 to 7, paired)" in first
    assert "above" not in first


def test_what_is_not_comparable_is_said_instead_of_a_difference() -> None:
    reasons = ("prompts: compact, not default as in runs/a", "look: night, not classic as in runs/a")
    first, _, *besides = sentences(verdict(GOOD, BASE, reasons=reasons), NAMES)
    assert "not comparable with tiny-base (prompts, look)" in first
    assert "points" not in first
    assert besides == [
        f"No difference is given between tiny-mgsd and tiny-base: they are not alike in {reason}." for reason in reasons
    ]
    assert "not comparable</span>" in as_html(verdict(GOOD, BASE, reasons=reasons), NAMES)


def test_missing_conditions_are_named() -> None:
    only_text, only_picture = RunVerdict(("symbolic",)), replace(GOOD, conditions=("visual",))
    assert sentences(verdict(only_picture, only_text), NAMES)[1:] == [
        "tiny-base was not asked under the condition visual (it has symbolic).",
        "Not asked from the state as text, so without Plan-on-GT and gap: tiny-mgsd.",
    ]
    assert "tiny-base" in as_html(verdict(only_picture, only_text), NAMES)


def test_a_model_that_solves_everything_has_no_failures() -> None:
    perfect = replace(GOOD, failed=0, causes={})
    assert "failures" not in sentences(verdict(perfect), NAMES[:1])[0]


def test_names_are_text_and_the_tables_say_what_the_verdict_says() -> None:
    hostile = ["<img src=x onerror=alert(1)>", "<img"]
    page = as_html(verdict(GOOD, BASE, found=change(0.72, 0.69, 0.75)), hostile)
    assert "<img" not in page
    assert page.count("<b>&lt;img src=x onerror=alert(1)&gt;</b> solves") == 1
    assert "72.0 <small>69.0 to 75.0</small>" in page
    words = re.findall(r'<span title="([^"]+)">', page)
    assert words
    assert all(re.match(r"solved \d+ %, perception \d+ %", line) for line in words)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome != Outcome.SOLVED])
def test_there_are_words_for_every_condition_and_outcome(condition: str, outcome: Outcome) -> None:
    run = replace(GOOD, conditions=(condition,), causes={outcome.value: Estimate(1.0, 0.9, 1.0, 156)}, diagnosis=None)
    said, *_ = sentences(Verdict(condition, (run,), (0,), (), ()), ["model"])
    assert said.startswith("model ")
    assert "of its 156 failures 100" in said
