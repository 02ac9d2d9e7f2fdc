"""How a person answers a question by keys and buttons, and the text that such an answer comes to.

A model writes; a person presses keys. What is stored of a person is what a model writes that means the same and keeps
to the form asked for: the lines of the state that were typed, if any, and the actions in an ``<answer>`` block, in the
letters that prompts use. So a person's answers are read, scored and read anew as all others are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mgsd_bench.answers.reader import parse_answer
from mgsd_bench.prompts import CLOSED_LOOP, WITH_FACTS, WITH_PLAN
from mgsd_bench.prompts.protocol import LoopSettings, said, written
from mgsd_envs import Task
from mgsd_envs.files import well_formed
from mgsd_envs.types import Plan

MOST_ACTIONS = 4096
"""The most actions of an answer that are taken."""

_ARROWS = {
    "left": "ArrowLeft",
    "right": "ArrowRight",
    "up": "ArrowUp",
    "down": "ArrowDown",
    "forward": "ArrowUp",
}


@dataclass(frozen=True, slots=True)
class Button:
    """An action as a person chooses it.

    Attributes:
        action: its name.
        label: its name for people.
        written: as prompts write it.
        keys: names of the keys that stand for it, as browsers call them, letters in lower case.
    """

    action: str
    label: str
    written: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """What an answer to a question may hold.

    Attributes:
        buttons: the actions of its plan; none where no plan is asked for.
        most: the most actions that it may have; None for any number.
        lines: names of the fields of the state, where the state is asked for.
        states: whether the state is asked for.
        may_be_empty: whether a person may answer that there is no answer.
    """

    buttons: tuple[Button, ...]
    most: int | None
    lines: tuple[str, ...]
    states: bool
    may_be_empty: bool


def form_of(task: Task[Any], condition: str, loop: LoopSettings) -> Form:
    """The form of the answers under a condition."""
    acts = condition in CLOSED_LOOP
    states = loop.say_state if acts else condition in WITH_FACTS
    return Form(
        buttons=buttons(task) if condition in WITH_PLAN else (),
        most=loop.chunk if acts else None,
        lines=tuple(one.name for one in task.fields if not one.given) if states else (),
        states=states,
        may_be_empty=not acts,
    )


def buttons(task: Task[Any]) -> tuple[Button, ...]:
    """A task's actions, with an arrow key where a name of theirs says one, and a letter each where one is free."""
    keys: dict[str, list[str]] = {action: [] for action in task.actions}
    letters = {action: written(action, task).lower() for action in task.actions}
    taken = {letter for letter in letters.values() if len(letter) == 1}
    for action in task.actions:
        names = (action, *task.action_words.get(action, ()))
        arrows = [_ARROWS[name] for name in names if name in _ARROWS and _ARROWS[name] not in taken]
        single = [letters[action]] if len(letters[action]) == 1 else []
        free = [letter for letter in action if letter.isalpha() and letter not in taken]
        keys[action] = [*arrows[:1], *(single or free[:1])]
        taken.update(keys[action])
    return tuple(
        Button(action, action.replace("_", " "), written(action, task), tuple(of_action))
        for action, of_action in keys.items()
    )


def answer_text(task: Task[Any], form: Form, actions: Sequence[str], stated: str) -> str:
    """The text of an answer.

    Args:
        task: what it is about.
        form: what it may hold.
        actions: names of the actions that were chosen, in their order.
        stated: the lines of the state as they were typed; labels without a value are left out.

    Raises:
        ValueError: it holds what the form has no place for, or nothing though it must hold something, or it would be
            read otherwise than it is meant; one line for the person.
    """
    plan: Plan = tuple(actions)
    known = {button.action for button in form.buttons}
    if not known.issuperset(plan):
        raise ValueError("there is no such action here")
    if len(plan) > (form.most or MOST_ACTIONS):
        raise ValueError(f"an answer has at most {form.most or MOST_ACTIONS} actions")
    statement = _statement(form, stated)
    if not plan and not form.may_be_empty:
        raise ValueError("choose an action")
    text = "\n".join(filter(None, (statement, said(plan, task) if plan else "")))
    if known:
        read = parse_answer(text, task)
        if (read.plan, read.form) != ((plan, "asked") if plan else (None, "none")):
            raise ValueError(
                "with this text of the state the plan would be read otherwise; write only the lines asked for"
            )
    return text


def _statement(form: Form, stated: str) -> str:
    if not form.states:
        return ""
    labels = {f"{name}:" for name in form.lines}
    lines = (line.rstrip() for line in well_formed(stated).splitlines())
    return "\n".join(line for line in lines if line and line not in labels)
