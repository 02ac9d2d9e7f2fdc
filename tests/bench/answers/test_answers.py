"""The answer grammar: what counts as a plan, and that nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_bench.answers.plans import parse_plan, read_plan, spoken, state_part, write_plan

L, D, R, U = "left", "down", "right", "up"
ACTIONS = (L, D, R, U, "pick", "drop")


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("<answer>LLRU</answer>", (L, L, R, U)),
        ("<answer>l d r u</answer>", (L, D, R, U)),
        ("<ANSWER> Left, DOWN ; right | Up </Answer>", (L, D, R, U)),
        ("<answer>L->D->R</answer>", (L, D, R)),
        ("<answer>left → down → up</answer>", (L, D, U)),
        ("<answer>←↓→↑</answer>", (L, D, R, U)),
        ("<answer>⬅️ ⬇️</answer>", (L, D)),
        ("<answer>→ pick ↑ drop</answer>", (R, "pick", U, "drop")),
        ("<answer>U,PICK,R,DROP</answer>", (U, "pick", R, "drop")),
        ("<answer>[up, 'pick up', \"down\", PickUp, pick_up]</answer>", (U, "pick", D, "pick", "pick")),
        ("<answer>up, pick up, drop</answer>", (U, "pick", "drop")),
        ("<answer>1. up\n2. pick up\n3. drop</answer>", (U, "pick", "drop")),
        ("<answer>up pick up drop</answer>", (U, "pick", U, "drop")),
        ("<answer>\n1. L\n2. D\n3) R\n</answer>", (L, D, R)),
        ("<answer>**RRD**</answer>", (R, R, D)),
        ("first <answer>L</answer> no, wait: <answer>D</answer>", (D,)),
        ("<answer>L</answer> and an open one <answer>D", (L,)),
        ("<answer><answer>L</answer>", (L,)),
        ("<think>maybe <answer>L</answer></think><answer>D</answer>", (D,)),
        ("opened by the template: <answer>L</answer></think><answer>D</answer>", (D,)),
        ("<answer>R</answer><think>is that <answer>U</answer> right", (R,)),
    ],
)
def test_plan_is_read(text: str, plan: tuple[str, ...]) -> None:
    assert parse_plan(text) == plan


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I would go right twice and then down.",
        "RRD",
        "answer: RRD",
        "<answer></answer>",
        "<answer> , . </answer>",
        "<answer>go left</answer>",
        "<answer>2L</answer>",
        "<answer>left 3</answer>",
        "<answer>updr</answer>",
        "<answer>LLX</answer>",
        "<answer>L</answer><answer>no idea</answer>",
        "<think><answer>LD</answer>",
        "<think>a<think>b</think><answer>L</answer>",
        "<answer>L</answer></think> hm",
        "</answer>L<answer>",
        "<ans<think>x</think>wer>L</answer>",
        "<answer>🙂</answer>",
    ],
)
def test_no_plan_is_guessed(text: str) -> None:
    assert parse_plan(text) is None


@given(st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=200).map(tuple))
def test_written_plans_are_read_back(plan: tuple[str, ...]) -> None:
    assert parse_plan(f"Route: on.\n<answer>{write_plan(plan)}</answer>") == plan
    assert read_plan(" ".join(plan)) == plan


@given(
    st.text()
    | st.lists(st.sampled_from(["<answer>", "</answer>", "<think>", "</think>", "L", "up", "→", "\n", "1."])).map(
        "".join
    )
)
def test_never_raises(text: str) -> None:
    plan = parse_plan(text)
    assert plan is None or (plan and set(plan) <= set(ACTIONS))
    assert isinstance(state_part(text), str)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece", ["<think>", "</think>", "<answer>", "</answer>", "L ", "pick ", "->", "1.", "(", "\n", "→", "a", "1"]
)
def test_long_texts_take_linear_time(piece: str) -> None:
    """A quadratic step would need hours here."""
    text = piece * (2_000_000 // len(piece))
    parse_plan(text)
    parse_plan(f"<answer>{text}</answer>")


def test_thinking_is_not_spoken() -> None:
    assert "secret" not in spoken("a<think>secret</think>b<think>secret")
    assert spoken("secret</think>said").strip() == "said"


def test_state_part_ends_before_the_last_answer() -> None:
    text = "holes: (0,1)\n<answer>L</answer>\nholes: (1,1)\n<answer>R</answer>\nholes: (2,2)"
    assert "(1,1)" in state_part(text)
    assert "(2,2)" not in state_part(text)
