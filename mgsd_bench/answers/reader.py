"""The one reader of answers: what plan and which facts a text states, and in what form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mgsd_bench.answers.plans import parse_plan, state_part
from mgsd_bench.errors import UserError
from mgsd_envs import Fact, Plan, Task, get_task, task_names

Form = Literal["asked", "none"]
"""How the plan was said: ``asked``, as prompts ask for it, or ``none``, where no plan can be read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model's answer says.

    Attributes:
        plan: names of actions in their order; None where no plan can be read.
        facts: the facts about the state that the text states before its plan, in the task's own words.
        form: how the plan was said.
    """

    plan: Plan | None
    facts: frozenset[Fact]
    form: Form


def parse_answer(text: str, task: str | Task[Any]) -> Answer:
    """Read an answer, as evaluation, training rewards and re-scoring do. Takes time linear in the text's length.

    Args:
        text: the model's raw answer.
        task: the task that it is about, or its name.

    Raises:
        UserError: there is no task of this name; of the text nothing is ever raised.
    """
    if isinstance(task, str):
        if task not in task_names():
            raise UserError(f"task {task}: not installed; installed tasks: {', '.join(task_names())}")
        task = get_task(task)
    plan = parse_plan(text)
    return Answer(plan, task.parse(state_part(text)), "none" if plan is None else "asked")
