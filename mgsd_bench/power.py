"""What a gate can see: its chance to pass and to fail by number of episodes, and the smallest drop it will find.

Counted, not simulated: every number of losses and gains with its probability, through the gate's own tests. Episodes of
unequal weight enter by their effective number 1 / sum(weight²) (Kish 1965) and by the heaviest one's weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mgsd_bench.gate import MetricRule
from mgsd_bench.paired import ENUMERATED, Change, Floats, restricted_discordance
from mgsd_bench.suites import Suite

_NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True)
class Design:
    """The episodes of an evaluation, as far as power depends on them.

    Attributes:
        n: how many there are.
        effective: as many episodes of equal weight say as much, 1 / sum(weight²).
        heaviest: weight of the heaviest one.
    """

    n: int
    effective: float
    heaviest: float

    def scaled(self, factor: float) -> Design:
        """The same mix with ``factor`` times as many episodes."""
        return Design(max(1, round(self.n * factor)), self.effective * factor, self.heaviest / factor)


@dataclass(frozen=True, slots=True)
class Chances:
    """How likely one metric of a gate ends how."""

    held: float
    dropped: float

    @property
    def open(self) -> float:
        """Neither."""
        return max(0.0, 1 - self.held - self.dropped)


def design_of(suite: Suite, limit: int | None = None) -> Design:
    """The design of a suite, with at most ``limit`` episodes a level."""
    tasks: dict[str, int] = {}
    for part in suite.parts:
        tasks[part.task] = tasks.get(part.task, 0) + (part.count if limit is None else min(limit, part.count))
    return _design(list(tasks.values()))


def design_of_change(of: Change) -> Design:
    """The design of an evaluation that was made."""
    return Design(len(of.values), 1 / float(np.square(of.weights).sum()), of.heaviest)


def _design(counts: list[int]) -> Design:
    squares = sum(1 / count for count in counts) / len(counts) ** 2
    return Design(sum(counts), 1 / squares, 1 / min(counts) / len(counts))


def chances(
    design: Design, discordance: float, drop: float, rule: MetricRule, alpha: float = 0.05, metrics: int = 1
) -> Chances:
    """How likely a metric is found to have held, and to have dropped.

    Args:
        design: the episodes.
        discordance: share of the episodes that change although nothing changed, half of them for the worse.
        drop: true drop, losses beyond those; 0 to 1 - discordance / 2.
        rule: margin and tolerance.
        alpha: of the gate.
        metrics: how many primary metrics there are; a drop is tested at alpha / metrics, Holm's first step.

    Raises:
        ValueError: the shares are not possible.
    """
    if not (0 <= discordance <= 1 and 0 <= drop <= 1 - discordance / 2):
        raise ValueError(f"discordance {discordance}, drop {drop}: not possible together")
    n = max(1, round(design.effective))
    lost, won = discordance / 2 + drop, discordance / 2
    losses, gains, probability = _outcomes(n, lost, won)
    change = (gains - losses) / n
    held = _margin_p(losses, gains, n, design.heaviest, rule.margin) <= alpha
    sign = _sign_p(losses, gains)
    dropped = ~held & (sign <= alpha / metrics) & (-change >= rule.tolerance - 1e-12)
    return Chances(float(probability[held].sum()), float(probability[dropped].sum()))


def detectable_drop(
    design: Design, discordance: float, rule: MetricRule, alpha: float = 0.05, metrics: int = 1, power: float = 0.8
) -> float | None:
    """The smallest true drop that the gate fails with probability ``power``; None if there is none up to 50 points."""
    low, high = 0.0, min(0.5, 1 - discordance / 2)
    if chances(design, discordance, high, rule, alpha, metrics).dropped < power:
        return None
    while high - low > 0.0005:
        middle = (low + high) / 2
        found = chances(design, discordance, middle, rule, alpha, metrics).dropped
        low, high = (low, middle) if found >= power else (middle, high)
    return high


def _outcomes(n: int, lost: float, won: float) -> tuple[Floats, Floats, Floats]:
    """All numbers of losses and gains that are likely, with their probabilities."""
    from scipy.stats import binom

    ranges = [
        np.arange(int(binom.ppf(_NEGLIGIBLE, n, share)), int(binom.ppf(1 - _NEGLIGIBLE, n, share)) + 1)
        for share in (lost, won)
    ]
    losses, gains = (grid.ravel().astype(float) for grid in np.meshgrid(*ranges, indexing="ij"))
    possible = losses + gains <= n
    losses, gains = losses[possible], gains[possible]
    rest = won / (1 - lost) if lost < 1 else 0.0
    probability = binom.pmf(losses, n, lost) * binom.pmf(gains, n - losses, min(1.0, rest))
    return losses, gains, np.asarray(probability, float)


def _sign_p(losses: Floats, gains: Floats) -> Floats:
    """:func:`mgsd_bench.paired.drop_p` with equal weights."""
    from scipy.stats import binom

    both = losses + gains
    at_least = binom.sf(losses - 1, both, 0.5)
    mid = at_least - binom.pmf(losses, both, 0.5) / 2
    p: Floats = np.where(both == 0, 1.0, np.where(both <= ENUMERATED, at_least, mid))
    return p


def _margin_p(losses: Floats, gains: Floats, n: int, heaviest: float, margin: float) -> Floats:
    """:func:`mgsd_bench.paired.noninferiority_p` with equal weights."""
    from scipy.special import ndtr

    a, b = losses / n, gains / n
    variance = (a + b) / n + heaviest * np.maximum(0.0, restricted_discordance(a, b, -margin) - a - b)
    p: Floats = ndtr(-(b - a + margin) / np.sqrt(np.maximum(variance, 1e-300)))
    return np.where(losses == 0, np.maximum(p, np.exp(-np.maximum(0.0, b - a + margin) / heaviest)), p)


def fixed_rule_alarms(design: Design, discordance: float, points: float) -> float:
    """How often the rule "fail if it is ``points`` (a share) lower" fails a candidate that did not change."""
    spread = math.sqrt(discordance / design.effective)
    return NormalDist().cdf(-points / spread) if spread else 0.0
