"""The one reader of answers: what plan and which facts a text states, and in what form."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from mgsd_bench.answers import candidates
from mgsd_bench.answers.moves import read_moves
from mgsd_bench.answers.notation import end_of_speech
from mgsd_bench.answers.plans import read_asked
from mgsd_bench.answers.speech import speech
from mgsd_bench.answers.vocabulary import Vocabulary, vocabulary
from mgsd_bench.errors import UserError
from mgsd_envs import Fact, Plan, Task, get_task, task_names
from mgsd_envs.grid import MOVES

Form = Literal["asked", "loose", "none"]
"""How the plan was said: ``asked``, as prompts ask for it; ``loose``, clearly, but in another form; or ``none``, where
no plan can be read."""

_OPEN, _CLOSE = "<answer>", "</answer>"
_LIST_MARKS = re.compile(r"\s*,\s*")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model's answer says.

    Attributes:
        plan: names of actions in their order; None where no plan can be read, or two.
        facts: the facts about the state that the text states before its plan, in the task's own words.
        form: how the plan was said.
    """

    plan: Plan | None
    facts: frozenset[Fact]
    form: Form


def parse_answer(text: str, task: str | Task[Any], *, whole: bool = True) -> Answer:
    """Read an answer, as evaluation, training rewards and re-scoring do. Takes time linear in the text's length.

    The grammar is in :mod:`mgsd_bench.answers.candidates`, where a plan stands, :mod:`mgsd_bench.answers.moves`, how it
    is written, and :mod:`mgsd_bench.answers.plans`, the form that prompts ask for.

    Args:
        text: the model's raw answer.
        task: the task that it is about, or its name.
        whole: whether the model came to the end of what it had to say. A plan at the end of a text that was cut off
            may be half a plan, so only closed blocks count there.

    Raises:
        UserError: there is no task of this name; of the text nothing is ever raised.
    """
    if isinstance(task, str):
        if task not in task_names():
            raise UserError(f"task {task}: not installed; installed tasks: {', '.join(task_names())}")
        task = get_task(task)
    plan, form, state = _read(text, vocabulary(task), whole)
    return Answer(plan, task.parse(state) if state.strip() else frozenset(), form)


def _read(text: str, known: Vocabulary, whole: bool) -> tuple[Plan | None, Form, str]:
    """Plan, form, and the part of the text that states the state."""
    if (simple := _simple(text, known)) is not None:
        return simple
    read = partial(read_moves, known=known)
    said, unclosed, mentioned = speech(text)
    if unclosed is None and len(said) < len(text) and (simple := _simple(said, known)) is not None:
        return simple
    found = candidates.find(said, read, whole and unclosed is None)
    if unclosed is not None and whole:
        late = _after_unclosed(unclosed, mentioned, read)
        if late is not None and late.plan is not None:
            if found is None or found.plan is None:
                part = said + "\n" + unclosed[: late.start] if mentioned else said
                return late.plan, "loose", part
            if found.plan != late.plan:
                return None, "none", said[: found.start]
    if found is None:
        return None, "none", said
    state = said[: found.start] + ("\n" + found.state if found.state else "")
    if found.plan is None:
        return None, "none", state
    return found.plan, "asked" if read_asked(text, known) == found.plan else "loose", state


def _simple(text: str, known: Vocabulary) -> tuple[Plan, Form, str] | None:
    """An answer that ends in the text's only tags, with letters or a comma list between them; most are.

    It has no other reading by any rule of the grammar, and it is in the form asked for.
    """
    end = text.rstrip()
    if not end.endswith(_CLOSE) or text.count("<") != 2:
        return None
    start = end.find(_OPEN)
    if start < 0:
        return None
    block = end[start + len(_OPEN) : -len(_CLOSE)].strip().lower()
    plan = known.actions(block)
    if plan is None:
        plan = _listed(block, known)
    return None if plan is None else (plan, "asked", text[:start])


def _listed(block: str, known: Vocabulary) -> Plan | None:
    """A comma list of letters and names, in which no move is a letter and another one a name."""
    plan: list[str] = []
    styles = set()
    for item in _LIST_MARKS.split(block):
        action = known.words.get(item) or known.letters.get(item)
        if action is None:
            return None
        plan.append(action)
        if action in MOVES:
            styles.add(len(item) == 1)
    return tuple(plan) if len(styles) < 2 else None


def _after_unclosed(unclosed: str, mentioned: bool, read: Callable[[str], Plan | None]) -> candidates.Found | None:
    """The closed block or box that ends a thinking which was never closed; where it is only mentioned, any plan."""
    complete, opened = candidates.blocks(unclosed)
    if not complete and opened is None:
        return candidates.at_end(unclosed, read, boxes_only=not mentioned)
    if not complete or opened is not None or end_of_speech(unclosed) > complete[-1].end:
        return None
    return candidates.find(unclosed, read, True)
