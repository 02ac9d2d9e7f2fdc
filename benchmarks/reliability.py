"""Every attack there is, one script after another, and one table of what was survived.

    python benchmarks/reliability.py           hours; writes reports/reliability/
    python benchmarks/reliability.py --short   minutes; writes nothing
    python benchmarks/reliability.py --table   writes the table anew, from the pages that are there

Exits with 1 if a script lost something, or failed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "reports" / "reliability"
SCRIPTS = {
    "reliability_server.py": "server.md",
    "reliability_texts.py": "texts.md",
    "reliability_files.py": "files.md",
    "reliability_kills.py": "kills.md",
    "reliability_faults.py": "faults.md",
    "reliability_concurrency.py": "concurrency.md",
    "fuzz_guided.py": "fuzz.md",
    "fuzz_commands.py": "commands.md",
    "fuzz_chat.py": "chat.md",
}
"""Scripts by name, in the order in which they run, and the page that each writes."""

HEAD = """\
# Reliability

What was tried to break, and what came of it; each page says what its classes are and what survived means. Measured by
`make reliability`, limits and promises: [docs/reliability.md](../../docs/reliability.md).

| attacks | class | what | n | survived |
| --- | --- | --- | ---: | ---: |
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A class of attacks, as its page has it; the total of the page has no name."""

    title: str
    page: str
    name: str
    what: str
    n: int
    survived: int


def rows(page: Path) -> Iterator[Row]:
    """The rows of a page's table whose first four columns are class, what, n and survived.

    Raises:
        ValueError: there are none, or they do not come to the row **all**.
    """
    text = page.read_text(encoding="utf-8")
    title = text.partition("\n")[0].removeprefix("# ")
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        if len(cells) >= 4 and re.fullmatch(r"[\d,]+", cells[2]) and re.fullmatch(r"[\d,]+", cells[3]):
            n, survived = (int(cell.replace(",", "")) for cell in cells[2:4])
            found.append(Row(title, page.name, "" if cells[0] == "**all**" else cells[0], cells[1], n, survived))
    classes, totals = [row for row in found if row.name], [row for row in found if not row.name]
    if len(totals) != 1 or (sum(r.n for r in classes), sum(r.survived for r in classes)) != (
        totals[0].n,
        totals[0].survived,
    ):
        raise ValueError(f"{page}: the classes do not come to one row **all**")
    yield from found


def table(pages: list[Path]) -> str:
    """The table of all classes, from the pages."""
    lines, n, survived = [], 0, 0
    for page in pages:
        for row in rows(page):
            if row.name:
                cells = (f"[{row.title}]({row.page})", row.name, row.what, f"{row.n:,}", f"{row.survived:,}")
                lines.append(f"| {' | '.join(cells)} |")
            else:
                n, survived = n + row.n, survived + row.survived
    lines.append(f"| **all** |  |  | {n:,} | {survived:,} |")
    return HEAD + "\n".join(lines) + "\n"


def run(script: str, *, short: bool) -> bool:
    """Run a script; whether nothing was lost."""
    words = ["--short"] if short else ["--out", str(REPORTS / SCRIPTS[script])]
    began = time.monotonic()
    print(f"== {script} {' '.join(words)}", flush=True)
    done = subprocess.run([sys.executable, str(ROOT / "benchmarks" / script), *words], cwd=ROOT)
    print(f"== {script}: exit code {done.returncode} after {time.monotonic() - began:.0f} s", flush=True)
    return done.returncode == 0


def main() -> None:
    """Run all, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="the short form of each; writes nothing")
    parser.add_argument("--table", action="store_true", help="only write the table, from the pages that are there")
    given = parser.parse_args()
    held = {} if given.table else {script: run(script, short=given.short) for script in SCRIPTS}
    if not given.short:
        pages = [REPORTS / page for page in SCRIPTS.values() if not given.table or (REPORTS / page).exists()]
        text = table(pages)
        (REPORTS / "README.md").write_text(text, encoding="utf-8")
        print(text)
    if lost := [script for script, well in held.items() if not well]:
        sys.exit(f"lost something, or failed: {', '.join(lost)}")


if __name__ == "__main__":
    main()
