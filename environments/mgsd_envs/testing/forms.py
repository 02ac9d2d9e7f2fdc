"""A state in all its forms: facts, text, questions, JSON and key, there and back; damaged ones; and false worlds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Any

from mgsd_envs.errors import SearchError
from mgsd_envs.faults import misread
from mgsd_envs.grid import inside
from mgsd_envs.types import Fact

if TYPE_CHECKING:
    from mgsd_envs.testing.contract import Check

_GARBAGE = (
    *("", " ", "\n\n", "I cannot see the picture.", "<answer>LDRU</answer>", "(0,1)", "(((([[[[{{{{", "1. 2. 3."),
    *("::::", '{"a": [1, 2', "٣: (١,٢)", "size", "size:", "size: many", "\x00\x1b[2J", "| | |\n|-|-|", "9" * 400),
)
_JUNK: tuple[Any, ...] = (None, True, -1, 99, 0.5, "x", "", [], {}, [0], [[0, 0]], {"size": 3}, [0, 0, 0])
_PIECES = ("(1,2)", "(99,99)", ":", "\n", ";", ",", "none", "size: 3", " ", "(", "]", "*", "7", "LD", "é", "not ", "=")
_LABELS = {"cell": 0, "cells": 0, "sides": 1}  # what facts of these kinds of fields say besides the cell
_DAMAGES = 12
_FALSE_WORLDS = 3


def check_forms(check: Check, state: Any, level: int) -> None:
    """Every form of a state against the others."""
    with check.working("facts or from_facts", state):
        _check_facts(check, state, level)
    with check.working("describe, parse or questions", state):
        _check_texts(check, state, level)
    with check.working("to_json, from_json or key", state):
        _check_json(check, state)
    with check.working("a damaged state", state):
        _check_damaged(check, state, level)


def _check_facts(check: Check, state: Any, level: int) -> None:
    task = check.task
    facts = task.facts(state)
    check.that(isinstance(facts, frozenset), "facts gives no frozenset", state)
    for fact in facts:
        check.that(_is_fact(check, fact, level), f"{fact!r} is no fact that one of the fields tells", state)
    for order in (sorted(facts, key=str), sorted(facts, key=str, reverse=True)):
        back = task.from_facts(iter(order))
        check.that(back == state, "from_facts does not rebuild the state from its facts", state)
        check.that(hash(back) == hash(state), "from_facts rebuilds a state with another hash", state)
        check.that(task.key(back) == task.key(state), "key depends on the order of the facts", state)
    others = facts - {("size", level)}
    for broken, what in [
        (others, "no size"),
        (facts | {("size", level + 1)}, "two sizes"),
        (others | {("size", 10**6)}, "a size of a million"),
        *((facts | {(fact[0], 99, 99, *fact[3:])}, f"{fact[0]} outside the grid") for fact in _one_a_name(others)),
    ]:
        with check.refused(f"from_facts takes {what}", state):
            task.from_facts(broken)


def _is_fact(check: Check, fact: Fact, level: int) -> bool:
    kinds = {one.fact: one.kind for one in check.task.fields}
    match fact:
        case (str(name), *rest) if kinds.get(name) == "number":
            return len(rest) == 1 and type(rest[0]) is int
        case (str(name), int(row), int(column), *labels) if name in kinds:
            return inside(level, (row, column)) and len(labels) == _LABELS.get(kinds[name], len(labels))
        case (str(name), *_):
            return kinds.get(name, "cell") not in _LABELS
    return False


def _one_a_name(facts: frozenset[Fact]) -> list[Fact]:
    """The first fact about a cell of each name."""
    cells = (fact for fact in sorted(facts, key=str) if len(fact) >= 3 and all(type(part) is int for part in fact[1:3]))
    return list({fact[0]: fact for fact in cells}.values())


def _check_texts(check: Check, state: Any, level: int) -> None:
    task = check.task
    facts, text = task.facts(state), task.describe(state)
    check.that(task.parse(text) == facts, f"parse does not read what describe wrote: {text!r}", state)
    check.that(
        task.parse(f"What I see:\n\n{text}\n<answer>") == facts, "parse does not read a description in a text", state
    )
    asked = task.questions(state)
    check.that(asked, "questions is empty", state)
    for question, answer in asked:
        check.that(question.strip(), f"the question for {answer!r} is empty: give its Field one", state)
        check.that(answer.strip() and len(answer.splitlines()) == 1, f"{answer!r} is not one line", state)
    listed = "\n".join(f"{number}. {answer}" for number, (_, answer) in enumerate(asked, 1))
    read = task.parse(listed)
    wanted = {one.fact for one in task.fields if one.question}  # what has no question is told, and not asked for
    whole = read <= facts and all(fact in read for fact in facts if fact[0] in wanted)
    check.that(whole, f"the answers of questions do not tell the whole state: {listed!r}", state)
    for garbage in _GARBAGE:
        found = task.parse(garbage)
        check.that(isinstance(found, frozenset), f"parse gives {type(found).__name__}, not a frozenset")
        check.that(not found, f"parse reads {set(found)!r:.100} in {garbage!r}")


def _check_json(check: Check, state: Any) -> None:
    task = check.task
    text = json.dumps(task.to_json(state))
    data = json.loads(text)
    check.that(data == task.to_json(state), "to_json gives what JSON changes, such as tuples", state)
    back = task.from_json(data)
    check.that(back == state, "from_json does not rebuild the state from its JSON", state)
    check.that(json.dumps(task.to_json(back)) == text, "to_json writes the same state in two ways", state)
    key = task.key(state)
    check.that(isinstance(key, str) and key, f"key is {key!r}, no text", state)
    check.that(task.key(back) == key, "key gives the same state two names", state)


def _check_damaged(check: Check, state: Any, level: int) -> None:
    """Damaged data is refused by ValueError alone, and damaged text is read as far as it goes."""
    task, rng = check.task, check.random("damage", check.task.key(state))
    text, whole = task.describe(state), json.dumps(task.to_json(state))
    for junk in _JUNK:
        _try(check, "from_json", lambda junk=junk: task.from_json(junk), junk)
    for _ in range(_DAMAGES):
        data = json.loads(whole)
        if places := list(_places(data)):
            parent, key = rng.choice(places)
            parent[key] = rng.choice(_JUNK)
        taken = _try(check, "from_json", lambda data=data: task.from_json(data), data)
        if taken is not None:
            check.that(task.from_json(task.to_json(taken)) == taken, "from_json takes what it gives not back", taken)
    for fact in sorted(task.facts(state), key=str)[:_DAMAGES]:
        left = task.facts(state) - {fact}
        _try(check, "from_facts", lambda left=left: task.from_facts(left), left)
    for _ in range(_DAMAGES):
        start = rng.randrange(len(text) + 1)
        cut = text[:start] + "".join(rng.choices(_PIECES, k=rng.randrange(4))) + text[start + rng.randrange(12) :]
        stated = task.parse(cut)
        check.that(
            all(_is_fact(check, fact, 10_000) for fact in stated), f"parse reads what is no fact in {cut!r}", state
        )
        _try(check, "from_facts", lambda stated=stated: task.from_facts(stated), stated)


def _try(check: Check, what: str, call: Any, given: object) -> Any:
    """A state, or None where it was refused by ValueError."""
    try:
        return call()
    except ValueError:
        return None
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise check.error(f"{what} raises {said} instead of ValueError for {given!r:.200}") from error


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _places(inner)


def check_false_facts(check: Check, state: Any, level: int) -> None:
    """False facts are facts, and a world with some of them can be told, planned in and drawn."""
    with check.working("false_fact, or a state with false facts", state):
        _check_false_facts(check, state, level)
        _check_false_worlds(check, state)


def _check_false_facts(check: Check, state: Any, level: int) -> None:
    task, facts = check.task, check.task.facts(state)
    for fact in sorted(facts - {("size", level)}, key=str):
        false, same = (task.false_fact(state, fact, check.random("false", fact)) for _ in range(2))
        check.that(false == same, f"false_fact gives two answers for {fact} from equal random numbers", state)
        if false is not None:
            check.that(_is_fact(check, false, level), f"false_fact turns {fact} into {false!r}, which is none", state)
            check.that(false[0] == fact[0], f"false_fact turns {fact} into another kind, {false!r}", state)


def _check_false_worlds(check: Check, state: Any) -> None:
    task = check.task
    changed = False
    for number in range(_FALSE_WORLDS):
        seed = f"{check.seed}/{number}"
        believed, again = (misread(task, state, Random(seed), (0.3, 1.0)[number % 2]) for _ in range(2))
        check.that(believed == again, "false facts depend on more than rng", state)
        changed = changed or believed != state
        told = task.facts(believed)
        check.that(
            task.parse(task.describe(believed)) == told, "parse does not read a state with false facts", believed
        )
        task.straight(believed)
        task.draw(believed)
        try:
            plan = task.solve(believed)
        except SearchError:
            continue
        check.that(
            plan is None or isinstance(plan, tuple), f"solve gives {plan!r:.50} for a state with false facts", believed
        )
    check.that(changed, "false_fact changes no fact of the state; a faulty reader would always be right", state)
