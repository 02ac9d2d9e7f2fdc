"""Gate policies as YAML files. In a file everything is in points or percent, as one would say it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from mgsd_bench.errors import UserError, option
from mgsd_bench.gate.measurement import METRICS
from mgsd_bench.gate.policy import Floor, MetricRule, Policy, Verdict
from mgsd_bench.gate.sequential import SPENDING

_KEYS = ("alpha", "metrics", "floors", "limits", "inconclusive", "sequential")


def load_policy(path: Path) -> Policy:
    """Read a policy; what a file leaves out is as in :class:`mgsd_bench.gate.policy.Policy`.

    ::

        alpha: 0.05                       # probability of a false alarm, and of passing what lost the margin
        metrics:
          e2e: 3                          # margin in points; the tolerance is half of it
          plan_on_gt: {margin: 3, tolerance: 1.5}
        floors:
          - {metric: e2e, task: maze, level: 3, min: 90}      # percent; without level: the task; without task: macro
        limits: {errors: 0, truncated: 10, min_episodes: 30}  # percent, percent, episodes a task
        inconclusive: inconclusive        # or pass, or fail: what an undecided gate counts as
        sequential: {looks: 5, spending: obrien-fleming}      # or pocock

    Raises:
        UserError: the file cannot be read, or something in it is unknown or out of range.
    """
    reader = _Reader(path)
    top = reader.mapping(_load(path), "the file", _KEYS)
    policy = Policy()
    if "alpha" in top:
        policy = replace(policy, alpha=reader.number(top["alpha"], "alpha", 0.0001, 0.5))
    if "metrics" in top:
        policy = replace(policy, metrics=_metrics(reader, top["metrics"]))
    if "floors" in top:
        policy = replace(policy, floors=_floors(reader, top["floors"]))
    if "limits" in top:
        limits = reader.mapping(top["limits"], "limits", ("errors", "truncated", "min_episodes"))
        policy = replace(
            policy,
            max_errors=reader.number(limits.get("errors", 0), "limits.errors", 0, 100) / 100,
            max_truncated=reader.number(limits.get("truncated", 10), "limits.truncated", 0, 100) / 100,
            min_episodes=reader.whole(limits.get("min_episodes", 30), "limits.min_episodes", 1),
        )
    if "inconclusive" in top:
        chosen = reader.choice(top["inconclusive"], "inconclusive", [verdict.value for verdict in Verdict])
        policy = replace(policy, inconclusive=Verdict(chosen))
    if "sequential" in top:
        of = reader.mapping(top["sequential"], "sequential", ("looks", "spending"))
        policy = replace(
            policy,
            looks=reader.whole(of.get("looks", policy.looks), "sequential.looks", 2, 20),
            spending=reader.choice(of.get("spending", policy.spending), "sequential.spending", SPENDING),
        )
    return policy


def _load(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{option('policy', path)}: cannot be read ({getattr(error, 'strerror', None) or error})"
        ) from error
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise UserError(f"{path}{where}: not YAML ({getattr(error, 'problem', None) or error})") from error


def _metrics(reader: _Reader, given: Any) -> tuple[MetricRule, ...]:
    found = []
    for name, value in reader.mapping(given, "metrics", METRICS).items():
        of = (
            reader.mapping(value, f"metrics.{name}", ("margin", "tolerance"))
            if isinstance(value, dict)
            else {"margin": value}
        )
        if "margin" not in of:
            raise reader.error(f"metrics.{name}", "needs a margin in points, for example margin: 3")
        margin = reader.number(of["margin"], f"metrics.{name}.margin", 0.01, 100)
        tolerance = reader.number(of.get("tolerance", margin / 2), f"metrics.{name}.tolerance", 0, 100)
        if tolerance > margin:
            raise reader.error(f"metrics.{name}.tolerance", f"{tolerance:g} must not exceed the margin {margin:g}")
        found.append(MetricRule(name, margin / 100, tolerance / 100))
    if not found:
        raise reader.error("metrics", f"name at least one of {', '.join(METRICS)}")
    return tuple(found)


def _floors(reader: _Reader, given: Any) -> tuple[Floor, ...]:
    if not isinstance(given, list):
        raise reader.error("floors", "must be a list, for example - {metric: e2e, min: 50}")
    found = []
    for i, value in enumerate(given):
        name = f"floors[{i}]"
        of = reader.mapping(value, name, ("metric", "task", "level", "min"))
        if "min" not in of or "metric" not in of:
            raise reader.error(name, "needs metric and min, for example {metric: e2e, min: 50}")
        task, level = of.get("task"), of.get("level")
        if task is not None and not isinstance(task, str):
            raise reader.error(f"{name}.task", "must be the name of a task")
        if level is not None:
            level = reader.whole(level, f"{name}.level", 1)
            if task is None:
                raise reader.error(f"{name}.level", "needs a task beside it")
        metric = reader.choice(of["metric"], f"{name}.metric", METRICS)
        found.append(Floor(metric, reader.number(of["min"], f"{name}.min", 0, 100) / 100, task, level))
    return tuple(found)


class _Reader:
    """Checks values and says in one line what is wrong with one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def error(self, key: str, why: str) -> UserError:
        return UserError(f"{self._path}: {key}: {why}")

    def mapping(self, value: Any, key: str, known: Collection[str]) -> Mapping[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.error(key, f"must be a mapping with some of {', '.join(known)}")
        for name in value:
            if name not in known:
                near = get_close_matches(str(name), known, 1)
                hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}"
                raise self.error(str(name), f"unknown key; {hint}")
        return value

    def number(self, value: Any, key: str, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(key, f"{value!r} must be a number")
        if not low <= value <= high:
            raise self.error(key, f"{value:g} must be from {low:g} to {high:g}")
        return float(value)

    def whole(self, value: Any, key: str, low: int, high: int = 10**9) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.error(key, f"{value!r} must be a whole number of at least {low}, and at most {high}")
        return value

    def choice(self, value: Any, key: str, known: Collection[str]) -> str:
        if value not in list(known):
            raise self.error(key, f"{value!r}: choose from {', '.join(known)}")
        return str(value)
