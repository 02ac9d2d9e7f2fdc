"""Made-up diagnoses, with every part and with none."""

from __future__ import annotations

from typing import Any

LEVELS = {"frozenlake": (3, 5, 8), "maze": (3, 6), "minibehaviour": (5, 6)}
MEASURED = (
    "e2e",
    "optimal",
    "plan_on_gt",
    "direct",
    "if_planned_well",
    "state",
    "perceive",
    "gap",
    "attribution",
    "joint",
)


def est(value: float, n: int) -> dict[str, Any]:
    """A share with its Wilson interval."""
    shrunk = 1 + 3.84 / n
    centre, half = (value + 1.92 / n) / shrunk, 1.96 / shrunk * (value * (1 - value) / n + 0.96 / n**2) ** 0.5
    return {"value": value, "low": max(0.0, centre - half), "high": min(1.0, centre + half), "n": n}


def scope(skill: float, n: int) -> dict[str, Any]:
    skill = min(1.0, max(0.0, skill))
    solved, perception = round(skill * n), round((1 - skill) * n * 0.6)
    rest = n - solved - perception
    state = {"precision": est(0.8 + skill / 6, n), "recall": est(0.75 + skill / 5, n), "f1": est(0.78 + skill / 5, n),
             "exact": est(skill / 2, n)}  # fmt: skip
    difference, margin = 0.25 - skill * 0.3, n**-0.5
    gap = {"value": difference, "low": difference - margin, "high": difference + margin, "n": n}
    return {
        "n": n, "e2e": est(skill, n), "optimal": est(skill * 0.9, n), "straight": est(0.5, n), "random": est(0.06, n),
        "by_path": {"straight": est(min(1.0, skill * 1.3), n // 2), "blocked": est(skill * 0.7, n - n // 2)},
        "state": state, "perceive": state, "plan_on_gt": est(0.25 + skill * 0.7, n), "direct": est(skill * 0.8, n),
        "gap": {"difference": gap, "only_symbolic": n // 4, "only_visual": n // 20, "mid_p": 0.0012},
        "attribution": {"solved": solved, "perception": perception, "planning": rest // 2, "both": rest - rest // 2,
                        "unstated": 0, "format": 0},
        "if_planned_well": est(skill * 0.8 + 0.1, n), "joint": None,
    }  # fmt: skip


def diagnosis(model: str = "small-4b", skill: float = 0.6, n: int = 40) -> dict[str, Any]:
    """A made-up diagnosis with every part."""
    tasks: dict[str, Any] = {}
    for i, (task, levels) in enumerate(LEVELS.items()):
        of_task = [{"level": level, **scope(skill - 0.08 * i - 0.05 * (level - 3), n)} for level in levels]
        counts = {k: max(1, n // (1 + k // 4)) for k in range(1, 12)}
        lengths = [
            {"shortest": k, "n": m, "e2e": est(skill / (1 + k / 12), m),
             "plan_on_gt": est((skill + 0.2) / (1 + k / 20), m)}
            for k, m in counts.items()
        ]  # fmt: skip
        misread = {
            str(level): [[0.02 * (r + c) * (1 - skill) + 0.01 * i for c in range(level)] for r in range(level)]
            for level in levels
        }
        facts = {"player": {"tp": 30, "fp": 10, "fn": 10, "f1": 0.75}}
        whole = scope(skill - 0.1 * i, n * len(levels))
        tasks[task] = {**whole, "facts": facts, "levels": of_task, "lengths": lengths, "misread": misread}
    conditions = ["visual", "symbolic", "perceive", "direct"]
    macro = scope(skill - 0.1, n * 7)
    return {"format": 1, "model": model, "suite": "mgsd-v1", "digest": "0" * 64, "conditions": conditions,
            "macro": macro, "tasks": tasks}  # fmt: skip


def bare(model: str = "bare") -> dict[str, Any]:
    """A diagnosis in which every part that can be missing is."""
    full = diagnosis(model)
    tasks = list(full["tasks"].values())
    for part in [full["macro"], *tasks, *(row for of_task in tasks for row in of_task["levels"])]:
        part.update(dict.fromkeys(MEASURED), by_path={"straight": None, "blocked": None})
    for of_task in tasks:
        of_task.update(lengths=[], misread={}, facts={})
    return full
