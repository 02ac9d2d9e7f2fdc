"""What a decoder that knows the tiles reads of perturbed pictures: the recoverability certificate.

    python -m benchmarks.certificate --theme blueprint --boards 100   # into its CSV
    python -m benchmarks.certificate --table                           # as Markdown into docs/robustness.md

Of each task and level of the paper the first boards of the suite mgsd-p1 and as many more of its kind; of each board
every perturbation at every severity. See :mod:`mgsd_envs.certificate` for what the decoder knows.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.progress import Progress

from mgsd_bench.suites.choose import find_suite
from mgsd_envs import generate, get_task
from mgsd_envs.certificate import is_read, tile_set
from mgsd_envs.perturbations import PERTURBATIONS

CSV = Path("reports/robustness/certificate.csv")
DOC = Path("docs/robustness.md")
FIELDS = ("theme", "task", "level", "perturbation", "severity", "value", "boards", "read")
MARKS = ("<!-- certificate -->", "<!-- /certificate -->")

Row = Mapping[str, Any]

OF_PICTURES = {name: axis for name, axis in PERTURBATIONS.items() if axis.kind != "symmetry"}


def certify(theme: str, boards: int) -> Iterator[Row]:
    """One row a level, perturbation and severity: how many boards of how many are read."""
    suite = find_suite("mgsd-p1")
    for part in suite.parts:
        task = get_task(part.task)
        stream = generate(task, part.level, boards, split=suite.split, stream=suite.name, mix=suite.mix)
        states = [episode.state for episode in stream]
        tiles = tile_set(task, states)
        for name, axis in OF_PICTURES.items():
            for severity, value in enumerate(axis.values, 1):
                read = sum(is_read(task, state, (theme, name, severity), tiles) for state in states)
                values = (theme, part.task, part.level, name, severity, value, len(states), read)
                yield dict(zip(FIELDS, values, strict=True))


def write(rows: list[Row], theme: str) -> None:
    """Put a theme's rows into the file, in place of those that it had."""
    kept = [row for row in read() if row["theme"] != theme]
    CSV.parent.mkdir(parents=True, exist_ok=True)
    with CSV.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])


def read() -> list[Row]:
    """The rows in the file."""
    if not CSV.is_file():
        return []
    with CSV.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def table(rows: list[Row]) -> str:
    """One line a perturbation: values, and by theme the boards that are not read, of those that there are."""
    themes = list(dict.fromkeys(row["theme"] for row in rows))
    lines = [
        f"| perturbation | values | {' | '.join(f'{theme}: not read' for theme in themes)} | least in a cell |",
        f"| --- | --- | {' | '.join('---' for _ in themes)} | --- |",
    ]
    for name, axis in OF_PICTURES.items():
        of_axis = [row for row in rows if row["perturbation"] == name]
        by_theme = []
        for theme in themes:
            cells = [row for row in of_axis if row["theme"] == theme]
            boards, right = (sum(int(row[field]) for row in cells) for field in ("boards", "read"))
            by_theme.append(f"{boards - right} of {boards:,}")
        least = min(int(row["read"]) / int(row["boards"]) for row in of_axis)
        values = ", ".join(f"{value:g}" for value in axis.values)
        lines.append(f"| `{name}` | {values} | {' | '.join(by_theme)} | {100 * least:.1f} % |")
    return "\n".join(lines)


def main() -> None:
    """Certify a theme, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--theme", default="blueprint")
    parser.add_argument("--boards", type=int, default=100, help="boards of each task and level")
    parser.add_argument("--table", action="store_true", help="write the table of docs/robustness.md")
    args = parser.parse_args()
    if args.table:
        text = DOC.read_text(encoding="utf-8")
        new = f"{MARKS[0]}\n{table(read())}\n{MARKS[1]}"
        DOC.write_text(re.sub(rf"{MARKS[0]}.*{MARKS[1]}", lambda _: new, text, flags=re.DOTALL), encoding="utf-8")
        return
    total = len(find_suite("mgsd-p1").parts) * sum(len(axis.values) for axis in OF_PICTURES.values())
    rows = []
    with Progress() as progress:
        bar = progress.add_task(args.theme, total=total)
        for row in certify(args.theme, args.boards):
            rows.append(row)
            progress.advance(bar)
            if row["read"] < row["boards"]:
                progress.console.print(*row.values())
    write(rows, args.theme)


if __name__ == "__main__":
    main()
