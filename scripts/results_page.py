"""Make docs/results.md from measured and published figures: ``python scripts/results_page.py > docs/results.md``.

Measured figures come from ``reports``, published ones from ``baselines/published``. Nothing is typed into the page.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from mgsd_bench.reproduce.published import Published, load_published

ROOT = Path(__file__).parents[1]
RELATED_COLUMNS = "benchmark,arxiv,where,task,model,metric,value,standard_error,n,protocol,obtained"
MEASURES = (("state", "State F1"), ("plan_on_gt", "Plan-on-GT"), ("e2e", "E2E"), ("gap", "modality gap"))
HEAD = """# Results

<!-- made by: python scripts/results_page.py > docs/results.md -->

What this project measured, and what others have published on the same tasks and on near ones. The three parts stand
apart on purpose: **figures of different parts are not to be compared**, and those of one part only where the protocol
is the same. What a protocol does differently is said by a letter beside each number. An empty cell is a figure that is
not known; nothing is guessed, and nothing was read off a plot. To correct or complete this page: a line in
`baselines/published`, with its source.
"""
MEASURED = """## Measured here

The tiny family that comes with the project: Qwen3-VL of four million parameters, before and after each stage of the
method, beside scripted models of known skill. Suite `tiny-v1`, the smallest levels of procedural episodes; prompts
`compact`; greedy; at most 160 new tokens; through vLLM on a CPU. In %, macro averages of the three tasks, with 95 %
intervals; the gap in points. **They are no reproduction of the paper's figures.**
"""
MORE_MEASURED = """By task and level: [reports/tiny](../reports/tiny/tiny.md) (`make reproduce-tiny`). The same models
step by step: [reports/act](../reports/act/act.md) (`make reproduce-act`); on perturbed pictures:
[reports/robustness](../reports/robustness/tiny.md). A model of yours beside the published figures:
[`table1`](reproducing.md).
"""
SAME = """## Published on the same tasks

One answer from one picture, scored as a plan, in %. What `mgsd-bench eval` does, unless told otherwise: pictures of 256
pixels, greedy decoding, 4,096 new tokens, and [any plan that succeeds
counts](evaluation.md#how-an-answer-is-read).
"""
NEAR = """## Published on near tasks

Other benchmarks of grids, mazes and puzzles, with other boards, other pictures and mostly in closed loop. They say how
hard such worlds are for known models, and nothing of how these models would do here.
"""


def main() -> str:
    """The whole page."""
    return "\n".join([HEAD, *measured(), *same_tasks(load_published()), *near_tasks()]).rstrip() + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int]) -> list[str]:
    """A table in Markdown; ``right`` are the columns of numbers."""
    line = ["---:" if column in right else "---" for column in range(len(head))]
    return ["| " + " | ".join(cells) + " |" for cells in (head, line, *rows)] + [""]


def measured() -> list[str]:
    """The macro averages of reports/tiny/tiny.csv."""
    cells: dict[str, dict[str, str]] = {}
    for row in read(ROOT / "reports" / "tiny" / "tiny.csv"):
        if row["table"] == "family" and row["scope"] == "macro":
            value, low, high = (100 * float(row[name]) for name in ("value", "low", "high"))
            spread = f"{low:+.0f} to {high:+.0f}" if row["measure"] == "gap" else f"{low:.0f}–{high:.0f}"
            sign = "+" if row["measure"] == "gap" else ""
            cells.setdefault(row["model"], {"n": row["n"]})[row["measure"]] = f"{value:{sign}.1f} ({spread})"
    rows = [[model, found["n"], *(found[name] for name, _ in MEASURES)] for model, found in cells.items()]
    head = ["model", "n", *(label for _, label in MEASURES)]
    return [MEASURED, *table(head, rows, range(1, len(head))), MORE_MEASURED]


def same_tasks(figures: Sequence[Published]) -> list[str]:
    """The published figures on this project's own tasks."""
    lines = [SAME]
    for paper, group in groupby(sorted(figures, key=lambda f: (f.paper != "MGSD", f.paper)), key=lambda f: f.paper):
        found = [figure for figure in group if figure.value is not None]
        arxiv = found[0].arxiv
        lines += [f"### {paper}, [arXiv {arxiv}](https://arxiv.org/abs/{arxiv})", ""]
        lines += _paper(found)
    unknown = sorted({f.model for f in figures if f.value is None})
    tasks = sorted({f.task or "" for f in figures if f.value is None})
    lines += [
        f"Not known here: the MGSD paper's figures by task ({', '.join(tasks)}), of {', '.join(unknown)}.",
        "",
    ]
    return lines


def _paper(found: Sequence[Published]) -> list[str]:
    """A row a model, a column a scope, and what is different about them."""
    scopes = list(dict.fromkeys((f.scope, f.metric) for f in found))
    head = [f"{scope}{f', {metric}' if metric else ''}" for scope, metric in scopes]
    digits = 0 if all(float(f.value or 0).is_integer() for f in found) else 1
    notes, rows = Notes(), []
    for model in dict.fromkeys(f.model for f in found):
        cells = {
            (f.scope, f.metric): f"{f.value:.{digits}f}{notes.mark(differs(f))}" for f in found if f.model == model
        }
        rows.append([model, *(cells.get(scope, "") for scope in scopes)])
    return [*table(["model", *head], rows, range(1, len(head) + 1)), *notes.lines()]


def differs(figure: Published) -> str:
    """In what a published figure differs from this project's protocol, or is not known to agree with it."""
    settings = {"picture size": figure.images, "temperature": figure.temperature, "token limit": figure.max_tokens}
    missing = [name for name, value in settings.items() if value is None]
    parts = [figure.notes, f"quoted by {figure.where or 'others'}" if figure.obtained == "second-hand" else ""]
    parts += [f"{', '.join(missing)} not stated" if missing else "", "**uncertain**" if figure.uncertain else ""]
    return "; ".join(part for part in parts if part)


class Notes:
    """Letters that stand for what is said of figures."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def mark(self, text: str) -> str:
        """The letter of a text, to be set beside a figure."""
        return f"<sup>{self._letters.setdefault(text, chr(ord('a') + len(self._letters)))}</sup>"

    def lines(self) -> list[str]:
        """What the letters stand for, as a list."""
        return [*(f"- {letter}: {text}" for text, letter in self._letters.items()), ""]


def near_tasks() -> list[str]:
    """The figures of other benchmarks, a table each."""
    lines = [NEAR]
    for path in sorted((ROOT / "baselines" / "published" / "related").glob("*.csv")):
        rows = read(path)
        if not rows or ",".join(rows[0]) != RELATED_COLUMNS:
            raise SystemExit(f"{path}: the first line must be {RELATED_COLUMNS}")
        first = rows[0]
        link = f", [arXiv {first['arxiv']}](https://arxiv.org/abs/{first['arxiv']})" if first["arxiv"] else ""
        lines += [f"### {first['benchmark']}{link}", "", f"Source: {_source(path, rows)}.", ""]
        notes, cells = Notes(), []
        for row in rows:
            value = f"{_value(row)}{notes.mark(row['protocol'])}"
            cells.append([row["task"], row["model"], row["metric"], value, row["n"]])
        lines += [*table(["task", "model", "metric", "value", "n"], cells, (3, 4)), *notes.lines()]
    return lines


def _source(path: Path, rows: Sequence[dict[str, str]]) -> str:
    """Where figures stand: in full, or the repository alone where each row has a file of its own."""
    full = list(dict.fromkeys(row["where"] for row in rows))
    if len(full) < 3:
        return "; ".join(full)
    link = f"[`{path.name}`](../{path.relative_to(ROOT).as_posix()})"
    return f"{full[0].split()[0]}; the file of each row is in {link}"


def _value(row: dict[str, str]) -> str:
    unit = "" if row["metric"] == "boxes" else " %"
    return row["value"] + unit + (f" (s.e. {row['standard_error']})" if row["standard_error"] else "")


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


if __name__ == "__main__":
    sys.stdout.write(main())
