"""Prompt sets: whole, with their placeholders, and with worked examples that are right.

The conditions and the reader of answers are those of :mod:`mgsd_bench`; nothing else in this package looks upwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgsd_bench.answers.plans import write_plan
from mgsd_bench.answers.reader import parse_answer
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CLOSED_LOOP, CONDITIONS, WITH_FACTS, WITH_PLAN, file_stem, read_texts
from mgsd_envs.rollouts import rollout, trace
from mgsd_envs.search import search
from mgsd_envs.splits import split_of
from mgsd_envs.task import Illegal, Task
from mgsd_envs.types import Cursor

if TYPE_CHECKING:
    from mgsd_envs.testing.contract import Check

_ANSWER = "<answer>"


def check_prompts(check: Check) -> None:
    """Actions can be written and read, and each of the task's prompt sets asks for what answers are read for."""
    task = check.task
    for action in task.actions:
        for said in (action, *task.action_words.get(action, ())):
            read = parse_answer(f"{_ANSWER}{said}, {said}</answer>", task).plan
            check.that(read == (action, action), f"the answer '{said}, {said}' is read as {read}, not as {action}")
        written = write_plan((action, *task.actions))
        read = parse_answer(f"{_ANSWER}{written}</answer>", task).plan
        check.that(read == (action, *task.actions), f"the plan {written} is read back as {read}")
    sets = [path for path in sorted(task.prompts.glob("[!._]*")) if path.is_dir()]
    check.that(
        any(path.name == "default" for path in sets), f"there are no prompts: {task.prompts / 'default'} is missing"
    )
    for folder in sets:
        for say_state in (False, True):
            _check_set(check, folder, say_state)


def _check_set(check: Check, folder: Path, say_state: bool) -> None:
    try:
        texts = read_texts(folder, check.task.themes, CONDITIONS, f"prompts {folder.name}: ", say_state=say_state)
    except UserError as error:
        raise check.error(str(error)) from error
    for condition in CONDITIONS:
        stem = file_stem(condition, say_state=say_state)
        asks_facts = condition in WITH_FACTS or stem == "act.say"
        _check_text(check, f"prompts {folder.name}: {stem}.txt", condition, texts[condition], asks_facts=asks_facts)


def _check_text(check: Check, name: str, condition: str, text: str, *, asks_facts: bool) -> None:
    task = check.task
    asks = _ANSWER in text
    turns = condition in CLOSED_LOOP  # whose protocol asks for actions
    missing_plan = f"{name} does not ask for a plan between {_ANSWER} and </answer>"
    check.that(asks or turns or condition not in WITH_PLAN, missing_plan)
    check.that(not asks or condition in WITH_PLAN, f"{name} asks for a plan, which this condition is not about")
    if asks_facts:
        missing = [one.name for one in task.fields if one.question and one.name not in text.lower()]
        check.that(not missing, f"{name} does not ask for {', '.join(missing)}")
    if "{state}" in text:
        text = text.replace("{state}", "")
    try:
        state = task.from_facts(task.parse(text))
        state = task.from_json(task.to_json(state))
    except ValueError:
        return  # no worked example with a whole state
    check.that(split_of(task.key(state)) != "test", f"{name}: its worked example is a state of the test split", state)
    if not asks:
        return
    plan = parse_answer(text, task).plan
    check.that(plan is not None, f"{name}: the plan of its worked example cannot be read", state)
    assert plan is not None
    best = len(task.solve(state) or ())
    if turns:
        cursors, illegal = trace(task, state, plan)
        check.that(illegal is None, f"{name}: the actions of its worked example are not all possible", state)
        left = _to_go(task, state, cursors[-1])
        nearer = left is not None and len(plan) + left == best
        check.that(nearer, f"{name}: no shortest plan begins with the actions of its worked example", state)
        return
    done = rollout(task, state, plan)
    check.that(done.outcome == "solved", f"{name}: the plan of its worked example is {done.outcome}", state)
    check.that(len(plan) == best, f"{name}: its worked example has {len(plan)} actions; {best} are enough", state)


def _to_go(task: Task[Any], state: Any, cursor: Cursor) -> int | None:
    """Fewest actions from a cursor to success; None if there is no way."""

    def moves(at: Any) -> Iterator[tuple[str, Cursor]]:
        for action in task.actions:
            if not isinstance(reached := task.step(state, at, action), Illegal):
                yield action, reached

    plans = search(cursor, moves, lambda at: task.solved(state, at))  # type: ignore[arg-type]
    return None if plans is None else len(plans.layers)
