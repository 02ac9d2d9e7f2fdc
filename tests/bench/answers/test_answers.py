"""The answer grammar: what counts as a plan, and that nothing else does."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_bench.answers.plans import spoken, write_plan
from mgsd_bench.answers.reader import Answer, parse_answer

L, D, R, U = "left", "down", "right", "up"
ACTIONS = (L, D, R, U, "pick", "drop")


def answer(text: str, *, whole: bool = True) -> Answer:
    return parse_answer(text, "minibehaviour", whole=whole)


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
        ("<answer>\n1. L\n2. D\n3) R\n</answer>", (L, D, R)),
        ("<answer>**RRD**</answer>", (R, R, D)),
        ("first <answer>L</answer> no, wait: <answer>D</answer>", (D,)),
        ("<answer><answer>L</answer>", (L,)),
        ("<think>maybe <answer>L</answer></think><answer>D</answer>", (D,)),
        ("opened by the template: <answer>L</answer></think><answer>D</answer>", (D,)),
        ("<answer>R</answer><think>is that <answer>U</answer> right", (R,)),
    ],
)
def test_plan_in_the_form_asked_for(text: str, plan: tuple[str, ...]) -> None:
    assert (answer(text).plan, answer(text).form) == (plan, "asked")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I would go right twice and then down.",
        "RRD",
        "the answer is RRD",
        "<answer></answer>",
        "<answer> , . </answer>",
        "<answer>go to the left</answer>",
        "<answer>2L</answer>",
        "<answer>left 3</answer>",
        "<answer>updr</answer>",
        "<answer>LLX</answer>",
        "<answer>L</answer><answer>no idea</answer>",
        "<think><answer>LD</answer> hm",
        "<think>a<think>b</think><answer>L</answer> hm",
        "<answer>L</answer></think> hm",
        "</answer>L<answer>",
        "<ans<think>x</think>wer>L</answer>",
        "<answer>🙂</answer>",
    ],
)
def test_no_plan_is_guessed(text: str) -> None:
    assert (answer(text).plan, answer(text).form) == (None, "none")


@given(st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=200).map(tuple))
def test_written_plans_are_read_back(plan: tuple[str, ...]) -> None:
    for form in (write_plan(plan), ", ".join(plan)):
        read = answer(f"Route: on.\n<answer>{form}</answer>")
        assert (read.plan, read.form) == (plan, "asked")


def test_thinking_is_not_spoken() -> None:
    assert "secret" not in spoken("a<think>secret</think>b<think>secret")
    assert spoken("secret</think>said").strip() == "said"


@pytest.mark.parametrize(
    "plan", ["<answer>R</answer>", "\\boxed{R}", "Final answer: R", '{"answer": "R"}', "<answer>R"]
)
def test_a_state_is_stated_before_the_last_answer(plan: str) -> None:
    text = f"size: 5\nagent: (0,1)\n<answer>L</answer>\nagent: (1,1)\n{plan}"
    facts = answer(text.replace("<answer>L</answer>", "") if "<" not in plan[1:] else text).facts
    assert facts == {("size", 5), ("agent", 1, 1)}
    assert answer("size: 5\n<answer>R</answer>\nagent: (2,2)").facts == {("size", 5)}


def test_a_plan_is_no_part_of_the_state() -> None:
    """In JSON the plan stands among the facts; they are handed on without it."""
    seen = []

    class Seeing:
        actions = ("left", "down", "right", "up")
        action_words: ClassVar[dict[str, tuple[str, ...]]] = {}

        def parse(self, text: str) -> frozenset[tuple[str | int, ...]]:
            seen.append(text)
            return frozenset()

    task: Any = Seeing()
    assert parse_answer('I see:\n{"size": 4, "goal": [1, 1], "plan": "RR", "path": [[0, 0]]}', task).plan == (R, R)
    assert parse_answer('<answer>{"size": 4, "answer": "RR"}</answer>', task).plan == (R, R)
    assert parse_answer("goal: (1,1)\n**Answer:** RR", task).plan == (R, R)
    assert seen == ['I see:\n{"size": 4, "goal": [1, 1]}', '\n{"size": 4}', "goal: (1,1)\n"]


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("<think>size: 5\n<answer>R</answer>", set()),
        ("size: 5\nI wrote no <think> part.\nagent: (1,1)\n<answer>R</answer>", {("size", 5), ("agent", 1, 1)}),
    ],
)
def test_a_state_in_thinking_that_is_never_closed(text: str, state: set[Any]) -> None:
    """What is thought is not said; a tag that is only mentioned opens no thinking."""
    assert (answer(text).plan, answer(text).form, answer(text).facts) == ((R,), "loose", state)


@given(st.lists(st.sampled_from(["R", "u", "Up", "right", "PICK", "pick up", "RD", "drop", "x", ""]), max_size=6))
def test_the_short_cut_reads_as_the_grammar_does(items: list[str]) -> None:
    """A mark behind the block, which says nothing, is enough to leave it."""
    for text in (f"<answer>{', '.join(items)}</answer>", f"<think>L</think><answer>{','.join(items)}</answer>"):
        assert answer(text) == answer(f"{text} <")


def test_a_text_that_was_cut_off_gives_no_half_plan() -> None:
    for text in ("<answer>RD", "Answer: RD", "\\boxed{RD}", '{"answer": "RD"}', "<think>so <answer>RD</answer>"):
        assert answer(text).plan == (R, D)
        assert answer(text, whole=False).plan is None
    assert answer("<answer>RD</answer> and then", whole=False).plan == (R, D)
    assert answer("<answer>RD</answer> or <answer>D", whole=False).plan == (R, D)


class Robot:
    """A task with words of its own, of which one means another action elsewhere."""

    actions = ("forward", "turn_left", "turn_right", "jump-2")
    action_words: ClassVar = {"forward": ("F", "ahead"), "turn_left": ("left", "L")}

    def parse(self, text: str) -> frozenset[tuple[str | int, ...]]:
        return frozenset()


@pytest.mark.parametrize(
    ("block", "plan", "form"),
    [
        ("FORWARD,TURN_LEFT,TURN_RIGHT", ("forward", "turn_left", "turn_right"), "asked"),
        ("FLF", ("forward", "turn_left", "forward"), "asked"),
        ("ahead -> turn left -> turn-right", ("forward", "turn_left", "turn_right"), "asked"),
        ("1. Ahead\n2. Turn left\n3. Jump-2", ("forward", "turn_left", "jump-2"), "asked"),
        ("forward x2, left", ("forward", "forward", "turn_left"), "loose"),
        ("forward, PICK", ("forward", "pick"), "asked"),
        ("turn, left", None, "none"),
    ],
)
def test_words_come_from_the_task(block: str, plan: tuple[str, ...] | None, form: str) -> None:
    task: Any = Robot()
    read = parse_answer(f"<answer>{block}</answer>", task)
    assert (read.plan, read.form) == (plan, form)
