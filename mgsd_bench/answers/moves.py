"""The moves that a short text lists, in whatever typography; None where it says anything else, or two things.

Grammar, of text in the notation of :mod:`mgsd_bench.answers.notation`::

    list    = [label (":" | "=")] item (separator item)*
    label   = up to three words such as "Final answer", "Moves", "Action sequence"
    item    = [number] ["move" | "go"] [count "x"] action ["x" count] ["(" the same ")"]
    action  = a word, a run of letters or an arrow of the task's vocabulary
    number  = "1." | "1)" | "1:" | "(1)" | "1 -" | "Step 1:", counting from 0 or 1
    count   = 1 to 64, as in "x2", "× 2", "*2" or "(x2)", of the one action that it stands at

Separators are white space, marks (``, ; : . | / - > + _ * ` ' "`` and bullets), brackets, ``->``, ``=>``, "then" and
"and".

Two readings are none. That is so for

- anything unknown: prose, "or", "not", a question mark, dots that leave something out, numbers that are no list numbers
  (are they counts?), list numbers that do not count, a count behind several actions;
- an arrow beside a name, unless they agree and stand as pairs; → where it may be a move or a separator;
- brackets behind an action that say another one; the same move beside itself in another style; one list given twice, as
  letters and as words; several moves on each of two lines, or sides of "/" or "|";
- "pick up" where spaces separate other moves, for it may be two actions;
- two plans in letters, "RDD, DRD".

All of it is one pass over the tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mgsd_bench.answers import arrows
from mgsd_bench.answers.notation import plain
from mgsd_bench.answers.tokens import Token, tokens
from mgsd_bench.answers.vocabulary import Vocabulary
from mgsd_envs.grid import MOVES
from mgsd_envs.types import Plan

MAX_COUNT = 64
"""Most times that "x2" may repeat an action: twice what crosses the largest grid."""

_NOUN = r"(?:answers?|plan|solution|path|route|moves?|actions?|steps?|sequence|directions?|instructions?|output|result)"
_KIND = r"(?:final|shortest|optimal|best|correct|complete|full|action|move|movement|optimum)"
_LABEL = re.compile(
    rf"[\s*_`'\"#({{\[>•-]{{0,12}}(?:(?:the|my) )?(?:{_KIND}[ _-]){{0,3}}{_NOUN}(?:[ _]{_NOUN}| of {_NOUN})?"
    r"[*_`'\"]{0,4}\s{0,3}[:=](?!>)"
)
_INSIDE = frozenset({"word", "arrow", "hard", "line", "soft"})


@dataclass(frozen=True, slots=True)
class _Item:
    """Actions written as one word, run of letters or arrow.

    ``style`` is that of the token, or ``pair``; ``counted`` says on which side a count stands, or nothing.
    """

    actions: Plan
    text: str
    style: str
    segment: int
    line: int
    counted: str = ""


def read_moves(text: str, known: Vocabulary) -> Plan | None:
    """The plan that a text consists of; None if it holds nothing, anything else, or two readings."""
    lowered = plain(text)
    start = 0
    for _ in range(2):
        if label := _LABEL.match(lowered, start):
            start = label.end()
    pieces: Sequence[Token] | None = tokens(lowered[start:], known)
    if not pieces:
        return None
    paired = False
    if any(token.kind == "arrow" for token in pieces):
        settled = arrows.settle(pieces)
        if settled is None:
            return None
        pieces, paired = settled
    items = _Reader(pieces, paired).read()
    return None if not items or _given_twice(items) else tuple(action for item in items for action in item.actions)


@dataclass(slots=True)
class _Reader:
    """One pass over the tokens of a list; every method answers whether it can still be read in just one way."""

    pieces: Sequence[Token]
    paired: bool
    items: list[_Item] = field(default_factory=list)
    numbers: list[tuple[int, int]] = field(default_factory=list)  # each with how many items stand before it
    segment: int = 0
    line: int = 0
    each: int = 0
    verb: bool = False
    linked: bool = False
    last: Token | None = None  # what stood before, soft separators left out

    def read(self) -> list[_Item] | None:
        closing = _closing(self.pieces)
        k = 0
        while k < len(self.pieces):
            token = self.pieces[k]
            k += 1
            if token.kind == "soft":
                continue
            if token.kind == "open" and self.last is not None and self.last.kind in ("word", "arrow"):
                end = closing.get(k - 1)
                if end is None or not self._gloss(self.pieces[k:end], end + 1):
                    return None
                token, k = self.pieces[end], end + 1
            elif not self._take(token):
                return None
            self.last = token
        done = not (self.verb or self.each or self.linked) and self._counts_up()
        if self.paired and any(item.style != "pair" and item.actions[0] in MOVES for item in self.items):
            return None
        return self.items if done else None

    def _take(self, token: Token) -> bool:
        match token.kind:
            case "word" | "arrow":
                return self._action(token)
            case "hard" | "line" | "link" | "number" | "step":
                return self._separate(token)
            case "times":
                return self.last is not None and self.last.kind in ("word", "arrow") and self._repeat(token.number)
            case "each":
                before = self._before()
                fits = 1 <= token.number <= MAX_COUNT and not self.each and not (before and not before.counted)
                self.each = token.number
                return fits
            case "verb":
                fits, self.verb = not self.verb, True
                return fits
        return True

    def _before(self) -> _Item | None:
        """The item before, if it stands in the same segment."""
        return self.items[-1] if self.items and self.items[-1].segment == self.segment else None

    def _separate(self, token: Token) -> bool:
        if self.verb or self.each or (self.linked and token.kind == "hard"):
            return False
        wrapped = self.last is not None and self.last.kind == "hard"
        self.segment += 1
        self.line += (token.kind == "line" and not wrapped) or token.text in ("/", "|")
        if token.kind == "link":
            self.linked = True
            return bool(self.items) or token.text == "then"
        if token.kind in ("number", "step"):
            self.numbers.append((token.number, len(self.items)))
            return len(self.numbers) > 1 or not self.items
        return True

    def _action(self, token: Token) -> bool:
        if self.verb and (len(token.actions) > 1 or token.actions[0] not in MOVES):
            return False
        if self.each and len(token.actions) > 1:
            return False
        before = self._before()
        style = token.style
        if self.paired and before and before.style != "pair" and (before.style == "arrow") != (style == "arrow"):
            self.items[-1] = replace(before, style="pair")
            self.verb = False
            return before.actions == token.actions and not self.each
        if before and before.counted == "each" and not self.each:
            return False
        if self.items and self.items[-1].actions == token.actions and self.items[-1].style not in (style, "pair"):
            return False
        counted = "each" if self.each else ""
        self.items.append(_Item(token.actions * (self.each or 1), token.text, style, self.segment, self.line, counted))
        self.each, self.verb, self.linked = 0, False, False
        return True

    def _repeat(self, count: int) -> bool:
        """Carry out "x2", of the one action right before it."""
        item = self._before()
        if item is None or item.counted or len(item.actions) > 1 or not 1 <= count <= MAX_COUNT:
            return False
        if len(self.items) > 1 and self.items[-2].segment == self.segment and not self.items[-2].counted:
            return False
        self.items[-1] = replace(item, actions=item.actions * count, counted="times")
        return True

    def _gloss(self, inside: Sequence[Token], behind: int) -> bool:
        """Whether brackets right behind an action hold nothing, its count, the same action, or the whole list anew."""
        said = [token for token in inside if token.kind != "soft"]
        if not said:
            return True
        if len(said) == 1 and said[0].kind in ("times", "each"):
            return self._repeat(said[0].number)
        if not all(token.kind in _INSIDE for token in said) or self.each:
            return False
        actions = tuple(action for token in said for action in token.actions)
        if self.items[-1].style == "pair" or any(token.text == self.items[-1].text for token in said):
            return False
        if actions == self.items[-1].actions:
            if self.paired:
                self.items[-1] = replace(self.items[-1], style="pair")
            return True
        ends = all(token.kind in ("soft", "line") or token.text == "." for token in self.pieces[behind:])
        return ends and actions == tuple(action for item in self.items for action in item.actions)

    def _counts_up(self) -> bool:
        """Whether list numbers, if any, count from 0 or 1, one action each, or are all 1."""
        if not self.numbers:
            return True
        values = [value for value, _ in self.numbers]
        if len(values) == 1:
            return values[0] in (0, 1)
        starts = [before for _, before in self.numbers]
        if starts != list(range(len(self.items))) or any(len(i.actions) > 1 and not i.counted for i in self.items):
            return False
        return values[0] in (0, 1) and (set(values) == {1} or values == list(range(values[0], values[0] + len(values))))


def _closing(pieces: Sequence[Token]) -> dict[int, int]:
    """Where each bracket that holds no other one is closed."""
    closing: dict[int, int] = {}
    opened: int | None = None
    for k, token in enumerate(pieces):
        if token.kind == "open":
            opened = k
        elif token.kind == "close":
            if opened is not None:
                closing[opened] = k
            opened = None
    return closing


def _given_twice(items: Sequence[_Item]) -> bool:
    """Whether the list may be one plan given twice, or two plans.

    A line that ends in a separator goes on in the next one.
    """
    runs = [item for item in items if item.style == "letter" and len(item.text) > 1]
    letters = [a for item in items if item.style == "letter" for a in item.actions if a in MOVES]
    words = [a for item in items if item.style == "word" for a in item.actions if a in MOVES]
    if words and (runs or letters == words):
        return True
    if len(runs) > 1:
        mixed = [run for run in runs if len(set(run.text)) > 1]
        if len({run.text for run in runs}) == 1 or len({run.segment for run in mixed}) > 1:
            return True
    on_line: dict[int, int] = {}
    for item in items:
        on_line[item.line] = on_line.get(item.line, 0) + (1 if item.counted else len(item.actions))
    return sum(count > 1 for count in on_line.values()) > 1
