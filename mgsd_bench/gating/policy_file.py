"""Gate policies as YAML files. In a file everything is in points or percent, as one would say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from mgsd_bench.analysis.metrics import GATED
from mgsd_bench.config.editor_schema import editor_schema
from mgsd_bench.config.fields import Bounds, OneOf
from mgsd_bench.config.layers import Layers, read_layer
from mgsd_bench.config.validate import validate
from mgsd_bench.gating.policy import Floor, MetricRule, Policy, Verdict
from mgsd_bench.gating.sequential import SPENDING


def _between(least: float, most: float) -> Bounds:
    return Bounds(least, most, what=f"{{found}} must be a number, and must be from {least:g} to {most:g}")


def _whole(least: int, most: int = 10**9) -> Bounds:
    return Bounds(least, most, what=f"{{found}} must be a whole number of at least {least}, and at most {most}")


Percent = Annotated[float, _between(0, 100)]
MetricName = Annotated[str, OneOf(GATED)]


@dataclass(frozen=True, slots=True)
class MetricEntry:
    """What is asked of a primary metric, in points.

    Attributes:
        margin: the drop that must be ruled out.
        tolerance: the smallest estimated drop that may fail the gate; half of the margin if left out.
    """

    margin: Annotated[float, _between(0.01, 100)] | None = None
    tolerance: Percent | None = None


Margin = Annotated[
    MetricEntry,
    BeforeValidator(
        lambda value: value if isinstance(value, dict) else {"margin": value},
        json_schema_input_type=MetricEntry | float,
    ),
]
"""A metric's entry, or its margin alone."""


@dataclass(frozen=True, slots=True)
class FloorEntry:
    """An absolute minimum.

    Attributes:
        metric: a primary metric or another one.
        min: the least value, in percent.
        task: of this task; of the macro average if left out.
        level: of this level of the task; of all its levels if left out.
    """

    metric: MetricName | None = None
    min: Percent | None = None
    task: str | None = None
    level: Annotated[int, _whole(1)] | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may not exceed or fall short of.

    Attributes:
        errors: largest share of failed requests in either run, in percent.
        truncated: largest share of answers cut off in either run, in percent.
        min_episodes: least episodes of each task.
    """

    errors: Percent = 0.0
    truncated: Percent = 10.0
    min_episodes: Annotated[int, _whole(1)] = 30


@dataclass(frozen=True, slots=True)
class Sequential:
    """How a sequential gate looks.

    Attributes:
        looks: blocks of episodes, each followed by a look.
        spending: how alpha is spent.
    """

    looks: Annotated[int, _whole(2, 20)] = 5
    spending: Annotated[str, OneOf(SPENDING)] = "obrien-fleming"


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A gate policy.

    Attributes:
        alpha: probability of a false alarm, and of passing what lost the margin.
        metrics: the primary metrics, each with its margin in points.
        floors: absolute minima.
        limits: on failed requests, answers that were cut off, and episodes.
        inconclusive: what an undecided gate counts as for the exit code.
        sequential: how a sequential gate looks.
    """

    alpha: Annotated[float, _between(0.0001, 0.5)] = 0.05
    metrics: Mapping[MetricName, Margin] | None = None
    floors: tuple[FloorEntry, ...] = ()
    limits: Limits = Limits()
    inconclusive: Verdict = Verdict.INCONCLUSIVE
    sequential: Sequential = Sequential()


def load_policy(path: Path) -> Policy:
    """Read a policy; what a file leaves out is as in :class:`mgsd_bench.gating.policy.Policy`.

    Raises:
        UserError: the file cannot be read, or something in it is unknown or out of range.
    """
    layers = read_layer(path)
    file = validate(PolicyFile, layers)
    return Policy(
        metrics=Policy().metrics if file.metrics is None else _metrics(file.metrics, layers),
        floors=tuple(_floor(floor, i, layers) for i, floor in enumerate(file.floors)),
        alpha=file.alpha,
        max_errors=file.limits.errors / 100,
        max_truncated=file.limits.truncated / 100,
        min_episodes=file.limits.min_episodes,
        inconclusive=file.inconclusive,
        looks=file.sequential.looks,
        spending=file.sequential.spending,
    )


def schema() -> dict[str, Any]:
    """The JSON Schema of policy files, for editors."""
    return editor_schema(PolicyFile, {}, extends=False)


def _metrics(entries: Mapping[str, MetricEntry], layers: Layers) -> tuple[MetricRule, ...]:
    if not entries:
        raise layers.error(("metrics",), f"name at least one of {', '.join(GATED)}")
    rules = []
    for name, entry in entries.items():
        if entry.margin is None:
            raise layers.error(("metrics", name), "needs a margin in points, for example margin: 3")
        tolerance = entry.margin / 2 if entry.tolerance is None else entry.tolerance
        if tolerance > entry.margin:
            problem = f"{tolerance:g} must not exceed the margin {entry.margin:g}"
            raise layers.error(("metrics", name, "tolerance"), problem)
        rules.append(MetricRule(name, entry.margin / 100, tolerance / 100))
    return tuple(rules)


def _floor(entry: FloorEntry, number: int, layers: Layers) -> Floor:
    if entry.metric is None or entry.min is None:
        raise layers.error(("floors", number), "needs metric and min, for example {metric: e2e, min: 50}")
    if entry.level is not None and entry.task is None:
        raise layers.error(("floors", number, "level"), "needs a task beside it")
    return Floor(entry.metric, entry.min / 100, entry.task, entry.level)
