"""Answers that others have labelled; they come with the published test sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mgsd_bench.answers.reader import parse_answer


@pytest.mark.data
def test_labelled_answers(data_root: Path) -> None:
    forms = data_root / "answers" / "forms.jsonl"
    if not forms.is_file():
        pytest.skip(f"no labelled answers at {forms}")
    rows = [json.loads(line) for line in forms.read_text(encoding="utf-8").splitlines()]
    answers = [parse_answer(row["text"], row["task"]) for row in rows]
    plans = [None if row["plan"] is None else tuple(row["plan"]) for row in rows]
    pairs = list(zip(rows, answers, plans, strict=True))
    assert [row["id"] for row, answer, plan in pairs if answer.plan not in (None, plan)] == []
    assert [row["id"] for row, answer, plan in pairs if answer.plan is None and plan is not None] == []
