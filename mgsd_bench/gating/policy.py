"""What a gate asks for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

Json = dict[str, Any]


class Verdict(StrEnum):
    """What a gate says."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class MetricRule:
    """What is asked of a primary metric.

    Attributes:
        metric: a key of :data:`mgsd_bench.analysis.metrics.METRICS`.
        margin: the drop that must be ruled out, as a share (0.03 is 3 points).
        tolerance: the smallest estimated drop that may fail the gate, as a share.
    """

    metric: str
    margin: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class Floor:
    """An absolute minimum.

    Attributes:
        metric: as in :class:`MetricRule`.
        minimum: the least value, as a share.
        task: of this task; of the macro average if None.
        level: of this level of the task; of all its levels if None.
    """

    metric: str
    minimum: float
    task: str | None = None
    level: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What a gate asks for.

    Attributes:
        metrics: the primary metrics.
        floors: absolute minima.
        alpha: probability of either error.
        max_errors: largest share of failed requests in either run.
        max_truncated: largest share of answers cut off in either run.
        min_episodes: least episodes of each task.
        inconclusive: what an undecided gate counts as for the exit code.
        looks: blocks of a sequential gate.
        spending: how a sequential gate spends ``alpha``, ``obrien-fleming`` or ``pocock``.
    """

    metrics: tuple[MetricRule, ...] = (
        MetricRule("e2e", 0.03, 0.015),
        MetricRule("state_f1", 0.03, 0.015),
        MetricRule("plan_on_gt", 0.03, 0.015),
    )
    floors: tuple[Floor, ...] = ()
    alpha: float = 0.05
    max_errors: float = 0.0
    max_truncated: float = 0.1
    min_episodes: int = 30
    inconclusive: Verdict = Verdict.INCONCLUSIVE
    looks: int = 5
    spending: str = "obrien-fleming"

    @property
    def names(self) -> tuple[str, ...]:
        """Every metric that the policy speaks of, primary ones first."""
        return tuple(dict.fromkeys([rule.metric for rule in self.metrics] + [floor.metric for floor in self.floors]))

    def to_json(self) -> Json:
        """The policy as plain JSON values, shares as shares."""
        return {
            "alpha": self.alpha,
            "metrics": {rule.metric: {"margin": rule.margin, "tolerance": rule.tolerance} for rule in self.metrics},
            "floors": [
                {"metric": floor.metric, "task": floor.task, "level": floor.level, "min": floor.minimum}
                for floor in self.floors
            ],
            "limits": {
                "errors": self.max_errors,
                "truncated": self.max_truncated,
                "min_episodes": self.min_episodes,
            },
            "inconclusive": self.inconclusive.value,
            "sequential": {"looks": self.looks, "spending": self.spending},
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The inverse of :meth:`to_json`.

        Raises:
            KeyError, TypeError, ValueError: the data is no policy.
        """
        limits, sequential = data["limits"], data["sequential"]
        return cls(
            metrics=tuple(MetricRule(name, of["margin"], of["tolerance"]) for name, of in data["metrics"].items()),
            floors=tuple(Floor(row["metric"], row["min"], row["task"], row["level"]) for row in data["floors"]),
            alpha=data["alpha"],
            max_errors=limits["errors"],
            max_truncated=limits["truncated"],
            min_episodes=limits["min_episodes"],
            inconclusive=Verdict(data["inconclusive"]),
            looks=sequential["looks"],
            spending=sequential["spending"],
        )
