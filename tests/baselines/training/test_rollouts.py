"""Sampled answers: their parts, which of them a token belongs to, and their scores."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_baselines.data.examples import reference_answer
from mgsd_baselines.training.rollouts import SPANS, TokenLabeller, cuts, deciles, label, score_rollouts
from mgsd_bench.answers.plans import last_block
from mgsd_envs import Episode

ANSWERS = (
    "size: 3\nRoute: down.\n<answer>DDR</answer>",
    "size: 2",
    "goal: (1,2)\n<answer>R</answer>",
    "Route: up, up",
)


def _part(text: str, name: str) -> str:
    begin = cuts(text)
    starts = (0, begin.route, begin.plan, len(text))
    index = SPANS.index(name)
    return text[starts[index] : starts[index + 1]]


@pytest.mark.parametrize(
    ("text", "state", "route", "plan"),
    [
        ("a\nRoute: b\n<answer>D</answer>", "a\n", "Route: b\n", "<answer>D</answer>"),
        ("a\n**Route:** b\n<ANSWER>D", "a\n", "**Route:** b\n", "<ANSWER>D"),
        ("a\n2. route : b\n<answer>", "a\n", "2. route : b\n", "<answer>"),
        ("a <answer>D</answer>", "a ", "", "<answer>D</answer>"),
        ("Route: b", "", "Route: b", ""),
        ("My Route: b", "My Route: b", "", ""),
        ("<answer>L</answer>\nRoute: b\n<answer>D", "<answer>L</answer>\n", "Route: b\n", "<answer>D"),
        ("Route: a\nRoute: b\n<answer>D\nRoute: c", "Route: a\n", "Route: b\n", "<answer>D\nRoute: c"),
        ("", "", "", ""),
    ],
)
def test_parts_of_an_answer(text: str, state: str, route: str, plan: str) -> None:
    assert [_part(text, name) for name in SPANS] == [state, route, plan]


_PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            ["<answer>", ".\n<answer>", "</answer>", "Route:", "\nRoute", ":", "\n", "<ans", "wer>", "1. "]
        ),
        st.text(max_size=5),
    ),
    max_size=30,
)


@given(_PIECES)
def test_labels_are_those_of_the_first_characters(pieces: list[str]) -> None:
    text = "".join(pieces)
    found, by_character = label(pieces), label(list(text))
    assert len(found) == len(pieces)
    assert found == sorted(found)
    offset = 0
    for piece, part in zip(pieces, found, strict=True):
        if piece:
            assert part == by_character[offset]
        offset += len(piece)
    assert "<answer>" not in _part(text, "plan").lower()[1:]
    assert ("<answer>" in text.lower()) == bool(_part(text, "plan"))
    assert "".join(_part(text, name) for name in SPANS) == text


@given(st.text())
def test_the_plan_read_stands_in_the_plan_part(text: str) -> None:
    block = last_block(f"{text}<answer>DR</answer>")
    if block is not None:
        assert block in _part(f"{text}<answer>DR</answer>", "plan")


def test_one_token_with_two_parts_ends_the_former() -> None:
    assert label(["Route: b", ".\n<answer>", "D"]) == [1, 1, 2]
    pieces = {0: "a\nRou", 1: "te: b", 2: ".\n<answer>", 3: "D"}
    tokenizer = SimpleNamespace(decode=lambda ids, **_: pieces[ids[0]])
    assert TokenLabeller(tokenizer)([0, 1, 2, 3, 3]) == [0, 1, 1, 2, 2]


@pytest.mark.train
def test_labels_from_the_real_tokenizer(tiny: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    labeller = TokenLabeller(tokenizer)
    for text in (*ANSWERS, "é\nRoute: ü\n<answer>D"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert labeller([*ids, tokenizer.eos_token_id]) == label([tokenizer.decode([i]) for i in ids] + ["e"])
    assert labeller([]) == []


@pytest.mark.parametrize("unit", ["\n", " ", "1.", "*", "<answer>", "Route:\n", "\nroute ", "<"])
def test_labelling_finds_the_parts_after_any_amount_of_noise(unit: str) -> None:
    """Quadratic time would take minutes here."""
    noise = [unit] * 50_000
    assert label([*noise, "\n", "Route: b", "\n", "<answer>D"]) == [0] * 50_001 + [1, 1, 2]


def test_tenths_of_an_answer() -> None:
    import torch

    mask = torch.tensor([[1] * 20, [1] * 5 + [0] * 15])
    assert deciles(mask)[0].tolist() == [i // 2 for i in range(20)]
    assert deciles(mask)[1, :5].tolist() == [0, 2, 4, 6, 8]


def test_judged_as_the_evaluation_does(episodes: list[Episode]) -> None:
    first, second = episodes[:2]
    right = reference_answer(first, "visual")
    found = score_rollouts([first.canonical()] * 3 + [second.canonical()], [right, "", right.split("<")[0], right])
    assert found["rollouts/valid"] == [1, 0, 0, 1]
    assert found["rollouts/solved"][:3] == [1, 0, 0]
    assert found["rollouts/state_exact"] == [1, 0, 1, 0]
