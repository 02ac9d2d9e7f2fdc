"""Reading a model's answer. One grammar and one parser, for evaluation, training rewards and re-scoring alike.

Grammar of a plan::

    answer  = the last complete <answer> ... </answer> block outside of thinking
    block   = item (separator item)*
    item    = one or more of the letters L D R U, as in "DDR"
            | left | down | right | up | pick | pickup | pick_up | pick-up | drop
            | "pick up", where a separator other than a space stands on both of its sides
            | one of the arrows ← ↓ → ↑ (also ⬅ ⬇ ➡ ⬆)
    separator = white space, any of , ; . : | / - > _ * ` ' " ( ) [ ] { } +, or a list number such as "2." or "2)"

In a block that has a move as a letter or a word, → is a separator ("left → down"), else it is a move.

Upper and lower case are the same, and so are tags in any case. A block with anything else in it, an empty block or no
block at all is no answer: a plan is never guessed from prose, and an earlier block never replaces a broken last one.

Thinking is what stands between ``<think>`` and ``</think>``, before a ``</think>`` that was never opened (some chat
templates open it in the prompt), and after a ``<think>`` that is never closed.

Everything here takes time linear in the text's length and never raises.
"""

from __future__ import annotations

import re

from mgsd_envs.grid import LETTERS
from mgsd_envs.types import Plan

MOVE_ARROWS = {"left": "←⬅", "down": "↓⬇", "right": "→➡", "up": "↑⬆"}
_THINK_TAG = re.compile(r"<(/?)think>", re.IGNORECASE)
_ANSWER_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)
_PICK_UP = re.compile(r"\bpick[_-]up\b|(?:^|(?<=[\n,;.:|>'\"()\[\]→]))[ \t]*pick up[ \t]*(?=[\n,;.|\-'\"()\[\]→]|$)")
_LIST_NUMBER = re.compile(r"(?<![\w.])\d{1,4}[.):]")
_SEPARATORS = re.compile(r"[\s,;.:|/\->_*`'\"()\[\]{}+\ufe0e\ufe0f]+")
_SPELLED_MOVE = re.compile(r"(?<![a-z])(?:[ldru]+|left|down|right|up)(?![a-z])")
_ARROWS = {ord(arrow): f" {move} " for move, arrows in MOVE_ARROWS.items() for arrow in arrows}
_ARROWS_BUT_RIGHT = {**_ARROWS, **dict.fromkeys(map(ord, MOVE_ARROWS["right"]), " ")}
_WORDS = {
    "left": "left",
    "down": "down",
    "right": "right",
    "up": "up",
    "pick": "pick",
    "pickup": "pick",
    "drop": "drop",
}
_BY_LETTER = {letter.lower(): action for letter, action in LETTERS.items()}


def spoken(text: str) -> str:
    """The text without its thinking."""
    kept: list[str] = []
    depth = position = 0
    for tag in _THINK_TAG.finditer(text):
        if depth == 0:
            kept.append(text[position : tag.start()])
        if not tag[1]:
            depth += 1
        elif depth:
            depth -= 1
        else:
            kept.clear()
        position = tag.end()
    if depth == 0:
        kept.append(text[position:])
    return "\n".join(kept)


def parse_plan(text: str) -> Plan | None:
    """The plan that an answer gives; None if it gives none."""
    block = last_block(text)
    return None if block is None else read_plan(block)


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


def read_plan(block: str) -> Plan | None:
    """The plan written in an answer block; None if it holds nothing, or anything that is not part of a plan."""
    plan: list[str] = []
    lowered = _LIST_NUMBER.sub(" ", _PICK_UP.sub("pick", block.lower()))
    arrows = _ARROWS_BUT_RIGHT if _SPELLED_MOVE.search(lowered) else _ARROWS
    for item in _SEPARATORS.split(lowered.translate(arrows)):
        if action := _WORDS.get(item):
            plan.append(action)
        elif all(letter in _BY_LETTER for letter in item):
            plan.extend(_BY_LETTER[letter] for letter in item)
        else:
            return None
    return tuple(plan) or None


def state_part(text: str) -> str:
    """The part of an answer in which the state is stated: all that is said before the last answer block."""
    said = spoken(text)
    tags = [tag.start() for tag in _ANSWER_TAG.finditer(said) if not tag[1]]
    return said[: tags[-1]] if tags else said


def write_plan(plan: Plan) -> str:
    """A plan in the form that prompts ask for: letters, or a comma list where there is more than moves."""
    letters = {action: letter for letter, action in LETTERS.items()}
    if all(action in letters for action in plan):
        return "".join(letters[action] for action in plan)
    return ",".join(letters.get(action, action.upper()) for action in plan)
