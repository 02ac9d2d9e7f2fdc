"""The words that a task's plans are written in: names, letters and arrows of its actions.

An action is called by its name, by the other names that the task gives it in ``action_words`` and, for the four moves,
by its letter and its arrows. A name of several words is written with ``_``, ``-``, a space or nothing between them.
The four moves, ``pick`` and ``drop`` are understood everywhere: who picks something up on a lake has written a plan,
one that breaks a rule. What the task itself declares wins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mgsd_envs import Task
from mgsd_envs.grid import LETTERS, MOVES

MOVE_ARROWS = {"left": "←⬅", "down": "↓⬇", "right": "→➡", "up": "↑⬆"}
"""The arrows of each move, the plain one first."""


_EVERYWHERE = {"pick": "pick", "pick_up": "pick", "drop": "drop"}


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What the words of one task's plans mean.

    Attributes:
        words: the action by its name in lower case, the words of a name put together without anything between them.
        letters: the action by its letter in lower case; a run of them is a plan.
        phrases: the parts of every name of several words.
    """

    words: Mapping[str, str]
    letters: Mapping[str, str]
    phrases: tuple[tuple[str, ...], ...]

    def actions(self, word: str) -> tuple[str, ...] | None:
        """The actions that a word in lower case stands for, several for a run of letters; None if it is no word."""
        if action := self.words.get(word):
            return (action,)
        letters = self.letters
        return tuple(letters[letter] for letter in word) if word and all(map(letters.__contains__, word)) else None


@lru_cache(maxsize=64)
def vocabulary(task: Task[Any]) -> Vocabulary:
    """The words of a task's plans."""
    names = _EVERYWHERE | {action: action for action in (*MOVES, *task.actions)}
    for action, others in task.action_words.items():
        names |= dict.fromkeys(others, action)
    letters = {letter.lower(): move for letter, move in LETTERS.items()}
    words: dict[str, str] = {}
    phrases = set()
    for name, action in names.items():
        parts = tuple(re.split(r"[\s_-]+", name.lower()))
        if len(name) == 1:
            letters[name.lower()] = action
        else:
            words["".join(parts)] = action
        if len(parts) > 1:
            phrases.add(parts)
    return Vocabulary(words, letters, tuple(sorted(phrases, key=len, reverse=True)))
