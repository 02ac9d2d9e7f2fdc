"""The page about reading answers: every example in it is true."""

from __future__ import annotations

import re
from pathlib import Path

from mgsd_bench.answers.reader import parse_answer

PAGE = Path(__file__).parents[3] / "docs" / "answers.md"
ACTION = {"L": "left", "D": "down", "R": "right", "U": "up", "P": "pick", "X": "drop"}
ROW = re.compile(r"^\| `(?P<text>.+?)` \| (?P<plan>[LDRUPX]+|–) \| (?P<form>asked|loose|none) \|", re.MULTILINE)


def test_every_example_is_read_as_the_page_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = list(ROW.finditer(page))
    assert len(rows) == sum(line.startswith("| `") and line.count("|") > 3 for line in page.splitlines()) > 80
    for row in rows:
        text = row["text"].replace("⏎", "\n").replace("\\|", "|")
        plan = None if row["plan"] == "–" else tuple(ACTION[letter] for letter in row["plan"])
        answer = parse_answer(text, "minibehaviour")
        assert (text, answer.plan, answer.form) == (text, plan, row["form"])
