"""One-sided tests and bounds of the change between two runs on the same episodes.

What :mod:`mgsd_bench.statistics.intervals` says of two runs is two-sided and for reading; a gate decides one side at a
time, with few differing answers, and must not be surprised by them. docs/gate.md says why these methods.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from mgsd_bench.statistics.intervals import Groups, mcnemar

Floats = NDArray[np.float64]

ENUMERATED = 14
"""Up to so many differing episodes all signs are tried; above, the saddlepoint approximation is used."""

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Change:
    """What changed from a baseline to a candidate, episode by episode.

    Attributes:
        values: (n,) candidate minus baseline; -1, 0 or 1 for single answers, between for means over repeats.
        weights: (n,) weight of each episode in the macro average; they add up to 1.
    """

    values: Floats
    weights: Floats

    @property
    def mean(self) -> float:
        """The change of the macro average."""
        return float(self.weights @ self.values)

    @property
    def discordance(self) -> float:
        """Weighted share of the episodes that changed."""
        return float(self.weights @ (self.values != 0))

    @property
    def variance(self) -> float:
        """Of :attr:`mean` if nothing changed but by chance: sum of (weight value)²."""
        return float(np.square(self.weights * self.values).sum())

    @property
    def heaviest(self) -> float:
        """The largest weight of an episode."""
        return float(self.weights.max())

    @property
    def atom(self) -> float:
        """How much a changed episode changes: sqrt(sum(w v⁴) / sum(w v²)) with one more that loses all; at most 1.

        It is 1 for right and wrong answers. Changes of F1 are smaller; the further episode keeps the atom near 1 until
        enough of them were seen.
        """
        squares = np.square(self.values)
        top = float(self.weights @ np.square(squares)) + self.heaviest
        return min(1.0, math.sqrt(top / (float(self.weights @ squares) + self.heaviest)))

    def reversed(self) -> Change:
        """The change from candidate to baseline."""
        return Change(-self.values, self.weights)


def change(baseline: Groups, candidate: Groups) -> Change:
    """The episodes of two runs as one change; weights as in :func:`mgsd_bench.statistics.intervals.macro`.

    Args:
        baseline: tasks, in each its levels, in each one value an episode.
        candidate: the same of the other run, in the same order.

    Raises:
        ValueError: the two do not have the same shape, or a task has no episodes.
    """
    values, weights = [], []
    for of_a, of_b in zip(baseline, candidate, strict=True):
        if [np.shape(level) for level in of_a] != [np.shape(level) for level in of_b]:
            raise ValueError("the two runs do not have the same episodes")
        if not sum(map(np.size, of_a)):
            raise ValueError("an average needs an episode in each group")
        a, b = (np.concatenate([np.asarray(level, float) for level in levels]) for levels in (of_a, of_b))
        values.append(b - a)
        weights.append(np.full(len(a), 1 / len(a) / len(baseline)))
    return Change(np.concatenate(values), np.concatenate(weights))


def drop_p(of: Change) -> float:
    """One-sided p-value of "nothing got worse": how often chance alone would make a drop this large.

    If the runs differ by chance only, each difference is as likely to be in favour of one run as of the other. The
    p-value is the share of all choices of signs whose weighted sum is at least the observed drop (Fisher's sign-flip
    test; with equal weights the exact sign test of McNemar). That holds exactly, for any number of episodes. Up to
    :data:`ENUMERATED` differing episodes all signs are tried; above it is the saddlepoint approximation of Lugannani
    and Rice (1980) to the same distribution (Robinson 1982), with their lattice correction for the mean difference, so
    that with equal weights it is the mid-p-value. 1 if no episode differs.
    """
    signed = -of.weights * of.values
    signed = signed[signed != 0]
    if not len(signed):
        return 1.0
    amounts, drop = np.abs(signed), float(signed.sum())
    if len(amounts) <= ENUMERATED:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(amounts))))
        return float(np.mean(signs @ amounts >= drop - 1e-9 * amounts.sum()))
    return _saddlepoint(amounts, drop)


def two_sided_p(baseline: Groups, candidate: Groups) -> float:
    """Two-sided p-value of "nothing changed" between two runs on the same episodes.

    Of one task it is McNemar's mid-p; of several it is the sign-flip test of :func:`drop_p`, twice the smaller side, in
    which an episode counts by its weight in the macro average, so that it speaks of the average's change.

    Args:
        baseline: as of :func:`change`.
        candidate: as of :func:`change`.
    """
    of = change(baseline, candidate)
    if len(baseline) == 1:
        return mcnemar(int(np.sum(of.values < 0)), int(np.sum(of.values > 0))).mid_p
    return min(1.0, 2 * min(drop_p(of), drop_p(of.reversed())))


def noninferiority_p(of: Change, margin: float) -> float:
    """One-sided p-value of "the macro average dropped by ``margin`` or more".

    A score test: (change + margin) / s.e., where the s.e. is the one that a drop of just ``margin`` would have. As in
    Tango (1998) the most likely shares of gains and losses under such a drop are estimated; losses beyond the observed
    ones are taken to lie in the heaviest episodes, so the test holds wherever they are. Differences that are not -1, 0
    or 1 are measured in units of :attr:`Change.atom`. If no episode got worse, the p-value is no smaller than the
    probability exp(-(change + margin) / (atom heaviest)) of seeing none ("rule of three").

    Args:
        of: the change.
        margin: of the macro average, 0 to 1; below 0 it asks whether there is a gain.
    """
    return _Score.of(of).p(margin)


def excess_p(of: Change, margin: float) -> float:
    """One-sided p-value of "the macro average dropped by less than ``margin``": small if the drop is surely larger."""
    return _above((-of.mean - margin) / math.sqrt(of.variance)) if of.variance else 1.0


def lower_bound(of: Change, alpha: float) -> float:
    """The one-sided lower confidence bound: the largest drop (as a negative change) that is not ruled out at ``alpha``.

    The bound inverts :func:`noninferiority_p`. Where no episode differs it is about ln(alpha) heaviest, never 0.
    """
    score = _Score.of(of)
    if score.p(1.0) > alpha:
        return -1.0
    # the p-value is at most alpha at a drop of 1, and at least 1/2 at the observed change
    return float(brentq(lambda change: score.p(-change) - alpha, -1.0, of.mean, xtol=1e-12))


def upper_bound(of: Change, alpha: float) -> float:
    """The one-sided upper confidence bound of the change."""
    return -lower_bound(of.reversed(), alpha)


def restricted_discordance(losses: float | Floats, gains: float | Floats, difference: float) -> Floats:
    """The most likely share of changed answers if gains minus losses is ``difference`` (Tango 1998).

    It maximises gains log(S + difference) + losses log(S - difference) + (1 - losses - gains) log(1 - S) over S.

    Args:
        losses: observed share of answers that became wrong.
        gains: observed share of answers that became right.
        difference: from -1 to 1.
    """
    total, tilt = np.add(losses, gains), difference * np.subtract(gains, losses)
    root = np.square(total + tilt) - 4 * (tilt - (1 - total) * difference**2)
    solution: Floats = (total + tilt + np.sqrt(np.maximum(root, 0.0))) / 2
    return np.clip(solution, abs(difference), 1.0)


@dataclass(frozen=True, slots=True)
class _Score:
    """What the score test needs to know of a change, in units of the atom where it says so."""

    mean: float
    variance: float
    heaviest: float
    atom: float
    losses: float  # in atoms
    gains: float  # in atoms
    worse: bool

    @classmethod
    def of(cls, change: Change) -> Self:
        atom, mean = change.atom, change.mean
        total = min(1.0, float(change.weights @ np.square(change.values)) / atom**2)
        tilt = max(-total, min(total, mean / atom))
        worse = bool(np.any(change.values < 0))
        return cls(mean, change.variance, change.heaviest, atom, (total - tilt) / 2, (total + tilt) / 2, worse)

    def p(self, margin: float) -> float:
        """:func:`noninferiority_p`."""
        within = max(-1.0, min(1.0, -margin / self.atom))
        unseen = float(restricted_discordance(self.losses, self.gains, within)) - self.losses - self.gains
        distance = self.mean + margin
        standard = math.sqrt(self.variance + self.atom**2 * self.heaviest * max(0.0, unseen))
        p = _above(distance / standard) if standard else float(distance <= 0)
        return p if self.worse else max(p, math.exp(-max(0.0, distance) / (self.atom * self.heaviest)))


def _above(z: float) -> float:
    return _NORMAL.cdf(-z)


def _saddlepoint(amounts: Floats, drop: float) -> float:
    """P(sum of the amounts with random signs >= drop), with P(... = drop) counted half."""
    most, spread = float(amounts.sum()), math.sqrt(float(np.square(amounts).sum()))
    if abs(drop) < 1e-3 * spread:
        return _above(drop / spread)
    if abs(drop) > most * (1 - 1e-9):
        return 0.5 ** len(amounts) if drop > 0 else 1.0
    scaled, target = amounts / spread, abs(drop) / spread
    low, high = 0.0, 1.0
    while float(scaled @ np.tanh(scaled * high)) < target:
        low, high = high, 2 * high
    for _ in range(60):
        s = (low + high) / 2
        low, high = (s, high) if float(scaled @ np.tanh(scaled * s)) < target else (low, s)
    cumulant = float((scaled * s + np.log1p(np.exp(-2 * scaled * s))).sum()) - len(scaled) * math.log(2)
    curvature = float(np.square(scaled) @ (1 - np.square(np.tanh(scaled * s))))
    step = float(scaled.mean())  # half the distance between the sums, if all amounts were equal
    w, v = math.sqrt(2 * max(s * target - cumulant, 0.0)), math.tanh(s * step) / step * math.sqrt(curvature)
    tail = _above(w) + _NORMAL.pdf(w) * (1 / v - 1 / w) if w > 1e-3 and v > 0 else _above(target)
    tail = min(1.0, max(0.0, tail))
    return tail if drop > 0 else 1 - tail
