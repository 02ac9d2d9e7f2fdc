"""Intervals and tests. Every figure that is shown comes with its n and an interval.

Nothing is drawn at random. docs/statistics.md says why these methods, and how often each interval covers the truth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mgsd_bench.records import OMIT_NONE

CONFIDENCE = 0.95

Groups = Sequence[Sequence[ArrayLike]]
"""Tasks, in each its strata (levels), in each one value an episode."""
Counts = Sequence[Sequence[ArrayLike]]
"""Tasks, in each its strata (levels), in each (episodes, 3) numbers of facts: tp, fp, fn."""
Measure = Literal["f1", "precision", "recall", "exact"]

_TAIL = (1 + CONFIDENCE) / 2
_NO_VARIANCE = 1e-18  # below it is nothing but rounding: of a mean of 0/1 values it would take 10^9 episodes


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval.

    Attributes:
        value: the point estimate.
        low: lower end of the interval.
        high: upper end of the interval.
        n: how many units (episodes) it rests on.
        spread: standard deviation over runs, of a mean over several; None of a single run.
    """

    value: float
    low: float
    high: float
    n: int
    spread: float | None = field(default=None, metadata=OMIT_NONE)


@dataclass(frozen=True, slots=True)
class McNemar:
    """Whether two runs differ on the same yes/no questions.

    Attributes:
        only_a: questions that only run a got right.
        only_b: questions that only run b got right.
        exact: two-sided p-value of the exact conditional test; never too small, often too large.
        mid_p: two-sided mid-p-value; nearer to the nominal level, and the one to decide by.
    """

    only_a: int
    only_b: int
    exact: float
    mid_p: float


def proportion(successes: int, n: int) -> Estimate:
    """A share of n independent episodes with its Wilson score interval (Wilson 1927), good also near 0 and 1.

    Raises:
        ValueError: ``n`` is below 1, or ``successes`` is not from 0 to ``n``.
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} successes of {n}")
    return _wilson(successes / n, n, n, NormalDist().inv_cdf(_TAIL))


def mean(groups: Groups) -> Estimate:
    """The interval that a cell gets: :func:`proportion` of right and wrong answers in one stratum, else :func:`macro`.

    Args:
        groups: as for :func:`macro`.

    Raises:
        ValueError: as :func:`macro`.
    """
    if len(groups) == 1 and len(groups[0]) == 1:
        values = np.asarray(groups[0][0], float)
        if len(values) and np.isin(values, (0.0, 1.0)).all():
            return proportion(int(values.sum()), len(values))
    return macro(groups)


def pooled(estimates: Sequence[Estimate], lowest: float = 0.0) -> Estimate:
    """The mean over several runs of the same questions, with the standard deviation over them.

    The interval is the wider of two on each side: of the mean over runs, by t, and the mean of the runs' own.

    Args:
        estimates: one a run, at least one.
        lowest: least possible value, -1 of a difference; the largest is 1.
    """
    from scipy.special import stdtrit

    first = estimates[0]
    if len(estimates) == 1:
        return first
    values = np.array([estimate.value for estimate in estimates])
    centre, spread = float(values.mean()), float(values.std(ddof=1))
    half = float(stdtrit(len(values) - 1, _TAIL)) * spread / math.sqrt(len(values))
    low, high = (float(np.mean(ends)) for ends in zip(*((e.low, e.high) for e in estimates), strict=True))
    return Estimate(
        centre, max(lowest, min(low, centre - half)), min(1.0, max(high, centre + half)), first.n, round(spread, 12)
    )


def macro(groups: Groups) -> Estimate:
    """The equal-weight mean over groups (tasks) of the mean of all values (0 to 1) in the group's strata (levels).

    The interval is Wilson's with an effective number of episodes in place of n, value (1 - value) / variance of the
    stratified mean, and with a t quantile, degrees of freedom by Satterthwaite, in place of the normal one (Korn and
    Graubard 1998; Franco, Little, Louis and Slud 2019). Where values vary in no stratum, as when all are right, the
    effective number is what n would be if every episode had the weight of the heaviest one.

    Args:
        groups: for each group its strata, for each stratum one value an episode: 0 or 1, or its mean over repeats.

    Raises:
        ValueError: there is no group, or one without episodes.
    """
    whole = _stratified(groups)
    if whole.n == 1:
        return Estimate(whole.value, 0.0, 1.0, 1)  # a single episode says nothing
    varies = whole.variance >= _NO_VARIANCE
    effective = whole.value * (1 - whole.value) / whole.variance if varies else whole.as_heaviest
    return _wilson(whole.value, effective, whole.n, whole.quantile)


def f1(tasks: Counts, measure: Measure = "f1") -> Estimate:
    """How well stated facts agree with the true ones: equal-weight mean over tasks of the task's micro average.

    The counts of all episodes of a task are added up first: precision tp / (tp + fp), recall tp / (tp + fn), F1
    2 tp / (2 tp + fp + fn); ``exact`` is the share of episodes without any fp or fn. Where nothing is true and nothing
    is stated the figure is 1; where there is something on one side only it is 0.

    The interval is that of :func:`macro` over :func:`fact_values`: episodes vary, not single facts, within levels. If
    all facts are right, nothing is known of how bad a fault would be, and it is the interval of a share of episodes.

    Args:
        tasks: for each task its levels, for each level an (episodes, 3) array of tp, fp, fn; repeats added up.
        measure: which of the four.
    """
    return macro(fact_values(tasks, measure))


def complement(estimate: Estimate) -> Estimate:
    """The share of what is left: one minus a share, and its interval turned round."""
    return Estimate(1 - estimate.value, 1 - estimate.high, 1 - estimate.low, estimate.n)


def fact_values(tasks: Counts, measure: Measure = "f1") -> list[list[NDArray[np.float64]]]:
    """One value an episode, whose mean over a task is the task's micro average and whose variance is the right one.

    For a ratio of sums R = sum(a) / sum(b) the value is R + (a - R b) / mean(b), Taylor linearisation (Woodruff 1971);
    it may lie outside 0 to 1. For ``exact`` it is 1 or 0. ``paired_difference(fact_values(a), fact_values(b))``
    compares two runs.
    """
    return [_linearised([np.asarray(level, float).reshape(-1, 3) for level in levels], measure) for levels in tasks]


def paired_difference(groups_a: Groups, groups_b: Groups) -> Estimate:
    """How much higher the macro average of run b is than that of run a, on the same episodes.

    The interval is the adjusted Wald interval of Bonett and Price (2012), made fit for strata. With m as many episodes
    as there would be if all had the weight of the heaviest one, two are added, one in favour of each run:
    centre = m d / (m + 2), and half the width = t sqrt((((variance m + d²) m + 2 c²) / (m + 2) - centre²) / (m + 2)).
    Here d is the difference, variance that of the stratified mean of the episodes' differences, t a quantile with
    Satterthwaite's degrees of freedom, and c² = sum(differences⁴) / sum(differences²), which is 1 for values 0 and 1.
    One stratum of these gives their interval, but for t and a divisor n - 1.

    Args:
        groups_a: values of run a, as for :func:`macro`.
        groups_b: values of run b: the same groups, strata and episodes in the same order.

    Raises:
        ValueError: the two do not have the same shape, or a group has no episodes.
    """
    groups: list[list[NDArray[np.float64]]] = []
    for of_a, of_b in zip(groups_a, groups_b, strict=True):
        if [np.shape(stratum) for stratum in of_a] != [np.shape(stratum) for stratum in of_b]:
            raise ValueError("the two runs do not have the same episodes")
        groups.append([np.asarray(b, float) - np.asarray(a, float) for a, b in zip(of_a, of_b, strict=True)])
    whole = _stratified(groups)
    squares = np.square(np.concatenate([differences for group in groups for differences in group]))
    added = float(np.square(squares).sum() / squares.sum()) if squares.any() else 1.0
    m = whole.as_heaviest
    square = ((whole.variance * m + whole.value**2) * m + 2 * added) / (m + 2)
    centre = whole.value * m / (m + 2)
    half = whole.quantile * math.sqrt((square - centre**2) / (m + 2))
    return Estimate(whole.value, max(-1.0, centre - half), min(1.0, centre + half), whole.n)


def mcnemar(only_a: int, only_b: int) -> McNemar:
    """Two-sided McNemar tests from the questions that only one of two runs got right.

    With m = min(only_a, only_b) and X binomial(only_a + only_b, 1/2): exact = min(1, 2 P(X <= m)); mid-p = exact -
    P(X = m), or 1 - P(X = m) / 2 if both counts are equal (Fagerland, Lydersen and Laake 2013). Both are 1 if the runs
    never differ.

    Raises:
        ValueError: a count is negative.
    """
    from scipy.stats import binom

    if min(only_a, only_b) < 0:
        raise ValueError(f"negative count: {only_a}, {only_b}")
    if only_a == only_b == 0:
        return McNemar(0, 0, 1.0, 1.0)
    fewer, both = min(only_a, only_b), only_a + only_b
    exact = min(1.0, 2 * float(binom.cdf(fewer, both, 0.5)))
    point = float(binom.pmf(fewer, both, 0.5))
    return McNemar(only_a, only_b, exact, 1 - point / 2 if only_a == only_b else exact - point)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Step-down adjusted p-values (Holm 1979): those at or below alpha may be called different at family-wise alpha.

    The i-th smallest of m is multiplied by m - i + 1, made no smaller than the one before it, and capped at 1.

    Raises:
        ValueError: a value is not from 0 to 1.
    """
    if not all(0 <= p <= 1 for p in p_values.values()):
        raise ValueError(f"not p-values: {dict(p_values)}")
    adjusted, reached = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = reached
    return {name: adjusted[name] for name in p_values}


@dataclass(frozen=True, slots=True)
class _Mean:
    """A stratified mean, its variance, t quantile and episodes; their number if all weighed as the heaviest one."""

    value: float
    variance: float
    quantile: float
    n: int
    as_heaviest: float


def _stratified(groups: Groups) -> _Mean:
    """Mean and variance; a stratum of one episode, which shows no variance, is given that of all episodes together."""
    from scipy.special import stdtrit

    tasks = [[stratum for values in group if len(stratum := np.asarray(values, float))] for group in groups]
    if not tasks or not all(tasks):
        raise ValueError("an average needs at least one group, and an episode in each")
    strata = [stratum for task in tasks for stratum in task]
    n = np.array([len(stratum) for stratum in strata])
    weight = n / np.repeat([sum(map(len, task)) for task in tasks], [len(task) for task in tasks]) / len(tasks)
    value = float(np.mean([np.concatenate(task).mean() for task in tasks]))
    overall = sum(w * np.square(stratum - value).mean() for w, stratum in zip(weight, strata, strict=True))
    spread = np.array([stratum.var(ddof=1) if len(stratum) > 1 else overall for stratum in strata])
    parts = weight**2 * spread / n
    variance = float(parts.sum())
    freedom = variance**2 / np.sum(parts**2 / np.maximum(n - 1, 1)) if variance >= _NO_VARIANCE else math.inf
    quantile = float(stdtrit(freedom, _TAIL))
    return _Mean(value, variance, quantile, int(n.sum()), float((n / weight).min()))


def _wilson(value: float, effective: float, n: int, quantile: float) -> Estimate:
    """Wilson's interval of a share of ``effective`` episodes, a number that need not be whole."""
    square = quantile**2
    centre = (value * effective + square / 2) / (effective + square)
    half = quantile * math.sqrt(effective * value * (1 - value) + square / 4) / (effective + square)
    return Estimate(value, max(0.0, min(value, centre - half)), min(1.0, max(value, centre + half)), n)


def _linearised(levels: Sequence[NDArray[np.float64]], measure: Measure) -> list[NDArray[np.float64]]:
    tp, fp, fn = np.concatenate(levels).T
    top, bottom = {
        "f1": (2 * tp, 2 * tp + fp + fn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "exact": ((fp + fn == 0).astype(float), np.ones(len(tp))),
    }[measure]
    values: NDArray[np.float64] = np.full(len(tp), 0.0 if np.any(tp + fp + fn) else 1.0)
    if bottom.any():
        ratio = top.sum() / bottom.sum()
        values = ratio + (top - ratio * bottom) / bottom.mean()
    return np.split(values, np.cumsum([len(level) for level in levels])[:-1])
