"""Answers that cannot be read are said, with the first of them and what would help."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_bench.analysis.unread import Unread, quoted
from mgsd_bench.errors import command_line, spell
from mgsd_bench.runs.sample import Sample
from support.commands import mgsd


def samples(**outcomes: int) -> list[Sample]:
    found = []
    for outcome, count in outcomes.items():
        for _ in range(count):
            i = len(found)
            found.append(
                Sample(
                    f"maze/3/{i:04d}",
                    "maze",
                    3,
                    "visual",
                    0,
                    "",
                    f"I am\n\x1b[31mnumber {i}",
                    "stop",
                    None,
                    None,
                    None,
                    "none",
                    [],
                    outcome,
                    False,
                    None,
                    0,
                    1,
                    False,
                    False,
                    None,
                    None,
                )
            )
    return found


def test_nothing_is_said_of_few() -> None:
    assert not Unread.of(samples(solved=95, no_answer=3, truncated=2)).many
    assert not Unread.of([]).many
    assert not Unread.of([]).all


def test_many_are_said_with_the_first_and_the_remedies() -> None:
    found = Unread.of(samples(solved=80, truncated=12, no_answer=8, error=50))
    assert found.many
    assert (found.answers, found.no_answer, found.truncated, found.all) == (100, 8, 12, False)
    assert spell(found.line(), command_line) == (
        "8 of 100 answers hold nothing that could be read and 12 of 100 were cut off; the first: "
        "'I am [31mnumber 80'; raise --max-tokens; or ask as the model was trained to be asked, with --prompts and "
        "--suite"
    )
    only_cut = spell(Unread.of(samples(truncated=2)).line(), command_line)
    assert only_cut == "2 of 2 were cut off; the first: 'I am [31mnumber 0'; raise --max-tokens"


def test_an_answer_that_was_asked_for_again_counts_once() -> None:
    first, second = samples(no_answer=1), samples(solved=1)
    assert Unread.of([*first, *second]) == Unread(1, 0, 0, "")


@given(st.text())
def test_a_quote_is_one_short_printable_line(text: str) -> None:
    line = quoted(text)
    assert len(line) <= 60
    assert line.isprintable()


def answers(path: Path, text: str, count: int) -> Path:
    path.write_text(
        "".join(f'{{"episode": "{name}", "text": "{text}"}}\n' for name in _episodes(count)), encoding="utf-8"
    )
    return path


def _episodes(count: int) -> list[str]:
    from mgsd_bench.suites.choose import find_suite
    from mgsd_bench.suites.suite import episodes

    return [episode.id for episode in episodes(find_suite("smoke"))][:count]


@pytest.mark.parametrize(("text", "said"), [("I cannot see it.", True), ("<answer>L</answer>", False)])
def test_a_run_that_cannot_be_read_is_said_early_and_last(tmp_path: Path, text: str, said: bool) -> None:
    asked = ("--suite", "smoke", "--out", str(tmp_path / "run"))
    count = len(_episodes(10**6))
    shown = mgsd("score", "--answers", str(answers(tmp_path / "a.jsonl", text, count)), *asked).splitlines()
    early = [line for line in shown if line.startswith("32 of 32 answers hold nothing")]
    assert count >= 32
    assert len(early) == said
    assert (
        shown[-1].startswith(f"{count} of {count} answers hold nothing that could be read; the first: '{text}'") == said
    )
