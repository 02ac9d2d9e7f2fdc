"""Made-up diagnoses, with every part and with none."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

from mgsd_bench.analysis.diagnosis import (
    ByPath,
    Diagnosis,
    FactCounts,
    FaultRates,
    Gap,
    Grid,
    Joint,
    Length,
    Level,
    Scope,
    StateScores,
    TaskDiagnosis,
)
from mgsd_bench.analysis.overlap import Bounds
from mgsd_bench.analysis.results import Results
from mgsd_bench.statistics.intervals import Estimate

LEVELS = {"frozenlake": (3, 5, 8), "maze": (3, 6), "minibehaviour": (5, 6)}
MEASURED = ("plan_on_gt", "plan_on_gt_asked", "direct", "perceive", "gap", "joint", "repeats")
SHOWN = (
    "e2e",
    "e2e_asked",
    "optimal",
    "plan_on_gt",
    "plan_on_gt_asked",
    "direct",
    "state_f1",
    "perceive_f1",
    "gap",
    "straight",
    "random",
)


def est(value: float, n: int) -> Estimate:
    """A share with its Wilson interval."""
    shrunk = 1 + 3.84 / n
    centre, half = (value + 1.92 / n) / shrunk, 1.96 / shrunk * (value * (1 - value) / n + 0.96 / n**2) ** 0.5
    return Estimate(value, max(0.0, centre - half), min(1.0, centre + half), n)


def figures(skill: float, n: int) -> dict[str, Any]:
    """The fields of a scope."""
    skill = min(1.0, max(0.0, skill))
    solved, perception = round(skill * n), round((1 - skill) * n * 0.6)
    rest = n - solved - perception
    state = StateScores(est(0.8 + skill / 6, n), est(0.75 + skill / 5, n), est(0.78 + skill / 5, n), est(skill / 2, n))
    difference, margin = 0.25 - skill * 0.3, n**-0.5
    counts = {"".join(key): n // 8 for key in product("10", repeat=3)}
    return {
        "n": n, "e2e": est(skill, n), "e2e_asked": est(skill * 0.95, n),
        "optimal": est(skill * 0.9, n), "straight": est(0.5, n), "random": est(0.06, n),
        "by_path": ByPath(est(min(1.0, skill * 1.3), n // 2), est(skill * 0.7, n - n // 2)),
        "state": state, "perceive": state, "plan_on_gt": est(0.25 + skill * 0.7, n),
        "plan_on_gt_asked": est(0.25 + skill * 0.65, n), "direct": est(skill * 0.8, n),
        "gap": Gap(Estimate(difference, difference - margin, difference + margin, n), n // 20, n // 4, 0.0012),
        "faults": FaultRates(est(0.1, n), est(0.2, n), est(0.05, n), est(0.08, n)),
        "attribution": {"solved": solved, "perception": perception, "planning": rest // 2, "both": rest - rest // 2,
                        "unstated": 0, "format": 0},
        "attribution_bounds": {
            "perception": Bounds(perception / n, perception / n, (perception + rest - rest // 2) / n),
            "planning": Bounds(rest // 2 / n, rest // 2 / n, rest / n),
            "both": Bounds(0.0, 0.0, (rest - rest // 2) / n),
        },
        "if_planned_well": est(skill * 0.8 + 0.1, n), "joint": Joint(counts, skill, skill**2), "repeats": None,
    }  # fmt: skip


def _scaled(grid: Grid, by: float) -> Grid:
    return tuple(tuple(by * value for value in row) for row in grid)


def diagnosis(model: str = "small-4b", skill: float = 0.6, n: int = 40) -> Diagnosis:
    """A made-up diagnosis with every part."""
    tasks = {}
    for i, (task, levels) in enumerate(LEVELS.items()):
        of_task = [Level(**figures(skill - 0.08 * i - 0.05 * (level - 3), n), level=level) for level in levels]
        counts = {k: max(1, n // (1 + k // 4)) for k in range(1, 12)}
        lengths = [
            Length(k, m, est(skill / (1 + k / 12), m), est((skill + 0.2) / (1 + k / 20), m)) for k, m in counts.items()
        ]
        misread = {
            level: tuple(tuple(0.02 * (r + c) * (1 - skill) + 0.01 * i for c in range(level)) for r in range(level))
            for level in levels
        }
        tasks[task] = TaskDiagnosis(
            **figures(skill - 0.1 * i, n * len(levels)),
            facts={"player": FactCounts(30, 10, 10, 0.75, est(0.25, n), est(0.25, n))},
            levels=tuple(of_task),
            lengths=tuple(lengths),
            misread=misread,
            missed={level: _scaled(grid, 0.75) for level, grid in misread.items()},
            invented={level: _scaled(grid, 0.25) for level, grid in misread.items()},
        )
    conditions = ("direct", "perceive", "symbolic", "visual")
    return Diagnosis(model, "mgsd-v1", "0" * 64, conditions, Scope(**figures(skill - 0.1, n * 7)), tasks)


def bare(model: str = "bare") -> Diagnosis:
    """A diagnosis in which every part that can be missing is."""
    full = diagnosis(model)
    nothing: dict[str, Any] = {**dict.fromkeys(MEASURED), "by_path": ByPath(None, None)}
    tasks = {
        name: replace(
            task,
            **nothing,
            levels=tuple(replace(level, **nothing) for level in task.levels),
            facts={},
            lengths=(),
            misread={},
            missed={},
            invented={},
        )
        for name, task in full.tasks.items()
    }
    return replace(full, conditions=("visual",), macro=replace(full.macro, **nothing), tasks=tasks)


def results(*diagnoses: Diagnosis) -> list[Results]:
    """What tables are made of."""
    return [diagnosis.results(SHOWN) for diagnosis in diagnoses]


def unmeasured(model: str = "bare") -> Results:
    """Results of a model of which nothing was measured."""
    found = diagnosis(model).results(())
    return found
