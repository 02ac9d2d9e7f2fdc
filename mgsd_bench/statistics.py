"""Intervals, on scipy. Every figure that is shown comes with its n and one of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 2000
BOOTSTRAP_SEED = 20260606


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval.

    Attributes:
        value: the point estimate.
        low: lower end of the interval.
        high: upper end of the interval.
        n: how many units (episodes) it rests on.
    """

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, float | int]:
        """The estimate with 6 decimals."""
        return {"value": round(self.value, 6), "low": round(self.low, 6), "high": round(self.high, 6), "n": self.n}


def proportion(successes: int, n: int) -> Estimate:
    """A share with its Wilson score interval (Wilson 1927), which holds up at few episodes and near 0 and 1.

    Raises:
        ValueError: ``n`` is below 1.
    """
    from scipy.stats import binomtest

    interval = binomtest(successes, n).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(successes / n, float(interval.low), float(interval.high), n)


def macro(groups: Sequence[Sequence[Sequence[float]]]) -> Estimate:
    """The equal-weight mean over groups (tasks) of the mean of all values in the group's strata (levels).

    The interval is a percentile bootstrap with a fixed seed that draws anew within each stratum, so that the mix of
    levels stays what it is. Where every value is 0, or every one 1, it is the Wilson interval of the effective number
    of episodes, 1 / sum(weight² / n).

    Args:
        groups: for each group its strata, for each stratum one value an episode.
    """
    from scipy.stats import bootstrap

    strata = [np.asarray(stratum, float) for group in groups for stratum in group]
    weights = [len(stratum) / sum(map(len, group)) / len(groups) for group in groups for stratum in group]

    def statistic(*drawn: np.ndarray[Any, np.dtype[np.float64]], axis: int = -1) -> Any:
        return sum(weight * values.mean(axis=axis) for weight, values in zip(weights, drawn, strict=True))

    value = float(statistic(*strata))
    n = sum(map(len, strata))
    if any(len(stratum) < 2 for stratum in strata):
        return Estimate(value, 0.0, 1.0, n)  # nothing can be drawn from a single episode
    if value in (0.0, 1.0):  # every draw would be the same; the interval must not shrink to a point for that
        effective = int(1 / sum(weight**2 / len(values) for weight, values in zip(weights, strata, strict=True)))
        interval = proportion(round(value * effective), effective)
        return Estimate(value, interval.low, interval.high, n)
    result = bootstrap(
        strata,
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    )
    ends = result.confidence_interval
    return Estimate(value, float(ends.low), float(ends.high), n)
