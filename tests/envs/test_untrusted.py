"""What others wrote, as a state: taken whole or refused, and read in linear time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgsd_envs.task import Task
from mgsd_envs.types import Fact
from support.tasks import FROZENLAKE, MAZE, MINIBEHAVIOUR, every_task, near, sampled, states

junk = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 40) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


class TestUntrusted:
    @every_task
    @given(data=st.data())
    @settings(max_examples=150)
    def test_from_json_takes_a_state_or_raises_value_error(self, task: Task[Any], data: st.DataObject) -> None:
        value = task.to_json(data.draw(states(task, st.just(task.min_level))))
        for _ in range(data.draw(st.integers(1, 2))):
            inside = list(places(value))
            if inside and data.draw(st.integers(0, 9)):
                parent, key = data.draw(st.sampled_from(inside))
                parent[key] = data.draw(junk)
            else:
                value = data.draw(junk)
        try:
            state = task.from_json(value)
        except ValueError:
            return
        assert task.from_json(task.to_json(state)) == state
        assert json.loads(json.dumps(task.to_json(state))) == task.to_json(state)

    @pytest.mark.parametrize(
        ("task", "data"),
        [
            (FROZENLAKE, {"size": 3, "player": [0, 0], "goal": [0, 0], "holes": []}),
            (FROZENLAKE, {"size": 3, "player": [0, 0], "goal": [0, 1], "holes": [[0, 1]]}),
            (FROZENLAKE, {"size": 3, "player": [0, 0], "goal": [0, 3], "holes": []}),
            (FROZENLAKE, {"size": 3, "player": [True, False], "goal": [0, 1], "holes": []}),
            (FROZENLAKE, {"size": 33, "player": [0, 0], "goal": [0, 1], "holes": []}),
            (FROZENLAKE, {"size": 3, "player": [0, 0], "goal": [0, 1]}),
            (MAZE, {"size": 2, "player": [0, 0], "goal": [0, 1], "open": [["R", ""], ["", ""]]}),
            (MAZE, {"size": 2, "player": [0, 0], "goal": [0, 1], "open": [["LR", "L"], ["", ""]]}),
            (MAZE, {"size": 2, "player": [0, 0], "goal": [0, 1], "open": [["R", "L"]]}),
            (MAZE, {"size": 2, "player": [0, 0], "goal": [0, 1], "open": [[1, 2], [3, 4]]}),
            (MAZE, {"size": 2, "player": [0, 0], "goal": [0, 1], "open": [["X", ""], ["", ""]]}),
            (MINIBEHAVIOUR, {"size": 4, "agent": [0, 0], "printer": [0, 1], "table": []}),
            (MINIBEHAVIOUR, {"size": 4, "agent": [0, 0], "printer": [0, 1], "table": [[0, 1]]}),
            (MINIBEHAVIOUR, {"size": 4, "agent": [0, 0], "printer": [0, 0], "table": [[0, 1]]}),
            (MINIBEHAVIOUR, None),
            (MAZE, [1, "a"]),
        ],
    )
    def test_from_json_refuses(self, task: Task[Any], data: Any) -> None:
        with pytest.raises(ValueError):
            task.from_json(data)

    @every_task
    @pytest.mark.parametrize(
        "change",
        [
            lambda facts: [fact for fact in facts if fact[0] != "size"],
            lambda facts: [*facts, ("size", 7)],
            lambda facts: [("size", 10**6) if fact[0] == "size" else fact for fact in facts],
            lambda facts: [fact for fact in facts if fact[0] not in ("player", "agent")],
            lambda facts: [*facts, ("player", 0, 0), ("player", 0, 1), ("agent", 0, 0), ("agent", 0, 1)],
            lambda facts: [*facts, ("hole", 9, 9), ("table", 9, 9), ("open", 9, 9, "left"), ("wall", 9, 9)],
            lambda facts: [*facts, ("hole", "a", 1), ("table", 1), ("open", 1, 1), ("wall", 1)],
            lambda facts: [*facts, ("hole", 1), ("table", 1, 2, 3), ("open", 1, 1, "north"), ("box", 1)],
        ],
    )
    def test_from_facts_refuses_what_is_no_world(
        self, task: Task[Any], change: Callable[[list[Fact]], list[Fact]]
    ) -> None:
        state = sampled(task, 5)
        with pytest.raises(ValueError):
            task.from_facts(change(sorted(task.facts(state), key=str)))

    @every_task
    @given(text=st.text(max_size=300))
    def test_parse_of_any_text_gives_facts(self, task: Task[Any], text: str) -> None:
        assert_facts(task, task.parse(text))

    @every_task
    @given(data=st.data())
    @settings(max_examples=100)
    def test_parse_of_broken_descriptions_gives_facts(self, task: Task[Any], data: st.DataObject) -> None:
        words = [
            *("size", "player", "goal", "holes", "agent", "printer", "table", "open", "none", "LDRU", "left", "up"),
            *(":", "=", ";", "\n", " ", "**", "- ", "1. ", "(1,2)", "[0, 3]", "(", ")", "[", ",", "7", "99999"),
            *("é", "٣", "²"),
        ]
        chunk = st.lists(st.sampled_from(words), max_size=12).map("".join)
        text = task.describe(data.draw(states(task, st.integers(task.min_level, near(task, 5)))))
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, len(text)))
            end = start + data.draw(st.integers(0, 12))
            text = text[:start] + data.draw(chunk) + text[end:]
        assert_facts(task, task.parse(text))

    @pytest.mark.slow
    @every_task
    @pytest.mark.timeout(20)
    @pytest.mark.parametrize(
        "piece",
        [
            *(";", " ", "\n", "\t", "(", "[", "*", "-", ":", "=", "1", "9.", "(1,", "(1,2", "(1,2)", "size", "size:"),
            *("Size ", ";size", ";size ", "; ", "\n ", "\n-", "\n*\t", "\n(1,1)", "holes:\n", "holes: (1,1)\n"),
            *("table: (0,0);", "open: (0,0) L\n", "(0,0) LDRU,", "1. ", ";1.", "1)(", "left", "\u0130", "[ 1 , 1 ]"),
        ],
    )
    def test_parse_reads_the_last_statement_after_any_amount_of_noise(self, task: Task[Any], piece: str) -> None:
        """Quadratic time would take minutes here."""
        state = sampled(task, task.min_level)
        noise = piece * (100_000 // len(piece))
        assert task.parse(noise + "\n\n" + task.describe(state)) == task.facts(state)
        assert_facts(task, task.parse("open:" + noise))
        assert_facts(task, task.parse(noise + "x"))


def assert_facts(task: Task[Any], facts: Iterable[Fact]) -> None:
    arity = {"size": 2, "open": 4}
    names = {fact[0] for fact in task.facts(sampled(task, task.min_level))} | {"hole"}
    for fact in facts:
        assert fact[0] in names
        assert len(fact) == arity.get(fact[0], 3)
        assert all(isinstance(value, int) and value >= 0 for value in fact[1:3])


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places(inner)
