"""The form that prompts ask for: how it is read, strictly, and how a plan is written in it.

Grammar of the form asked for::

    answer    = the last complete <answer> ... </answer> block outside of thinking
    block     = item (separator item)*
    item      = one or more of the letters L D R U, as in "DDR", in either case
              | an action's name, in either case; of a name of several words, "pick_up", "pick-up" or "pickup"
              | "pick up", where a separator other than a space stands on both of its sides
              | one of the arrows ← ↓ → ↑ (also ⬅ ⬇ ➡ ⬆)
    separator = white space, any of , ; . : | / - > _ * ` ' " ( ) [ ] { } +, or a list number such as "2." or "2)"

In a block that has a move as a letter or a word, → is a separator ("left → down"), else it is a move.

A block with anything else in it, an empty block or no block at all is not the form asked for. Thinking is what stands
between ``<think>`` and ``</think>``, before a ``</think>`` that was never opened (some chat templates open it in the
prompt), and after a ``<think>`` that is never closed.

This alone can misread: whether what it reads is the plan is for :mod:`mgsd_bench.answers.reader` to say. All of it
takes time linear in the text's length and never raises.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from mgsd_bench.answers.vocabulary import MOVE_ARROWS, Vocabulary
from mgsd_envs.grid import LETTERS
from mgsd_envs.types import Plan

_THINK_TAG = re.compile(r"<(/?)think>", re.IGNORECASE)
_ANSWER_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)
_LIST_NUMBER = re.compile(r"(?<![\w.])\d{1,4}[.):]")
_SEPARATORS = re.compile(r"[\s,;.:|/\->_*`'\"()\[\]{}+\ufe0e\ufe0f]+")
_SPELLED_MOVE = re.compile(r"(?<![a-z])(?:[ldru]+|left|down|right|up)(?![a-z])")
_ARROWS = {ord(arrow): f" {move} " for move, arrows in MOVE_ARROWS.items() for arrow in arrows}
_ARROWS_BUT_RIGHT = {**_ARROWS, **dict.fromkeys(map(ord, MOVE_ARROWS["right"]), " ")}


class Thinking(NamedTuple):
    """A text and its thinking: what is said outside, all tags, and where what is never closed was opened, else None."""

    said: str
    tags: list[re.Match[str]]
    unclosed: int | None


def thinking(text: str) -> Thinking:
    """Part a text from what stands between ``<think>`` and ``</think>``."""
    kept: list[str] = []
    tags = list(_THINK_TAG.finditer(text)) if "<" in text else []
    depth = position = first = 0
    for tag in tags:
        if depth == 0:
            kept.append(text[position : tag.start()])
            first = tag.start()
        if not tag[1]:
            depth += 1
        elif depth:
            depth -= 1
        else:
            kept.clear()
        position = tag.end()
    if depth == 0:
        kept.append(text[position:])
    return Thinking("\n".join(kept), tags, first if depth else None)


def spoken(text: str) -> str:
    """The text without its thinking."""
    return thinking(text).said


def last_block(text: str) -> str | None:
    """What the last complete answer block outside of thinking holds; None if there is no such block."""
    said = spoken(text)
    block = None
    opened: int | None = None
    for tag in _ANSWER_TAG.finditer(said):
        if not tag[1]:
            opened = tag.end()
        elif opened is not None:
            block = said[opened : tag.start()]
            opened = None
    return block


def read_asked(text: str, known: Vocabulary) -> Plan | None:
    """The plan of an answer in the form asked for; None if it has another form."""
    block = last_block(text)
    if block is None:
        return None
    plan: list[str] = []
    lowered = block.lower()
    if phrase := _phrases(known.phrases):
        lowered = phrase.sub(lambda found: re.sub(r"[\s_-]", "", found[0]), lowered)
    lowered = _LIST_NUMBER.sub(" ", lowered)
    arrows = _ARROWS_BUT_RIGHT if _SPELLED_MOVE.search(lowered) else _ARROWS
    for item in _SEPARATORS.split(lowered.translate(arrows)):
        if item:
            actions = known.actions(item)
            if actions is None:
                return None
            plan.extend(actions)
    return tuple(plan) or None


@lru_cache(maxsize=64)
def _phrases(phrases: tuple[tuple[str, ...], ...]) -> re.Pattern[str] | None:
    alternatives = []
    for parts in phrases:
        parts = tuple(map(re.escape, parts))
        alternatives.append(r"\b" + "[_-]".join(parts) + r"\b")
        before, behind = r"(?:^|(?<=[\n,;.:|>'\"()\[\]→]))[ \t]*", r"[ \t]*(?=[\n,;.|\-'\"()\[\]→]|$)"
        alternatives.append(before + " ".join(parts) + behind)
    return re.compile("|".join(alternatives)) if alternatives else None


def write_plan(plan: Plan) -> str:
    """A plan in the form that prompts ask for: letters, or a comma list where there is more than moves."""
    letters = {action: letter for letter, action in LETTERS.items()}
    if all(action in letters for action in plan):
        return "".join(letters[action] for action in plan)
    return ",".join(letters.get(action, action.upper()) for action in plan)
