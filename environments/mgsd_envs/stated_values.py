"""What the value of a stated field says: a number, cells, or cells with their open sides.

A value is a run of tokens that are all known: cells, numbers, sides, marks, and the few words that say where something
is. With one token that is not known it says nothing, since a guess may be false.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from unicodedata import category

from mgsd_envs.grid import LETTERS, MOVES
from mgsd_envs.types import Cell

Kind = Literal["number", "cell", "cells", "sides", "objects", "phrase"]
"""What a field holds: one number, one cell, any number of cells, cells each with the sides that are open, cells each
with a label, or one label."""

_N = r"[0-9]{1,4}(?![0-9]|\.[0-9])"
_NAMED = rf"""["']?(row|r|y|column|col|c|x)["']?[ \t]*(?:index[ \t]*)?[:=#]?[ \t]*["']?({_N})["']?"""
TOKEN = re.compile(
    rf"""
      [(\[{{]\s*(?P<row>{_N})\s*,\s*(?P<column>{_N})\s*(?:[)\]}}]|,(?=\s*["'A-Za-z\[(]))
    | (?<![a-z0-9_])(?P<named>{_NAMED}(?:\s*(?:[,/&|-]|and\b)\s*|\s*){_NAMED})(?![a-z0-9_])
    | (?<![0-9.,(\[{{-])(?P<tight>{_N},{_N})(?!,[0-9])
    | (?P<order>[(\[](?:row|r)\s?,\s?(?:column|col|c)[)\]]\s?[:=]?(?!>))
    | (?P<number>[0-9]+)(?!\.?[0-9])
    | (?P<nothing>(?:none|null|nil|nothing|empty|unknown|n/a|no(?:[ ][a-z]+)?)\b)
    | (?P<word>[a-z]+)
    | (?P<arrow>(?<!-)-+>|(?<!=)=+>|[→⇒⟶➡])
    | (?P<side>[←↓↑⬅⬇⬆])
    | (?P<colon>[:=])
    | (?P<stop>\.(?=\s|$))
    | (?P<mark>\.\.\.|[\s,;"'*`_|&$+•·…\ufe0e\ufe0f]+|[()\[\]{{}}]|-(?![0-9])|(?<=by)-|/(?!/))
    | (?P<other>.)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_PARTS = re.compile(_NAMED, re.IGNORECASE)
_CELL = re.compile(r"\(([0-9]{1,4}), ?([0-9]{1,4})\)(?: ([LDRU]{1,4}))?")
_USUAL = re.compile(r"[\s*`]*{0}(?:, ?{0})*[\s*`]*".format(_CELL.pattern.replace("([", "(?:[")))
_LONE_PAIR = re.compile(r"""[\s*`"'_+•·]*(?:- +)?([0-9]{1,4})(?:\s*,\s*|[ \t]+)([0-9]{1,4})[\s*`"'_,|.]*""")
LABEL = re.compile(r"""[a-z]+((?:[ _-][a-z]+){0,3})[ \t*_`"']*[:=](?!>)""", re.IGNORECASE)
_REMARK = re.compile(r"\([^()\[\]{}0-9\n:=;?]{1,60}\)|(?:\#|//|-(?=\s))[^0-9\n:=;?]{0,80}$", re.MULTILINE)
_DOUBT = re.compile(
    r"\b(?:not?|nor|never|or|if|un\w+|maybe|may|might|could|perhaps|possib\w*|prob\w*|like\w*|guess\w*|sure|wrong|after"
    r"|before|then|next|was|were|except|but|safe|free|avoid\w*|false|assum\w*|\w+n't)\b",
    re.IGNORECASE,
)
CORRECTION = re.compile(
    r"\b(?:not?|or|wrong|correct\w*|actual\w*|should|instead|rather|wait|sorry|revised|updated|fixed)\b", re.IGNORECASE
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NAMING = _words("at cell cells position positions location coordinate coordinates")
_PLACING = NAMING | _words(
    "a an the and in on of is are located standing square squares tile tiles top bottom upper lower left right middle "
    "center centre corner edge row rows column columns side only"
)
_LENGTHS = _words("cols columns rows height width size")
_MEASURING = _LENGTHS | _words(
    "a and board by cell cells each col column grid in is lake map maze of per room row side square squares tall the "
    "tile tiles wide high x"
)
_OPENING = _words(
    "a and are at cell direction directions exit exits in is open opening openings side sides the to toward towards"
)
_KNOWN = {"number": _MEASURING, "cell": _PLACING, "cells": _PLACING, "sides": _OPENING}
_BEFORE_COLON = {"number": _LENGTHS, "cell": NAMING, "cells": NAMING, "sides": _OPENING}
_ARROWS = dict(zip("←↓↑⬅⬇⬆", ("left", "down", "up") * 2, strict=True))
_BY_LETTER = {letter.lower(): side for letter, side in LETTERS.items()}


@dataclass(slots=True)
class Value:
    """What a value says.

    Attributes:
        numbers: for the kind ``number``, every number in it.
        cells: every cell in it, for the kind ``sides`` with its open sides.
        labelled: for the kind ``objects``, cells with the words of their labels in lower case.
        phrase: for the kind ``phrase``, its words in lower case with a space between them.
        by_position: whether a cell is written as two numbers of which none is called the row.
        bare: whether a cell is written without brackets and names.
        nothing: whether it says that there is nothing, as ``none`` does.
        ended: whether the value ended before the text did.
    """

    numbers: set[int] = field(default_factory=set)
    cells: dict[Cell, set[str]] = field(default_factory=dict)
    labelled: list[tuple[Cell, set[str]]] = field(default_factory=list)
    phrase: str = ""
    by_position: bool = False
    bare: bool = False
    nothing: bool = False
    ended: bool = False

    def add(self, other: Value) -> None:
        """Say also what another value says."""
        self.numbers |= other.numbers
        for cell, sides in other.cells.items():
            self.cells.setdefault(cell, set()).update(sides)
        self.labelled += other.labelled
        self.by_position |= other.by_position
        self.bare |= other.bare
        self.nothing |= other.nothing


def read_value(text: str, kind: Kind, *, whole: bool = False) -> Value | None:
    """What a value without labels says; None where a part of it is not known. Takes time linear in the text's length.

    Args:
        text: the value, plain as :func:`mgsd_envs.stated_text.plain` makes it.
        kind: what the field holds.
        whole: whether the value has to be all of the text. Else it ends at a sentence's end, at another label, and, for
            one cell, at an arrow: there a route starts.
    """
    if kind != "number" and _USUAL.fullmatch(text) and (value := _usual(text, kind)):
        return value
    if kind in ("cell", "cells") and (pair := _LONE_PAIR.fullmatch(text)):
        return Value(cells={(int(pair[1]), int(pair[2])): set()}, by_position=True, bare=True)
    reader = _Reader(text, kind, whole)
    return reader.value if reader.read() else None


def _usual(text: str, kind: Kind) -> Value | None:
    """What nearly every value says, read fast."""
    value = Value(by_position=True)
    for row, column, letters in _CELL.findall(text):
        sides = _sides(letters.lower()) if letters else set()
        if letters and (kind != "sides" or not sides):
            return None
        value.cells.setdefault((int(row), int(column)), set()).update(sides)
    return value


class _Reader:
    """Reads one value, token by token. What reads a token returns whether the token may stand where it does."""

    def __init__(self, text: str, kind: Kind, whole: bool) -> None:
        self.text = text
        self.kind = kind
        self.whole = whole
        self.value = Value()
        self.start = self.position = 0
        self.current: Cell | None = None  # whose sides are being read
        self.before = ""  # the last token that is no mark
        self.closed: set[Cell] = set()
        self.arrows_are_sides = kind == "sides" and any(arrow in text for arrow in _ARROWS)

    def read(self) -> bool:
        while not self.value.ended and (token := TOKEN.match(self.text, self.position)):
            self.start, self.position = token.span()
            name, text = token.lastgroup or "", token[0]
            match name:
                case "column":
                    known = self.cell((int(token["row"]), int(token["column"])), by_position=True)
                case "tight":
                    row, column = text.split(",")
                    self.value.bare = True
                    known = self.cell((int(row), int(column)), by_position=True)
                case "named":
                    known = self.cell(named_cell(text))
                case "number":
                    known = self.kind == "number" and len(text) <= 4
                    if known:
                        self.value.numbers.add(int(text))
                case "nothing":
                    known = self.none()
                case "word":
                    known = self.word(text.lower())
                case "arrow":
                    known = self.arrow(text)
                case "side":
                    known = self.sides({_ARROWS[text]})
                case "colon":
                    known = self.kind == "sides" and self.current is not None
                case "stop":
                    known = True
                    self.value.ended = not self.whole and bool(self.text[self.position :].strip())
                case _:
                    known = name in ("mark", "order") or (category(text) == "So" and text not in "✗✘❌🚫⛔")
                    if text[0] in "(#/-" and (remark := self.remark()):
                        known = not _DOUBT.search(remark)
            if not known:
                return False
            if name not in ("mark", "order"):
                self.before = "right" if name == "arrow" and self.arrows_are_sides else name
        return not (self.value.nothing and (self.value.cells or self.value.numbers))

    def cell(self, cell: Cell | None, *, by_position: bool = False) -> bool:
        if cell is None or (self.kind == "sides" and self.before == "arrow"):  # the way from one cell to another
            return False
        self.value.by_position |= by_position
        self.value.cells.setdefault(cell, set())
        if self.kind == "number":
            self.value.numbers.update(cell)
        self.current = cell
        return True

    def sides(self, sides: set[str]) -> bool:
        if self.kind != "sides" or self.current is None or self.current in self.closed:
            return False
        self.value.cells[self.current] |= sides
        return True

    def none(self) -> bool:
        if self.kind != "sides" or self.current is None:
            self.value.nothing = True
            return True
        self.closed.add(self.current)
        return not self.value.cells[self.current]

    def word(self, word: str) -> bool:
        label = LABEL.match(self.text, self.start)
        if self.kind == "sides" and not label and (sides := _sides(word)):
            return self.sides(sides)
        if label and not label[1] and word in _BEFORE_COLON[self.kind]:
            self.position = label.end()
            return True
        if label and not self.whole:
            self.value.ended = True
            return not CORRECTION.search(label[0])
        if word in ("is", "are") and self.value.cells and self.kind != "sides":  # what a cell is is another statement
            return False
        return not label and word in _KNOWN[self.kind]

    def arrow(self, arrow: str) -> bool:
        if self.kind == "sides" and self.current is not None:
            if self.arrows_are_sides and arrow in "→⇒⟶➡":
                return self.before in ("colon", "side", "right") and self.sides({"right"})
            return True
        self.value.ended = self.kind == "cell" and bool(self.value.cells) and not self.whole
        return self.value.ended

    def remark(self) -> str:
        """The remark here behind one cell or a number, such as ``(the elf)``; empty if there is none."""
        remark = _REMARK.match(self.text, self.start)
        if not remark or self.kind not in ("cell", "number") or not (self.value.cells or self.value.numbers):
            return ""
        self.position = remark.end()
        return remark[0]


def named_cell(text: str) -> Cell | None:
    """The cell of ``row 0, column 1``, in any order, or of ``x=1, y=0``; None for two rows, or a row and an x."""
    numbers = {name.lower(): int(number) for name, number in _PARTS.findall(text)}
    match sorted(numbers.items()):
        case [("c" | "col" | "column", column), ("r" | "row", row)] | [("x", column), ("y", row)]:
            return row, column
    return None


def _sides(word: str) -> set[str]:
    """The sides that one lower-case word names."""
    if word in MOVES:
        return {word}
    if len(word) <= len(LETTERS) and set(word) <= _BY_LETTER.keys():
        return {_BY_LETTER[letter] for letter in word}
    return set()
