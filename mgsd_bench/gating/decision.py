"""Is a new checkpoint worse than the old one? Pure functions of two runs and a policy; docs/gate.md has the rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import NormalDist
from typing import Any

from mgsd_bench.errors import Exit
from mgsd_bench.gating.policy import Floor, MetricRule, Policy, Verdict
from mgsd_bench.statistics.intervals import holm
from mgsd_bench.statistics.paired import Change, drop_p, excess_p, lower_bound, noninferiority_p, upper_bound

Json = dict[str, Any]

POWER = 0.8
"""The chance of a decision that :attr:`MetricDecision.episodes_needed` aims at."""


class Status(StrEnum):
    """What is known of one metric or floor: it held, it dropped, or it is open."""

    HELD = "held"
    DROPPED = "dropped"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class MetricDecision:
    """What was found of one primary metric.

    Attributes:
        rule: what was asked.
        baseline: the baseline's macro average.
        candidate: the candidate's.
        n: episodes.
        change: candidate minus baseline.
        low: one-sided lower bound of the change at the policy's alpha.
        high: one-sided upper bound of it.
        discordance: weighted share of the episodes that changed.
        p_margin: p-value of "it dropped by the margin or more".
        p_drop: p-value of "it did not drop", adjusted by Holm over the metrics.
        status: the decision.
        episodes_needed: about how many episodes would decide it with a chance of :data:`POWER`.
    """

    rule: MetricRule
    baseline: float
    candidate: float
    n: int
    change: float
    low: float
    high: float
    discordance: float
    p_margin: float
    p_drop: float
    status: Status
    episodes_needed: int

    def to_json(self) -> Json:
        """The decision as plain JSON values, shares with 6 decimals."""
        shares = ("baseline", "candidate", "change", "low", "high", "discordance", "p_margin", "p_drop")
        return {
            "metric": self.rule.metric,
            "margin": self.rule.margin,
            "tolerance": self.rule.tolerance,
            "n": self.n,
            **{name: round(getattr(self, name), 6) for name in shares},
            "status": self.status.value,
            "episodes_needed": self.episodes_needed,
        }


@dataclass(frozen=True, slots=True)
class FloorDecision:
    """What was found of one floor: the candidate's value with its 95 % interval."""

    floor: Floor
    value: float
    low: float
    high: float
    n: int

    @property
    def status(self) -> Status:
        """Held at or above the minimum; dropped if the whole interval is below it; else open."""
        if self.value >= self.floor.minimum - 1e-12:
            return Status.HELD
        return Status.DROPPED if self.high < self.floor.minimum else Status.OPEN

    def to_json(self) -> Json:
        """The decision as plain JSON values, shares with 6 decimals."""
        return {
            "metric": self.floor.metric,
            "task": self.floor.task,
            "level": self.floor.level,
            "min": self.floor.minimum,
            **{name: round(getattr(self, name), 6) for name in ("value", "low", "high")},
            "n": self.n,
            "status": self.status.value,
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of both runs.

    Attributes:
        baseline: macro average of the baseline.
        candidate: macro average of the candidate.
        change: the episodes, paired.
    """

    baseline: float
    candidate: float
    change: Change


@dataclass(frozen=True, slots=True)
class Decision:
    """What a gate found.

    Attributes:
        verdict: pass, fail or inconclusive.
        metrics: one decision a primary metric.
        floors: one decision a floor.
        notes: what a reader should know beside the figures.
    """

    verdict: Verdict
    metrics: tuple[MetricDecision, ...]
    floors: tuple[FloorDecision, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def episodes_needed(self) -> int | None:
        """About how many episodes would decide the metrics that are open; None if none is."""
        return max((row.episodes_needed for row in self.metrics if row.status == Status.OPEN), default=None)

    def exit_code(self, policy: Policy) -> Exit:
        """0 pass, 1 fail, 4 inconclusive (or what the policy counts that as)."""
        counted = policy.inconclusive if self.verdict == Verdict.INCONCLUSIVE else self.verdict
        codes = {Verdict.PASS: Exit.OK, Verdict.FAIL: Exit.REGRESSION, Verdict.INCONCLUSIVE: Exit.INCONCLUSIVE}
        return codes[counted]


@dataclass(frozen=True, slots=True)
class Levels:
    """The nominal levels of one look.

    Attributes:
        margin: a metric held if its p-value of "dropped by the margin or more" is at most this.
        drop: a metric dropped if its adjusted p-value of "did not drop" is at most this.
        adjust: from p-values by metric to adjusted ones.
    """

    margin: float
    drop: float
    adjust: Callable[[Mapping[str, float]], dict[str, float]] = holm


def decide(
    measured: Mapping[str, Measured],
    policy: Policy,
    floors: Sequence[FloorDecision] = (),
    notes: Sequence[str] = (),
    levels: Levels | None = None,
) -> Decision:
    """Decide every metric and the whole.

    A metric *held* if a drop of its margin or more is ruled out at alpha. It *dropped* if it has not held, "no drop" is
    ruled out at alpha after Holm's adjustment over the primary metrics, and the estimated drop is at least its
    tolerance; or if a drop of less than the margin is ruled out at the same level. Else it is *open*.

    Fail if any metric dropped or any floor is surely broken; pass if all metrics held and no floor is open; else
    inconclusive. To pass, *all* metrics have to hold, so a candidate that truly lost the margin in any of them passes
    with probability alpha at most, without an adjustment (intersection-union test, Berger 1982).

    Args:
        measured: for each primary metric what was measured.
        policy: what is asked.
        floors: decisions on the policy's floors.
        notes: carried along.
        levels: nominal levels, of a look of a sequential gate; by default the policy's alpha.
    """
    levels = levels or Levels(policy.alpha, policy.alpha)
    changes = {rule.metric: measured[rule.metric].change for rule in policy.metrics}
    drops = levels.adjust({name: drop_p(of) for name, of in changes.items()})
    excesses = levels.adjust({rule.metric: excess_p(changes[rule.metric], rule.margin) for rule in policy.metrics})
    rows = []
    for rule in policy.metrics:
        of, found = changes[rule.metric], measured[rule.metric]
        p_margin = noninferiority_p(of, rule.margin)
        proven = drops[rule.metric] <= levels.drop
        large = -of.mean >= rule.tolerance - 1e-12 or excesses[rule.metric] <= levels.drop
        status = Status.HELD if p_margin <= levels.margin else Status.DROPPED if proven and large else Status.OPEN
        rows.append(
            MetricDecision(
                rule=rule,
                baseline=found.baseline,
                candidate=found.candidate,
                n=len(of.values),
                change=of.mean,
                low=lower_bound(of, levels.margin),
                high=upper_bound(of, levels.margin),
                discordance=of.discordance,
                p_margin=p_margin,
                p_drop=drops[rule.metric],
                status=status,
                episodes_needed=episodes_needed(of, rule.margin, policy.alpha / len(policy.metrics)),
            )
        )
    found_statuses = [row.status for row in rows] + [floor.status for floor in floors]
    verdict = Verdict.INCONCLUSIVE
    if Status.DROPPED in found_statuses:
        verdict = Verdict.FAIL
    elif all(status == Status.HELD for status in found_statuses):
        verdict = Verdict.PASS
    return Decision(verdict, tuple(rows), tuple(floors), tuple(notes))


def episodes_needed(of: Change, margin: float, alpha: float) -> int:
    """About how many episodes tell no change from a drop of the margin, with a chance of :data:`POWER` either way.

    (z(1 - alpha) + z(power))² variance n / margin², with the observed variance or, where fewer episodes differ than a
    drop of the margin would make, that of such a drop.
    """
    normal = NormalDist()
    needed = (normal.inv_cdf(1 - alpha) + normal.inv_cdf(POWER)) ** 2
    variance = max(of.variance, of.heaviest * margin * of.atom)
    return math.ceil(needed * variance * len(of.values) / margin**2)
