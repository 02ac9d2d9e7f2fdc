"""Prompt sets: whole, with their placeholders, and with worked examples that are right.

The conditions and the reader of answers are those of :mod:`mgsd_bench`; nothing else in this package looks upwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mgsd_bench.answers.plans import write_plan
from mgsd_bench.answers.reader import parse_answer
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CONDITIONS, WITH_FACTS, WITH_PLAN, read_texts
from mgsd_envs.rollouts import rollout
from mgsd_envs.splits import split_of

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
        try:
            texts = read_texts(folder, task.themes, CONDITIONS, f"prompts {folder.name}: ")
        except UserError as error:
            raise check.error(str(error)) from error
        for condition in CONDITIONS:
            _check_text(check, f"prompts {folder.name}: {condition}.txt", condition, texts[condition])


def _check_text(check: Check, name: str, condition: str, text: str) -> None:
    task = check.task
    asks = _ANSWER in text
    check.that(asks or condition not in WITH_PLAN, f"{name} does not ask for a plan between {_ANSWER} and </answer>")
    check.that(not asks or condition in WITH_PLAN, f"{name} asks for a plan, which this condition is not about")
    if condition in WITH_FACTS:
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
    if asks:
        plan = parse_answer(text, task).plan
        check.that(plan is not None, f"{name}: the plan of its worked example cannot be read", state)
        assert plan is not None
        done = rollout(task, state, plan)
        check.that(done.outcome == "solved", f"{name}: the plan of its worked example is {done.outcome}", state)
        best = len(task.solve(state) or ())
        check.that(len(plan) == best, f"{name}: its worked example has {len(plan)} actions; {best} are enough", state)
