"""What must hold of what is shown, whatever others wrote: of terminals, CSV, LaTeX, Markdown, JUnit XML and pages."""

from __future__ import annotations

import csv
import io
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from markdown_it import MarkdownIt
from markdown_it.token import Token

LONGEST_LINE = 1_000
"""Characters of a line that an error or a note may have."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_TAGS = re.compile(r"<\s*/?\s*([a-zA-Z][\w-]*)")


def terminal(shown: str, *, colours: bool = False, errors: bool = False) -> Iterator[str]:
    """Faults of what a terminal got; with ``colours``, those that are our own are passed over."""
    text = _COLOURS.sub("", shown) if colours else shown
    if acting := {c for c in text if not (c.isprintable() or c in "\n\t")}:
        yield f"control characters {sorted(map(ascii, acting))[:5]}"
    if "Traceback" in text:
        yield f"a traceback: {text[-300:]}"
    if errors and max(map(len, text.split("\n"))) > LONGEST_LINE:
        yield "a line without measure"


def table_of_values(text: str) -> Iterator[str]:
    """Faults of CSV."""
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    if len({len(row) for row in rows}) > 1:
        yield "rows of different lengths"
    for cell in {cell for row in rows for cell in row}:
        if cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d")) and not re.fullmatch(r"-?\d+(\.\d+)?", cell):
            yield f"a formula: {cell[:40]!r}"
        if any(not c.isprintable() for c in cell):
            yield f"control characters in {cell[:40]!r}"


def markdown(text: str, plain: str) -> Iterator[str]:
    """Faults of Markdown: what is rendered of it other than text is what is rendered of the plain one."""
    found, wanted = _made_of(text), _made_of(plain)
    for name in (
        "link",
        "image",
        "html",
        "heading",
        "table",
        "fence",
        "code_inline",
        "blockquote",
        "strong",
        "em",
        "s",
    ):
        if found[name] != wanted[name]:
            yield f"{found[name]} of {name} instead of {wanted[name]}"
    if any(not (c.isprintable() or c == "\n") for c in text):
        yield "control characters"
    if re.search(r"(?<![\w`])@\w", text) and "&#64;" in plain + text:
        yield "a mention"


def _made_of(text: str) -> Counter[str]:
    """How much of what there is, HTML by its tags."""
    found: Counter[str] = Counter()

    def count(tokens: list[Token]) -> None:
        for token in tokens:
            if token.type in ("html_block", "html_inline"):
                found["html"] += len(_TAGS.findall(token.content))
            elif token.nesting >= 0 and not str(token.attrs.get("href")).startswith("mailto:"):  # those lead nowhere
                found[token.type.removesuffix("_open")] += 1
            count(token.children or [])

    reader = MarkdownIt("gfm-like")
    reader.linkify.set({"fuzzy_link": False})  # GitHub makes no link of a mere example.com
    count(reader.parse(text))
    found["link"] += len(re.findall(r"(?i)www\.", text))  # but of this it does
    return found


def junit(text: str, plain: str) -> Iterator[str]:
    """Faults of JUnit XML: it has the elements of the plain one, and no characters that XML has not."""
    if "<!" in text.partition("?>")[2]:
        yield "a declaration"
    try:
        found, wanted = ElementTree.fromstring(text), ElementTree.fromstring(plain)
    except ElementTree.ParseError as error:
        yield f"is no XML: {error}"
        return
    if [each.tag for each in found.iter()] != [each.tag for each in wanted.iter()]:
        yield "other elements"
    for each in found.iter():
        if any(not (c.isprintable() or c in "\n\t") for c in "".join([each.text or "", *each.attrib.values()])):
            yield f"control characters in {each.tag}"


DOCUMENT = r"""\documentclass{article}
\usepackage[utf8]{inputenc}\usepackage{textcomp}\usepackage{booktabs}
\begin{document}
\input{FILE}
the end
\end{document}
"""


def latex(files: list[Path], folder: Path) -> list[str]:
    """Compile a document of all tables, to DVI, which needs no outlines of fonts; what is wrong, if anything.

    Letters that pdflatex has no font for are left out: names in them take another engine.
    """
    tables = ""
    for number, file in enumerate(files):
        text = file.read_text(encoding="utf-8")
        copy = folder / f"table-{number}.tex"
        copy.write_text("".join(c if c < "\u0100" or c in "–−" else "?" for c in text), encoding="utf-8")
        tables += rf"\begingroup\tiny \input{{{copy.name}}}\endgroup" + "\n\n"
    (folder / "all.tex").write_text(DOCUMENT.replace(r"\input{FILE}", tables), encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "-file-line-error",
         "-output-format=dvi", "all.tex"],
        cwd=folder, capture_output=True, timeout=120, env={"PATH": "/usr/bin:/bin", "openin_any": "a"},
    )  # fmt: skip
    log = (folder / "all.log").read_text(errors="replace")
    found = [line for line in log.splitlines() if re.match(r".*:\d+: |! ", line)][:3] if done.returncode else []
    found += ["a file elsewhere was read"] if "/etc/passwd" in re.sub(r"\n", "", log) and "(/etc/passwd" in log else []
    found += ["a file was written"] if (folder / "pwned").exists() else []
    return found + (["it ends too early"] if not found and "Output written" not in log else [])


def elements(browser: Any) -> dict[str, int]:
    """How many elements of each name a page has; of its list, which has as many rows as fit, what is in a row."""
    found: dict[str, int] = browser.execute_script(
        """const found = {};
        for (const it of document.querySelectorAll("*"))
            if (!it.closest(".row")) found[it.localName] = (found[it.localName] || 0) + 1;
            else if (it.matches(".row")) found[[...it.querySelectorAll("*")].map((of) => of.localName).join()] = 1;
        return found"""
    )
    return found


def attributes(browser: Any) -> list[str]:
    """Attributes that would run something or lead elsewhere."""
    found: list[str] = browser.execute_script(
        """return [...document.querySelectorAll("*")].flatMap((it) => [...it.attributes]
            .filter((a) => a.name.startsWith("on") || (["href", "src", "action", "formaction"].includes(a.name)
                && !/^(data:|#|blob:)/.test(a.value))).map((a) => it.localName + " " + a.name + "=" + a.value))"""
    )
    return found
