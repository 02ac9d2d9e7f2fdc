"""What a gate can see: its chance to pass and to fail by number of episodes, and the smallest drop it will find.

Counted, not simulated: every number of losses and gains with its probability, through the gate's own tests. Where few
episodes change, they are counted for each weight by itself; else episodes of unequal weight enter by their effective
number 1 / sum(weight²) (Kish 1965) and by the heaviest one's weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mgsd_bench.gating.policy import MetricRule
from mgsd_bench.statistics.paired import ENUMERATED, Change, Floats, restricted_discordance
from mgsd_bench.suites.suite import Suite

COUNTED = 20
"""Up to so many expected changes are counted weight by weight."""

_NEGLIGIBLE = 1e-9
_RARE = 1e-6


@dataclass(frozen=True, slots=True)
class Design:
    """The episodes of an evaluation, as far as power depends on them.

    Attributes:
        groups: for each weight that episodes have in the macro average, how many have it, and the weight.
    """

    groups: tuple[tuple[int, float], ...]

    @property
    def n(self) -> int:
        """How many episodes there are."""
        return sum(count for count, _ in self.groups)

    @property
    def effective(self) -> float:
        """As many episodes of equal weight say as much, 1 / sum(weight²)."""
        return 1 / sum(count * weight**2 for count, weight in self.groups)

    @property
    def heaviest(self) -> float:
        """Weight of the heaviest one."""
        return max(weight for _, weight in self.groups)

    def scaled(self, factor: float) -> Design:
        """The same mix with ``factor`` times as many episodes."""
        counts = (max(1, round(count * factor)) for count, _ in self.groups)
        return Design(tuple((new, w * old / new) for new, (old, w) in zip(counts, self.groups, strict=True)))


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
    return Design(tuple((count, 1 / count / len(tasks)) for count in tasks.values()))


def design_of_change(of: Change) -> Design:
    """The design of an evaluation that was made."""
    weights, counts = np.unique(np.round(of.weights, 12), return_counts=True)
    return Design(tuple(zip(counts.tolist(), weights.tolist(), strict=True)))


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
    lost = discordance / 2 + drop
    won = min(discordance / 2, 1 - lost)  # no episode is lost and won
    count = _counted if design.n * (lost + won) <= COUNTED else _effective
    of = count(design, lost, won)
    held = _margin_p(of, design.heaviest, rule.margin) <= alpha
    dropped = ~held & (of.sign_p <= alpha / metrics) & (-of.change >= rule.tolerance - 1e-12)
    return Chances(float(of.probability[held].sum()), float(of.probability[dropped].sum()))


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


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """What may come of an evaluation, an entry each."""

    change: Floats
    discordance: Floats
    variance: Floats
    unhurt: NDArray[np.bool_]  # nothing got worse
    sign_p: Floats  # mgsd_bench.statistics.paired.drop_p
    probability: Floats


def _effective(design: Design, lost: float, won: float) -> _Outcomes:
    """All likely numbers of losses and gains, as if all episodes had the same weight."""
    from scipy.stats import binom

    n = max(1, round(design.effective))
    ranges = [
        np.arange(int(binom.ppf(_NEGLIGIBLE, n, share)), int(binom.ppf(1 - _NEGLIGIBLE, n, share)) + 1)
        for share in (lost, won)
    ]
    losses, gains = (grid.ravel().astype(float) for grid in np.meshgrid(*ranges, indexing="ij"))
    possible = losses + gains <= n
    losses, gains = losses[possible], gains[possible]
    rest = won / (1 - lost) if lost < 1 else 0.0
    probability = np.asarray(binom.pmf(losses, n, lost) * binom.pmf(gains, n - losses, min(1.0, rest)), float)
    both = losses + gains
    at_least = binom.sf(losses - 1, both, 0.5)
    mid = at_least - binom.pmf(losses, both, 0.5) / 2
    sign_p = np.where(both == 0, 1.0, np.where(both <= ENUMERATED, at_least, mid))
    return _Outcomes((gains - losses) / n, both / n, both / n**2, losses == 0, sign_p, probability)


def _counted(design: Design, lost: float, won: float) -> _Outcomes:
    """All likely numbers of losses and gains among the episodes of each weight."""
    from scipy.stats import binom

    counts, weights = zip(*design.groups, strict=True)
    chance = [binom.pmf(np.arange(count + 1), count, min(1.0, lost + won)) for count in counts]
    columns: list[tuple[Floats, ...]] = []
    for changed in product(*(np.flatnonzero(of > _RARE).tolist() for of in chance)):
        likely = math.prod(float(of[k]) for of, k in zip(chance, changed, strict=True))
        if likely < _RARE:
            continue
        losses, sign_p = _signs(changed, weights)
        among = [binom.pmf(np.arange(k + 1), k, lost / (lost + won) if lost else 0.0) for k in changed]
        probability = likely * np.prod([of[number] for of, number in zip(among, losses, strict=True)], axis=0)
        change = sum(w * (k - 2.0 * number) for w, k, number in zip(weights, changed, losses, strict=True))
        share, variance = (sum(w**i * k for w, k in zip(weights, changed, strict=True)) for i in (1, 2))
        same = np.ones(len(sign_p))
        columns.append((change, share * same, variance * same, losses.sum(0) == 0, sign_p, probability))
    return _Outcomes(*(np.concatenate(column) for column in zip(*columns, strict=True)))


@lru_cache(2**14)
def _signs(changed: tuple[int, ...], weights: tuple[float, ...]) -> tuple[NDArray[np.int64], Floats]:
    """All numbers of losses (groups, outcomes) among changed episodes, and the sign-flip test's p-value of each."""
    from scipy.stats import binom

    losses = np.indices([k + 1 for k in changed]).reshape(len(changed), -1)
    drop = np.asarray(weights) @ (2.0 * losses - np.asarray(changed)[:, None])
    chance = np.prod([binom.pmf(number, k, 0.5) for number, k in zip(losses, changed, strict=True)], axis=0)
    order = np.argsort(-drop)
    upper = np.concatenate([[0.0], np.cumsum(chance[order])])
    at_least, above = (upper[np.searchsorted(-drop[order], -drop + tie, "right")] for tie in (1e-12, -1e-12))
    return losses, at_least if sum(changed) <= ENUMERATED else (at_least + above) / 2


def _margin_p(of: _Outcomes, heaviest: float, margin: float) -> Floats:
    """:func:`mgsd_bench.statistics.paired.noninferiority_p` of right and wrong answers."""
    from scipy.special import ndtr

    losses, gains = (of.discordance - of.change) / 2, (of.discordance + of.change) / 2
    unseen = np.maximum(0.0, restricted_discordance(losses, gains, -margin) - of.discordance)
    distance = of.change + margin
    p: Floats = ndtr(-distance / np.sqrt(np.maximum(of.variance + heaviest * unseen, 1e-300)))
    return np.where(of.unhurt, np.maximum(p, np.exp(-np.maximum(0.0, distance) / heaviest)), p)


def fixed_rule_alarms(design: Design, discordance: float, points: float) -> float:
    """How often the rule "fail if it is ``points`` (a share) lower" fails a candidate that did not change."""
    spread = math.sqrt(discordance / design.effective)
    return NormalDist().cdf(-points / spread) if spread else 0.0
