"""Text that others wrote, made safe for where it is shown: a terminal, Markdown, LaTeX, CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

from mgsd_bench.plain import plain

_LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "–": r"\textendash{}", "−": "$-$"},
}


_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def one_line(text: str) -> str:
    """Text without control characters and line breaks, so that it is safe in a terminal and in a table."""
    return " ".join(plain(text).split()) or "?"


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, addresses as mere text.

    An underscore inside a word is left alone, as Markdown leaves it.
    """
    safe = re.sub(r"[\\`*\[\]<>|~#$&]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", one_line(text))
    # GitHub makes links of bare addresses
    return re.sub(r"(?<=:)/(?=/)|(?<=www)\.", r"\\\g<0>", safe, flags=re.IGNORECASE)


def latex_text(text: str) -> str:
    """Text that LaTeX sets as it is."""
    safe = "".join(_LATEX.get(c, c) for c in one_line(text))
    return re.sub(r"-(?=-)", "-{}", safe)  # else two hyphens would become a dash


def csv_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula: one that begins like a formula gets an apostrophe before it.

    Where texts are East Asian, the full-width signs begin one, too.
    """
    clean = one_line(text) if text else ""
    return f"'{clean}" if clean.startswith(_FORMULA) else clean


def as_csv(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV; whatever others wrote goes through :func:`csv_text` before."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
