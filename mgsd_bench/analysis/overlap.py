"""Whose fault a failure is when both faults were made: what can be said, and what cannot.

An answer is attributed to ``both`` when its stated world is false and its plan fails there too. Two faults were made,
but one of them alone may account for the failure, and then ``both`` counts too much:

- *Would planning well have been enough?* The stated world is known, so this is measured: the chance that a shortest
  plan of it solves the true one (:func:`mgsd_bench.analysis.attribution.planned_well`).
- *Would seeing right have been enough?* Only if the model had planned well then, which nobody has seen. Call F "its
  plan would fail, had it seen right" and G "its plan fails in the world that it misread". How often F occurs is known:
  from the answers to the same episodes told as text or, where there are none, from the answers at the same level that
  state just the true world. How often G occurs is known too, but not how often the two occur together. Of m misread
  answers, f of them with F and g with G, both are true of

  ================  ==================  ===========================================================================
  faults            F and G together    what it means
  ================  ==================  ===========================================================================
  comonotone        min(f, g)           whoever would fail to plan in the true world does so in a false one too; what
                                        fails there besides was misplanned *because* it was misread
  independent       g times F's rate    given the episode or the level, how an answer sees says nothing of how it plans
  counter-monotone  max(0, f + g - m)   answers that fail to plan in a false world would have planned well in the true
                                        one, as far as the numbers allow
  ================  ==================  ===========================================================================

  (bounds of Frechet 1951 and Hoeffding 1940).

What one repair alone would have solved, and the other not, goes to that fault. The rest stays with ``both``: it needed
both repairs, or either was enough. What is assumed: planning from text is as hard as planning from what is seen rightly
(or, without text, at one level F does not depend on what is misread); and F does not depend on whether planning well
would have been enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mgsd_bench.analysis.attribution import Attribution
from mgsd_bench.statistics.intervals import CONFIDENCE, proportion

if TYPE_CHECKING:
    import pandas as pd

ACCOUNTED = (Attribution.PERCEPTION, Attribution.PLANNING, Attribution.BOTH)
"""The attributions that have bounds."""
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A share of all answers from the picture, from 0 to 1, as far as it can be known.

    Attributes:
        independent: what it is if the two faults are independent, given the episode or the level.
        low: its least value under any dependence of the two, less the error at 95 % of how often F occurs and where.
        high: its largest value, likewise.
    """

    independent: float
    low: float
    high: float


class _Failing(NamedTuple):
    """How many of the misread answers would have failed had they seen right: F.

    Attributes:
        of_both: the number among the answers attributed to both, if the faults are independent.
        low: the least number among all misread answers.
        high: the largest.
    """

    of_both: float
    low: float
    high: float


def attribution_bounds(rows: pd.DataFrame) -> dict[str, Bounds]:
    """What share of answers perception alone, planning alone and both account for, as far as it can be known.

    Args:
        rows: a table of samples from the picture, with the columns of ``DIAGNOSTICS``; at least one. Where the same
            tries were told as text it has a column ``told``: whether they were solved.
    """
    plans = rows[rows["misplanned"].notna()]
    exact = plans["state_exact"].astype(bool)
    misread = plans[~exact]
    both = misread[misread["attribution"] == Attribution.BOTH]
    failing = _from_text(misread, both) if "told" in rows else _by_level(plans[exact], misread, both)
    low, high = max(0.0, failing.low + len(both) - len(misread)), min(len(both), failing.high)
    spread = _Spread(len(both), both["if_planned_well"].to_numpy(float))
    counts = rows["attribution"].astype(str).value_counts()
    alone = [int(counts.get(kind.value, 0)) for kind in ACCOUNTED[:2]] + [0]
    split, least, largest = spread.split(failing.of_both), *spread.ends(low, high)
    return {
        kind.value: Bounds(*((alone[i] + part[i]) / len(rows) for part in (split, least, largest)))
        for i, kind in enumerate(ACCOUNTED)
    }


@dataclass(frozen=True, slots=True)
class _Spread:
    """The answers attributed to both, when F is spread over them whatever planning well would do.

    Attributes:
        n: how many there are.
        worth: (n,) for each the chance that planning well would have been enough.
    """

    n: int
    worth: NDArray[np.float64]

    def split(self, failing: float) -> tuple[float, float, float]:
        """How many are due to perception, planning and both, where F is true of so many."""
        worth = float(self.worth.mean()) if self.n else 0.0
        seeing, planning = (self.n - failing) * (1 - worth), failing * worth
        return seeing, planning, self.n - seeing - planning

    def ends(self, low: float, high: float) -> tuple[list[float], list[float]]:
        """The least and the largest of each, where F is true of ``low`` to ``high``, with the 95 % error of the spread.

        Of n values, k drawn without replacement have a sum of variance k (1 - k / n) times the variance of the values.
        """
        at_low, at_high = self.split(low), self.split(high)
        margins = [self._margin(high), self._margin(low), 2 * self._margin(min(max(self.n / 2, low), high))]
        least = [max(0.0, min(a, b) - m) for a, b, m in zip(at_low, at_high, margins, strict=True)]
        margins[:2] = margins[1::-1]
        largest = [min(float(self.n), max(a, b) + m) for a, b, m in zip(at_low, at_high, margins, strict=True)]
        return least, largest

    def _margin(self, failing: float) -> float:
        variance = float(self.worth.var(ddof=1)) if self.n > 1 else 0.0
        return _Z * math.sqrt(max(0.0, failing * (1 - failing / max(1, self.n))) * variance)


def _from_text(misread: pd.DataFrame, both: pd.DataFrame) -> _Failing:
    """F from the same tries told as text, where chance may fall out otherwise: the error is that of two such shares."""
    m, f = len(misread), int((~misread["told"]).sum())
    if not m:
        return _Failing(0, 0, 0)
    share = proportion(f, m)
    below, above = ((m * (share.value - end)) * math.sqrt(2) for end in (share.low, share.high))
    return _Failing(int((~both["told"]).sum()), f - below, f - above)


def _by_level(seen: pd.DataFrame, misread: pd.DataFrame, both: pd.DataFrame) -> _Failing:
    """F from the answers of each level that were seen rightly.

    The error is Wilson's, made wider for the chance in the misread answers themselves, and added up over levels as
    squares (variance estimates recovery, Zou and Donner 2008). At a level where nothing was seen rightly F may be true
    of none or of all; ``of_both`` takes the rate of all levels there, or a half where there is none.
    """
    place = ["task", "level"]
    overall = float(seen["misplanned"].mean()) if len(seen) else 0.5
    of_both, least, most = 0.0, 0.0, 0.0
    below, above = 0.0, 0.0
    known = {key: part["misplanned"] for key, part in seen.groupby(place, observed=True)}
    attributed = both.groupby(place, observed=True).size()
    for key, part in misread.groupby(place, observed=True):
        m, n = len(part), int(attributed.get(key, 0))
        if key not in known:
            of_both, most = of_both + overall * n, most + m
            continue
        rate = proportion(int(known[key].sum()), len(known[key]))
        wider = math.sqrt(m * (m + len(known[key])))
        of_both, least, most = of_both + rate.value * n, least + rate.value * m, most + rate.value * m
        below += ((rate.value - rate.low) * wider) ** 2
        above += ((rate.high - rate.value) * wider) ** 2
    return _Failing(of_both, least - math.sqrt(below), most + math.sqrt(above))
