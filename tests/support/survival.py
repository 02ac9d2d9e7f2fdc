"""Pages of what was survived: a row a class."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Trial:
    """One attack.

    Attributes:
        kind: its class.
        name: what was done.
        faults: what was not survived, nothing if all was.
        figures: what else the page counts, by the heading of its column.
    """

    kind: str
    name: str
    faults: Sequence[str]
    figures: Mapping[str, int]


def page(title: str, introduction: str, meanings: Mapping[str, str], done: Sequence[Trial], made_by: str) -> str:
    """The page: classes in the order of their meanings, the figures of each summed up, and what was not survived."""
    columns = list(dict.fromkeys(name for trial in done for name in trial.figures))
    head = ["class", "what", "n", "survived", *columns]
    lines = [
        f"# {title}",
        "",
        introduction,
        "",
        f"| {' | '.join(head)} |",
        f"| --- | --- |{' ---: |' * (len(head) - 2)}",
    ]
    for kind in [*meanings, None]:
        these = [trial for trial in done if kind in (None, trial.kind)]
        if not these:
            continue
        figures = [sum(trial.figures.get(column, 0) for trial in these) for column in columns]
        cells = [
            kind or "**all**",
            meanings[kind] if kind else "",
            len(these),
            sum(not t.faults for t in these),
            *figures,
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lost = [f"- {trial.kind}, {trial.name}: {'; '.join(trial.faults)}" for trial in done if trial.faults]
    machine = f"{os.cpu_count()} cores with a load of {os.getloadavg()[1]:.0f}"
    lines += ["", f"{made_by} Here on {machine}.", *(["", "Not survived:", "", *lost] if lost else []), ""]
    return "\n".join(lines)


def publish(text: str, out: Path | None) -> None:
    """Show a page, and write it to a file if one is named."""
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    print(text)
