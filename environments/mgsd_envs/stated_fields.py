"""Where a text states which field: labels, and the value behind each.

A label is a field's name with a separator behind it. It counts at the start of a line or behind a ``;``, after marks, a
list number or a word such as *State:*; as a key of JSON; and in the middle of a line only where all that stands between
it and the label before is that one's value. So a name in prose is no label, whatever stands behind it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from mgsd_envs.stated_labels import read_field
from mgsd_envs.stated_values import Kind, Value

_MARKS = r"(?:[^\w\n;~!≠¬✗✘❌]|_)*"
_INTRODUCTION = rf"""
    (?:here(?:'s|[ ]is)[ ])?(?:(?:the|my|initial|observed|full)[ ])*
    (?:state|observation|answer|perception|part[ ]1|i[ ]see)
    (?:[ ](?:is|that[ ]i[ ]see|i[ ]see|as[ ]i[ ]see[ ]it|of[ ]the[ ][a-z]+))?["'*_` ]*[:=]{_MARKS}
"""
_LEAD = re.compile(
    rf"""
    {_MARKS}(?:\(?(?:[0-9]{{1,2}}|[a-z])[.):]{_MARKS})?(?:{_INTRODUCTION})?
    (?P<words>(?:(?:the|initial|start|starting)[ _-])*)
    (?P<of>(?:position|location|coordinates?|cells?)[ _]of[ _](?:the[ _])?)?["'*_`]*
    """,
    re.IGNORECASE | re.VERBOSE,
)
_LISTED = re.compile(r"[ \t]*(?:[-*•·>+](?![0-9])[ \t]*)*(?:\(?[0-9]{1,2}[.)][ \t]+)?")
_CELL_AHEAD = re.compile(r"""[\s"'*`_(\[{]*(?:[0-9]|(?:row|column|col|[rcxy])["'*`]*[\s:=]*[0-9])""", re.IGNORECASE)
_OPENING = re.compile(r"[ \t*_`]*[\[{]")
_PIECE = re.compile(r"[^\n;]*")
_BRACKET = re.compile(r"[()\[\]{}]")
_SQUARE_OR_CURLY = re.compile(r"[\[\]{}]")
_DECORATION = " \t\r*_`"
_OPENED_BY = {")": "(", "]": "[", "}": "{"}
_SCALAR = re.compile(r"""[ \t]*(?:"[^"\n]*"|'[^'\n]*'|[^,}\n]*)""")
_TABLE_CELL = re.compile(r"[^|\n]*")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a field.

    Attributes:
        name: the field's name as it is written, in lower case.
        value: what is stated; None where the value cannot be read.
        document: where the JSON object begins that it stands in; None outside of JSON.
        number: the number behind the name, as in ``hole 2: (1,1)``; None where there is none.
    """

    name: str
    value: Value | None
    document: int | None = None
    number: int | None = None


class Labels:
    """Finds fields' names with a separator behind them."""

    def __init__(self, names: Collection[str]) -> None:
        longest_first = sorted(names, key=len, reverse=True)
        spelled = "|".join(re.escape(name).replace(r"\ ", "[ _-]?") for name in longest_first)
        self._name = re.compile(spelled)
        self._label = re.compile(
            rf"""
            (?<![^\W_])(?P<name>{spelled})(?:'s)?
            (?:[ _-]?(?:start(?:ing)?[ _-]?)?
               (?:positions?|pos|locations?|loc|coordinates?|coords?|cells?|squares?|tiles?))?
            (?:[ _-]?\#?(?P<number>[0-9]{{1,2}}))?
            (?![^\W_])[ \t*_`"']*
            (?:\((?:(?:row|r),[ ]?(?:columns?|col|c)|0-(?:indexed|based)|[0-9]{{1,3}}|[a-z])\)[ \t*_`"']*)?
            (?:(?:is[ ])?(?:located[ ])?at[ ]?(?=[:=]))?
            (?:(?P<hard>:=?|==?(?!>))
               |(?P<soft>=>|-+>|[→⇒⟶➡]|-(?=[ \t])|(?<=[\s*_`"'])(?:is|are)(?=[ \t]+[*`]*[0-9(\[])|\||(?=\n)))
            """,
            re.VERBOSE | re.IGNORECASE,
        )

    def find(self, text: str, start: int = 0) -> Iterator[re.Match[str]]:
        """Every label from ``start`` on."""
        # case-sensitive alternatives are searched for several times as fast as the whole pattern
        for name in self._name.finditer(text.lower(), start):
            if label := self._label.match(text, name.start()):
                yield label


def read_statements(text: str, labels: Labels, kinds: Mapping[str, Kind]) -> list[Statement]:
    """Every statement of a field, in order. Takes time linear in the text's length.

    Args:
        text: untrusted text, plain as :func:`mgsd_envs.stated_text.plain` makes it.
        labels: of the names in ``kinds``.
        kinds: what each field holds, by its name.
    """
    scan = _Scan(text, kinds)
    for label in labels.find(text):
        scan.take(label)
    scan.close(len(text))
    return scan.statements


@dataclass(frozen=True, slots=True)
class _Open:
    """A label whose value goes on to the next one."""

    name: str
    number: int | None
    start: int
    soft: bool


class _Scan:
    """Takes labels in the order of the text."""

    def __init__(self, text: str, kinds: Mapping[str, Kind]) -> None:
        self.text = text
        self.kinds = kinds
        self.statements: list[Statement] = []
        self.open: _Open | None = None
        self.chained = False  # whether all since the open label may be its value
        self.end = 0  # of the last label, or of the JSON value behind it

    def take(self, label: re.Match[str]) -> None:
        start = label.start()
        if start < self.end:  # a key inside a JSON value
            return
        if label["number"] and self.kinds[_spelled(label["name"])] not in ("cells", "objects"):
            return
        line = self.text.rfind("\n", self.end, start) + 1
        part = max(line, self.text.rfind(";", self.end, start) + 1)
        lead = _LEAD.fullmatch(self.text, part, start) if part or not self.end else None
        name, soft = _spelled(label["name"]), label["soft"]
        number = int(label["number"]) if label["number"] else None
        if label["hard"] and (document := self.document_of_key(start)) is not None:
            self.close(start)
            self.statements.append(Statement(name, self.value_of_key(name, label.end()), document, number))
            return
        if lead:
            self.close(part)
        elif line or soft in ("", "|", "-") or not self.close_whole(start):
            self.chained = self.chained and not line
            self.end = label.end()
            return
        self.end = label.end()
        if soft == "|":
            cell = _TABLE_CELL.match(self.text, self.end)
            self.add(name, number, read_field(cell[0] if cell else "", self.kinds[name], whole=True), soft=True)
        elif soft is None or _may_be_soft(soft, lead, label):
            self.open, self.chained = _Open(name, number, self.end, soft is not None), True
            value = _OPENING.match(self.text, self.end)
            if value and (closing := self.closing.get(value.end() - 1)):
                self.end = closing  # what looks like a label in there is a part of the value

    def document_of_key(self, start: int) -> int | None:
        """Where the JSON object begins that the name at ``start`` is a key in; None if it is no such key.

        A quote stands before it, and a comma or an opening brace before that.
        """
        before = start - 1
        if before < 0 or self.text[before] not in "\"'":
            return None
        while before > self.end and self.text[before - 1].isspace():
            before -= 1
        if before == 0 or self.text[before - 1] not in "{,":
            return None
        document = bisect_right(self.documents, start) - 1
        if document < 0 or start > self.closing[self.documents[document]]:
            return None
        return self.documents[document]

    def value_of_key(self, name: str, start: int) -> Value | None:
        while start < len(self.text) and self.text[start].isspace():
            start += 1
        if self.text.startswith(("(", "[", "{"), start):
            if start not in self.closing:
                self.end = start
                return None
            self.end = self.closing[start] + 1
        else:
            scalar = _SCALAR.match(self.text, start)
            self.end = scalar.end() if scalar else start
        return read_field(self.text[start : self.end], self.kinds[name], whole=True)

    @cached_property
    def closing(self) -> dict[int, int]:
        """Where each bracket that is closed is closed; a kind of bracket does not mind the other kinds."""
        closing: dict[int, int] = {}
        opened: dict[str, list[int]] = {"(": [], "[": [], "{": []}
        for bracket in _BRACKET.finditer(self.text):
            if opener := _OPENED_BY.get(bracket[0]):
                if opened[opener]:
                    closing[opened[opener].pop()] = bracket.start()
            else:
                opened[bracket[0]].append(bracket.start())
        return closing

    @cached_property
    def documents(self) -> list[int]:
        """Where the outermost closed braces open."""
        outermost: list[int] = []
        end = -1
        for start in sorted(start for start in self.closing if self.text[start] == "{"):
            if start > end:
                outermost.append(start)
                end = self.closing[start]
        return outermost

    def close_whole(self, end: int) -> bool:
        """End the open label's value here, if all of the text between is its value."""
        if not self.open or not self.chained:
            return False
        value = read_field(self.text[self.open.start : end], self.kinds[self.open.name], whole=True)
        if value is None:
            self.chained = False
            return False
        self.add(self.open.name, self.open.number, value, soft=self.open.soft)
        self.open = None
        return True

    def close(self, end: int) -> None:
        """End the open label's value here at the latest."""
        if self.open:
            kind = self.kinds[self.open.name]
            value = self.read_lines(self.open.start, end, kind, whole=self.open.soft)
            self.add(self.open.name, self.open.number, value, soft=self.open.soft)
        self.open = None

    def read_lines(self, start: int, end: int, kind: Kind, *, whole: bool) -> Value | None:
        """A value that stands on the rest of a line, and on those behind it that are a part of it.

        Behind the line come lines that each hold cells and no more, as lists do; before the first of them one blank
        line may stand, and each may be two lines long (``row: 0`` and ``column: 1``).
        """
        position, closed = self.line_end(start, end)
        value = read_field(self.text[start:position], kind, whole=whole)
        if value is None or value.ended or closed or value.phrase:
            return value
        if kind in ("number", "cell") and (value.numbers or value.cells):
            return value
        may_be_blank = not self.text[start:position].strip(_DECORATION)
        while position < end and not closed:
            listed = _LISTED.match(self.text, position + 1, end)
            start = listed.end() if listed else position + 1
            position, closed = self.line_end(start, end)
            piece = self.text[start:position]
            if may_be_blank and not piece.strip():
                may_be_blank = False
                continue
            if not _CELL_AHEAD.match(piece):
                break
            more = read_field(piece, kind, whole=True)
            if more is None:
                position, closed = self.line_end(min(position + 1, end), end)
                more = read_field(self.text[start:position], kind, whole=True)
            if more is None:
                break
            value.add(more)
            may_be_blank = False
        return value

    def line_end(self, start: int, end: int) -> tuple[int, bool]:
        """Where a line ends, or its part before a ``;``, and whether that is because what it stands in is closed there.

        A square or curly bracket that is closed on a later line holds the lines together.
        """
        position = start
        depth = 0
        while True:
            piece = _PIECE.match(self.text, position, end)
            line_end = piece.end() if piece else end
            closing = line_end
            for bracket in _SQUARE_OR_CURLY.finditer(self.text, position, line_end):
                if bracket[0] in "[{":
                    closing = max(closing, self.closing.get(bracket.start(), 0))
                depth += 1 if bracket[0] in "[{" else -1
                if depth < 0:
                    return bracket.start(), True
            if closing in (line_end, end) or closing > end:
                return line_end, False
            depth = 0
            position = closing + 1

    def add(self, name: str, number: int | None, value: Value | None, *, soft: bool) -> None:
        """Note a statement. Behind a soft separator, which prose has too, it is one only where it says something."""
        if not soft or (value and (value.cells or value.labelled or value.numbers or value.phrase or value.nothing)):
            self.statements.append(Statement(name, value, number=number))


def _spelled(name: str) -> str:
    return re.sub("[ _-]", "", name.lower())


def _may_be_soft(soft: str, lead: re.Match[str] | None, label: re.Match[str]) -> bool:
    """Headings need their marks, and ``the size is 4`` is prose."""
    if soft == "":
        return lead is not None and any(mark in lead[0] + label[0] for mark in ("#", "**", "__"))
    return lead is None or not (lead["words"] or lead["of"])
