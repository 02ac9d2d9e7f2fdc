"""What a value with words of a task's own says: cells with labels, such as ``(1,2) red key``, or a phrase.

Which labels there are is not known here: words are read as they stand, and the field says whether they are one of its
labels. A cell's label stands behind it or before it, between separators.
"""

from __future__ import annotations

import re

from mgsd_envs.stated_values import CORRECTION, LABEL, NAMING, TOKEN, Kind, Value, named_cell, read_value
from mgsd_envs.types import Cell

_BESIDE = frozenset(("a", "an", "the", "at", "in", "on", "is", "cell"))
_KEYS = NAMING | frozenset(("color", "colour", "kind", "name", "object", "state", "type"))
_PHRASE = re.compile(
    r"""[\s"'*`_]*(?P<words>[a-z]+(?:[ _-]{1,2}[a-z]+)*)[\s"'*`_]*(?:,?[\s"'*`_|]*\Z|(?P<stop>\.)(?=\s|\Z))""",
    re.IGNORECASE,
)
_NOTHING = re.compile(r"(?:none|null|nil|nothing|empty)\b", re.IGNORECASE)


def read_field(text: str, kind: Kind, *, whole: bool = False) -> Value | None:
    """What a value of any kind says; arguments and result as of :func:`mgsd_envs.stated_values.read_value`."""
    if kind == "objects":
        return _Reader(text, whole).read()
    return _read_phrase(text, whole) if kind == "phrase" else read_value(text, kind, whole=whole)


def _read_phrase(text: str, whole: bool) -> Value | None:
    found = _PHRASE.match(text)
    if not found:
        return None if text.strip(" \t\r\n*_`-") else Value()
    rest = text[found.end() :].strip()
    if rest and (whole or not found["stop"]):
        return None
    words = re.sub("[ _-]+", " ", found["words"].lower())
    return Value(phrase=words, nothing=bool(_NOTHING.fullmatch(words)), ended=bool(rest))


class _Reader:
    """Reads cells with labels, token by token."""

    def __init__(self, text: str, whole: bool) -> None:
        self.text = text
        self.whole = whole
        self.value = Value()
        self.pending: set[str] = set()  # words of an item that has no cell yet
        self.in_item = False  # whether words belong to the last cell
        self.position = 0

    def read(self) -> Value | None:
        value = self.value
        while not value.ended and (token := TOKEN.match(self.text, self.position)):
            start, self.position = token.span()
            name, text = token.lastgroup or "", token[0]
            match name:
                case "column":
                    known = self.cell((int(token["row"]), int(token["column"])), by_position=True)
                case "tight":
                    row, column = text.split(",")
                    known = self.cell((int(row), int(column)), by_position=True)
                case "named":
                    known = self.cell(named_cell(text), by_position=False)
                case "nothing":
                    known = value.nothing = True
                case "word":
                    known = self.word(text.lower(), start)
                case "arrow" | "colon":
                    known = self.in_item
                case "mark":
                    known = True
                    if any(separator in text for separator in ",;\n"):
                        self.separate()
                case "stop":
                    known = True
                    value.ended = not self.whole and bool(self.text[self.position :].strip())
                case _:
                    known = name == "order"
            if not known:
                return None
        self.separate()
        return None if self.pending or (value.nothing and value.labelled) else value

    def cell(self, cell: Cell | None, *, by_position: bool) -> bool:
        if cell is None:
            return False
        self.value.by_position |= by_position
        self.value.labelled.append((cell, self.pending))
        self.pending, self.in_item = set(), True
        return True

    def separate(self) -> None:
        """End an item; words without a cell, as in ``(1,2) blue door, locked``, are part of the item before."""
        self.in_item = False
        if self.pending and self.value.labelled:
            self.value.labelled[-1][1].update(self.pending)
            self.pending = set()

    def word(self, word: str, start: int) -> bool:
        if word == "and":
            self.separate()
            return True
        label = LABEL.match(self.text, start)
        if label and not label[1] and word in _KEYS:
            self.position = label.end()
            return True
        if label and not self.whole:
            self.value.ended = True
            return not CORRECTION.search(label[0])
        if label:
            return False
        if word not in _BESIDE:
            (self.value.labelled[-1][1] if self.in_item else self.pending).add(word)
        return True
