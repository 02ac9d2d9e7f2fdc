"""From run folders to the diagnosis of a model that acts step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mgsd_bench.analysis import comparable
from mgsd_bench.analysis.closed_loop import ActingScope, ActingTask, Arm, LoopDiagnosis, Way
from mgsd_bench.analysis.frame import concatenate
from mgsd_bench.analysis.groups import Groups, group_column, group_rows
from mgsd_bench.analysis.loop_gaps import gaps
from mgsd_bench.analysis.loop_steps import Walk, cause_shares, curve, fault_counts, step_counts, step_shares
from mgsd_bench.analysis.metrics import ACTING
from mgsd_bench.analysis.run import Run
from mgsd_bench.analysis.summary import estimates
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CLOSED_LOOP, CONDITIONS, in_order
from mgsd_bench.runs.scoring import LOOP_OUTCOMES

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = "direct"
"""The condition of plans said at once that acting step by step is held against."""


def acts(run: Run) -> bool:
    """Whether a run has episodes that were acted in step by step."""
    return any(condition in CLOSED_LOOP for condition in run.conditions())


def diagnose_loops(runs: Sequence[Run], allow: Iterable[str] = ()) -> LoopDiagnosis:
    """How a model acts step by step, and what it needs the picture, its memory and the whole board for.

    Args:
        runs: finished runs of one model on the same episodes, asked alike but for the view, which between them hold a
            condition in which it acts, and for what depends on them other ones, other views, and ``direct``.
        allow: aspects in which the runs may differ; see :mod:`mgsd_bench.analysis.comparable`.

    Raises:
        UserError: nothing is acted in, or (exit code ``NOT_COMPARABLE``) the runs may not be set side by side.
    """
    conditions = [name for name in CONDITIONS if any(name in run.conditions() for run in runs)]
    wanted = [name for name in conditions if name in CLOSED_LOOP or name == AT_ONCE]
    notes = comparable.check(runs, comparable.Question.GAP, wanted, allow) + runs[0].look_notes
    if not CLOSED_LOOP & set(conditions):
        raise UserError(f"{runs[0].path}: nobody acts here; run one of {', '.join(in_order(CLOSED_LOOP))} first")
    first = runs[0]
    runs = [run.in_first_look() for run in runs]
    tables = _tables(runs, wanted)
    walks = _walks(runs)
    arms = [_arm(way, tables[way], walks[way]) for way in tables if way.condition in CLOSED_LOOP]
    return LoopDiagnosis(
        model=first.model,
        suite=first.identity["suite"],
        digest=first.identity["episodes_digest"],
        arms=tuple(arms),
        gaps=gaps(tables),
        notes=tuple(notes),
    )


def _tables(runs: Sequence[Run], conditions: Sequence[str]) -> dict[Way, pd.DataFrame]:
    """The rows of each way of asking; of a try that is in several runs the last one counts."""
    parts: dict[Way, list[pd.DataFrame]] = {}
    for condition in conditions:
        for run in runs:
            rows = run.frame[run.frame["condition"] == condition]
            if len(rows):
                parts.setdefault(Way.of(condition, run.view), []).append(rows.reset_index(drop=True))
    return {
        way: concatenate(of_way).drop_duplicates(["episode", "repeat"], keep="last") for way, of_way in parts.items()
    }


def _walks(runs: Sequence[Run]) -> dict[Way, list[Walk]]:
    """The steps of each try, by way of asking; of a try that was made again the last one."""
    last: dict[Way, dict[tuple[str, int], Walk]] = {}
    for run in runs:
        for sample in run.read_samples(texts=False):
            if sample.loop is not None:
                of_way = last.setdefault(Way.of(sample.condition, run.view), {})
                of_way[sample.episode, sample.repeat] = Walk.of(sample)
    return {way: list(of_way.values()) for way, of_way in last.items()}


def _arm(way: Way, rows: pd.DataFrame, walks: Sequence[Walk]) -> Arm:
    figures = {"solved": group_column(rows, "solved")}
    figures |= {name: group_rows(rows, metric) for name, metric in ACTING.items()}
    tasks = {}
    for task in figures["solved"].tasks:
        of_task = [walk for walk in walks if walk.task == task]
        in_task = rows[rows["task"] == task]
        levels = {
            stratum.level: _scope(
                in_task[in_task["level"] == stratum.level],
                [walk for walk in of_task if walk.level == stratum.level],
                figures,
                task,
                stratum.level,
            )
            for stratum in figures["solved"].at(task).strata
        }
        scope = _scope(in_task, of_task, figures, task, None)
        fields = {name: getattr(scope, name) for name in ActingScope.__slots__}
        tasks[task] = ActingTask(**fields, levels=levels, curve=curve(of_task))
    return Arm(way.condition, way.view, _scope(rows, walks, figures, None, None), tasks, curve(walks))


def _scope(
    rows: pd.DataFrame, walks: Sequence[Walk], groups: Mapping[str, Groups], task: str | None, level: int | None
) -> ActingScope:
    found = estimates(groups, task, level)
    counts = Counter(rows["outcome"].astype(str))
    solved = found.pop("solved")
    return ActingScope(
        n=solved.n,
        solved=solved,
        figures=found,
        outcomes={outcome.value: counts[outcome] for outcome in LOOP_OUTCOMES},
        steps=step_counts(walks),
        shares=step_shares(walks),
        faults=fault_counts(walks),
        causes=cause_shares(walks),
    )
