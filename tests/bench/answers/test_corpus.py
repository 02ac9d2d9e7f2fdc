"""Texts that a fuzzer guided by coverage found: together they reach nearly every branch of the reader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_bench.answers.reader import parse_answer

ACTION = {"L": "left", "D": "down", "R": "right", "U": "up", "P": "pick", "X": "drop"}
CORPUS = [json.loads(line) for line in Path(__file__).with_name("corpus.jsonl").read_text("utf-8").splitlines()]
PIECES = [
    "<answer>",
    "</answer>",
    "<think>",
    "</think>",
    "R",
    "up",
    "pick up",
    "→",
    "\n",
    "1.",
    "x2",
    "(",
    ")",
    "Plan:",
]


@pytest.mark.parametrize("row", CORPUS)
def test_corpus(row: dict[str, str]) -> None:
    answer = parse_answer(row["text"], row["task"], whole=bool(row["whole"]))
    assert (
        "".join(letter for action in answer.plan or () for letter in ACTION if ACTION[letter] == action) == row["plan"]
    )
    assert answer.form == row["form"]


@given(st.text(st.characters(codec=None)) | st.lists(st.sampled_from(PIECES)).map("".join), st.booleans())
def test_never_raises(text: str, whole: bool) -> None:
    for said in (text, f"<answer>{text}</answer>", f"Answer: {text}", f'{{"answer": "{text}"}}'):
        answer = parse_answer(said, "minibehaviour", whole=whole)
        assert (answer.plan is None) == (answer.form == "none")
        assert answer.plan is None or set(answer.plan) <= set(ACTION.values())


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"answer":' * 100_000,
        '{"answer": ' + "9" * 5000 + "}",
        "<answer>R x" + "9" * 5000 + "</answer>",
        "<answer>" + "1" * 5000 + ". R</answer>",
        "Answer: &#" + "9" * 5000 + ";",
        '{"plan": ["\\ud800"]}',
        "<answer>\ud800</answer>",
    ],
)
def test_what_parsers_choke_on_is_no_plan(text: str) -> None:
    assert parse_answer(text, "frozenlake").plan is None


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("shape", ["{}", "<answer>{}</answer>", "<answer>{}", "Answer: {}", "[{}]", "\\boxed{{}}"])
@pytest.mark.parametrize(
    "piece",
    [
        "<think>",
        "<answer>R</answer>",
        "pick up ",
        "-",
        "=",
        "1. ",
        "(R",
        "→ ",
        "x2",
        "\\boxed{",
        "```",
        "\n",
        "[{",
        "a",
    ],
)
def test_long_texts_take_linear_time(shape: str, piece: str) -> None:
    """A quadratic step would need minutes here."""
    parse_answer(shape.replace("{}", piece * (60_000 // len(piece))), "minibehaviour")
