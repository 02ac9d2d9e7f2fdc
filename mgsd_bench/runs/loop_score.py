"""What is counted in one episode that was acted in step by step."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from mgsd_bench.runs.lines import types_of

STEP_KINDS: dict[str, str] = {
    "u": "useful",
    "n": "neutral",
    "h": "harmful",
    "i": "irreversible",
    "b": "blocked",
    "f": "fatal",
    "x": "done",
}
"""Letters of :attr:`LoopScore.kinds`. An irreversible step is a harmful one after which success is out of reach; ``x``
is a step in a state that is too large to know the distance to go."""

UNREAD = "-"
"""The letter of a turn in which nothing could be read."""

_DONE = "unhi"

FAULTY = frozenset("hibf")
"""Steps that should not have been taken, whatever the plan: harmful, irreversible, blocked and fatal ones."""

CAUSES: dict[str, str] = {"s": "seeing", "p": "planning", "b": "both", "u": "unstated"}
"""Letters of :attr:`LoopScore.causes`."""


@dataclass(frozen=True, slots=True)
class LoopScore:
    """What is counted in one episode that was acted in step by step. An action is a step, whatever came of it.

    Attributes:
        turns: answers that came.
        unread: those in which no action could be read, cut ones included.
        cut: those of them that ran out of tokens.
        actions: actions tried, blocked and fatal ones included.
        blocked: actions that the task's rules do not allow, which change nothing.
        useful: done actions after which there is less to go; None, as the next two, where the state is too large to
            know how much there is to go.
        neutral: done actions after which there is as much to go.
        harmful: done actions after which there is more to go, or success is out of reach.
        visits: states met, the first one and that after each done action.
        distinct: different ones of them.
        looped: whether one action was tried three times or more in one state.
        after_blocked: actions that follow a blocked one, in the same state therefore.
        repeated: those of them that are the blocked action again.
        progress: share of the distance that was covered at the end, from 0 to 1; 0 where success is out of reach. None
            where the state is too large to know.
        kinds: what each turn's actions were, letters of :data:`STEP_KINDS`, and ``-`` for a turn in which nothing
            could be read; a blank between turns.
        explorer: actions that the scripted explorer needs under this view; None, as the next two, under the full view.
        seen: cells ever seen, of those that can be reached.
        reachable: cells that can be reached.
        misread: faulty actions (harmful, blocked or fatal) that are right in the state that was stated in their turn,
            or for which nothing is right there. None, as the next two, where no state is said, or not all of it is
            shown.
        misplanned: faulty actions in turns in which just the true state was stated.
        causes: of each faulty action, in their order, a letter of :data:`CAUSES`.
    """

    turns: int
    unread: int
    cut: int
    actions: int
    blocked: int
    useful: int | None
    neutral: int | None
    harmful: int | None
    visits: int
    distinct: int
    looped: bool
    after_blocked: int
    repeated: int
    progress: float | None
    kinds: str
    explorer: int | None = None
    seen: int | None = None
    reachable: int | None = None
    misread: int | None = None
    misplanned: int | None = None
    causes: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The counts in a line of ``samples.jsonl``, which anybody may have written.

        Raises:
            ValueError: a field is missing, holds something that it cannot hold, or disagrees with another.
        """
        for name, taken in _TAKEN.items():
            value = row.get(name)
            if type(value) not in taken:
                raise ValueError(f"loop.{name} is {'missing' if name not in row else repr(str(value)[:40])}")
            if type(value) is int and not 0 <= value < 2**31:
                raise ValueError(f"loop.{name} is {str(value)[:40]}")
        values: dict[str, Any] = {name: row.get(name) for name in _TAKEN}
        found = cls(**values)
        if fault := found._disagreement():
            raise ValueError(f"loop.{fault}")
        return found

    def to_row(self) -> dict[str, Any]:
        """The inverse of :meth:`from_row`; what is None is left out."""
        return {name: value for name in _TAKEN if (value := getattr(self, name)) is not None}

    def _disagreement(self) -> str | None:
        """What in the counts cannot be; None if nothing is found."""
        turns, letters = self.kinds.split(" ") if self.kinds else [], Counter(self.kinds)
        done = _DONE if self.useful is not None else "x"
        if not all(turn == UNREAD or (turn and set(turn) <= {*done, "b", "f"}) for turn in turns) or letters["f"] > 1:
            return f"kinds is {self.kinds[:40]!r}"
        steps = sum(letters[kind] for kind in done)
        counted: dict[str, int | None] = {
            "turns": len(turns),
            "unread": letters[UNREAD],
            "actions": steps + letters["b"] + letters["f"],
            "blocked": letters["b"],
            "visits": steps + 1,
            **dict.fromkeys(("useful", "neutral", "harmful")),
        }
        if self.useful is not None:
            counted |= {"useful": letters["u"], "neutral": letters["n"], "harmful": letters["h"] + letters["i"]}
        for name, count in counted.items():
            if getattr(self, name) != count:
                return f"{name} is {getattr(self, name)}, and kinds comes to {count}"
        smaller = (
            ("cut", "unread"),
            ("distinct", "visits"),
            ("after_blocked", "blocked"),
            ("repeated", "after_blocked"),
            ("seen", "reachable"),
        )
        for less, more in smaller:
            if (getattr(self, less) or 0) > (getattr(self, more) or 0):
                return f"{less} is more than {more}"
        if self.distinct < 1:
            return "distinct is 0"
        if (self.progress is None) != (self.useful is None):
            return f"progress is {self.progress} with useful {self.useful}"
        if self.progress is not None and not (math.isfinite(self.progress) and 0 <= self.progress <= 1):
            return f"progress is {self.progress}"
        return self._false_causes(letters)

    def _false_causes(self, letters: Counter[str]) -> str | None:
        if self.causes is None:
            return None if self.misread is self.misplanned is None else "misread is counted without causes"
        causes = Counter(self.causes)
        if not set(causes) <= set(CAUSES) or len(self.causes) != sum(letters[kind] for kind in FAULTY):
            return f"causes is {self.causes[:40]!r}"
        counted = {"misread": causes["s"], "misplanned": causes["p"]}
        for name, count in counted.items():
            if getattr(self, name) != count:
                return f"{name} is {getattr(self, name)}, and causes comes to {count}"
        return None


_TAKEN = types_of(LoopScore)
