"""Text as models write it, made plain: ASCII marks, line ends, no tags, tables as lines."""

from __future__ import annotations

import re

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_TABLE = str.maketrans(
    {
        **{chr(code): chr(ascii_code) for code, ascii_code in _FULL_WIDTH.items()},
        **dict.fromkeys(
            "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
        ),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", ""),
        **dict.fromkeys("\x85\u2028\u2029", "\n"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("“”„«»", '"'),
        **dict.fromkeys("‘’", "'"),
        **dict.fromkeys("⟨〈《", "("),
        **dict.fromkeys("⟩〉》", ")"),
        **dict.fromkeys("【〔「", "["),
        **dict.fromkeys("】〕」", "]"),
        **{"、": ",", "。": ". ", "×": "x", "İ": "I", "│": "|", "∶": ":"},
    }
)
_TAG = re.compile(r"</?[A-Za-z|][^<>\n]{0,60}>")
_NAMED_TAG = re.compile(r"<(?!(?:strong|code|mark|small|span|font)>)([a-z]{4,12})>([^<>\n]*)</\1>")
_LATEX = re.compile(r"\\(?:boxed|[()\[\]])")
_STRUCK = re.compile(r"</?(?:s|del|strike)>", re.IGNORECASE)
_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
_TABLE_RULE = re.compile(r"^[ \t|:]*-[ \t|:-]*$", re.MULTILINE)
_ROW_NAMES = frozenset(("row", "r"))
_COLUMN_NAMES = frozenset(("column", "col", "c"))
_OVER_TIME = re.compile(r"\b(?:step|move|action|turn|time|after|before|next|example)", re.IGNORECASE)


def is_plain(text: str) -> bool:
    """Whether :func:`plain` has nothing to do; rather False."""
    return text.isascii() and not any(mark in text for mark in ("<", "\\", "\r", "|"))


def plain(text: str) -> str:
    """The same text with ASCII marks and digits for full-width ones, with plain spaces and line ends and without tags.

    What is struck out, by a tag, is marked by ``~``; ``<size>4</size>`` becomes ``size: 4``. A Markdown table with one
    row below its header, or with columns for row and column, becomes one line a field.
    """
    if not text.isascii():
        text = text.translate(_TABLE)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\\" in text:
        text = _LATEX.sub(" ", text.replace("\\n", "\n"))
    if "<" in text:
        text = _NAMED_TAG.sub(r"\n\1: \2\n", _BREAK.sub("\n", _STRUCK.sub("~", text)))
        text = _TAG.sub(" ", text)
    return _with_tables_told(text) if "|" in text and "-" in text else text


def _with_tables_told(text: str) -> str:
    """The text with a line for each field behind every Markdown table that has its fields in columns."""
    told: list[str] = []
    end = 0
    for rule in _TABLE_RULE.finditer(text):
        if rule.start() < end or "|" not in rule[0]:
            continue
        header_start = text.rfind("\n", end, max(rule.start() - 1, end)) + 1 or end
        header = _cells(text[header_start : rule.start()])
        rows = []
        told.append(text[end : rule.end()])
        end = rule.end()
        while end < len(text):
            line_end = text.find("\n", end + 1)
            line = text[end + 1 : line_end if line_end >= 0 else len(text)]
            if "|" not in line:
                break
            told.append("\n" + line)
            rows.append(_cells(line))
            end += len(line) + 1
        lines = _tell(header, rows)
        told.append("".join(f"\n{line}" for line in lines))
    return "".join(told) + text[end:]


def _cells(line: str) -> list[str]:
    return [cell.strip(" \t*_`") for cell in line.strip().strip("|").split("|")]


def _tell(header: list[str], rows: list[list[str]]) -> list[str]:
    """The lines ``field: value`` of a table; none for one that shows steps, or a form that is not known."""
    if any(_OVER_TIME.search(name) for name in header) or any(len(row) != len(header) for row in rows):
        return []
    names = [name.lower() for name in header]
    row_at = [i for i, name in enumerate(names) if name in _ROW_NAMES]
    column_at = [i for i, name in enumerate(names) if name in _COLUMN_NAMES]
    if len(row_at) == len(column_at) == 1 and len(names) == 3 and 0 not in (*row_at, *column_at):
        cells: dict[str, list[str]] = {}
        for row in rows:
            cells.setdefault(row[0], []).append(f"(row {row[row_at[0]]}, column {row[column_at[0]]})")
        return [f"{name}: {', '.join(places)}" for name, places in cells.items()]
    if len(rows) == 1 and len(header) > 1:
        return [f"{name}: {value}" for name, value in zip(header, rows[0], strict=True)]
    return []
