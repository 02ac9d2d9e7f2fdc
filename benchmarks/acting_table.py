"""Plans said at once and steps taken one by one, side by side: a table of finished runs (`make reproduce-act`).

::

    python benchmarks/acting_table.py runs/act/random runs/act/tiny-act > reports/act/act.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ONE_SHOT = {"E2E": "visual", "plan alone": "direct", "Plan-on-GT": "symbolic"}
CLOSED_LOOP = {"act": "act", "act, text": "act-symbolic", "first picture": "act-stale", "no picture": "act-blind"}
OF_ACT = {"strict": "strict", "SPL": "spl", "useful steps": "useful", "loops": "loop"}

NOTE = """\
Suite tiny-v1, 20 episodes a level, prompts compact, greedy, no history, at most 160 new tokens. In %, in brackets 95 %
intervals. One-shot: E2E, solved by the plan from the picture; plan alone, the same without a word on the state;
Plan-on-GT, by the plan from the state as text. Closed loop, success rates: act, a picture each turn; text, the state as
text each turn; first picture, that one each turn; no picture, none after the first. Of act: strict, solved with no
blocked step; SPL; useful steps, of all steps; loops, episodes with one action three times in one state."""


def scopes(run: Path) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """Each task and the macro average, with the figures by condition."""
    conditions = json.loads((run / "metrics.json").read_text())["conditions"]
    for task in conditions["act"]["macro"]["tasks"]:
        yield task, {name: next(t for t in of["tasks"] if t["task"] == task) for name, of in conditions.items()}
    yield "macro", {name: of["macro"] for name, of in conditions.items()}


def cell(figure: dict[str, Any] | None) -> str:
    """A figure with its interval; a dash where there is none."""
    return (
        "–" if figure is None else "{:.1f} ({:.0f}–{:.0f})".format(*(100 * figure[k] for k in ("value", "low", "high")))
    )


def main(runs: list[Path]) -> None:
    """Print the table of some runs."""
    rows = [["model", "task", "n", *ONE_SHOT, *CLOSED_LOOP, *OF_ACT]]
    for run in runs:
        for task, by_condition in scopes(run):
            solved = [cell(by_condition[name]["accuracy"]) for name in (*ONE_SHOT.values(), *CLOSED_LOOP.values())]
            of_act = [cell(by_condition["act"]["acting"].get(name)) for name in OF_ACT.values()]
            rows.append([run.name, task, str(by_condition["act"]["accuracy"]["n"]), *solved, *of_act])
    print("# One-shot and closed loop\n")
    lines = [rows[0], ["---", "---", *["---:"] * (len(rows[0]) - 2)], *rows[1:]]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines))
    print(f"\n{NOTE}")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
