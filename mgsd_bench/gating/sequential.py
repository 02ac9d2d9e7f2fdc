"""Deciding early: a gate that looks several times at growing data, with error rates that hold all the same.

Group-sequential tests with the spending functions of Lan and DeMets (1983): by the time that a share t of the episodes
was seen, at most alpha*(t) of the error probability may have been used up. The boundaries come from the recursive
numerical integration of Armitage, McPherson and Rowe (1969).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from itertools import pairwise
from statistics import NormalDist

import numpy as np

from mgsd_bench.gating.decision import Decision, FloorDecision, Levels, Measured, Status, decide
from mgsd_bench.gating.policy import Policy, Verdict

SPENDING = ("obrien-fleming", "pocock")

_NORMAL = NormalDist()
_STEP = 0.02  # of the grid of the numerical integration, in standard errors
_REACH = 8.0


def spent(share: float, alpha: float, spending: str) -> float:
    """The one-sided error probability that may be used up when ``share`` of the episodes was seen.

    ``obrien-fleming``: 2 - 2 Phi(z(1 - alpha / 2) / sqrt(share)), little at first. ``pocock``: alpha ln(1 + (e - 1)
    share), about evenly (Lan and DeMets 1983).
    """
    share = min(1.0, max(0.0, share))
    if share == 0:
        return 0.0
    if spending == "pocock":
        return alpha * math.log(1 + (math.e - 1) * share)
    return 2 * _NORMAL.cdf(_NORMAL.inv_cdf(alpha / 2) / math.sqrt(share))


@cache
def nominal_levels(shares: tuple[float, ...], alpha: float, spending: str) -> tuple[float, ...]:
    """The nominal one-sided p-value that decides at each look.

    The z-values of the looks are jointly normal with correlation sqrt(share_i / share_j); each boundary is set so that
    just what the spending function allows is spent at its look.

    Args:
        shares: the share of all episodes seen at each look, growing, the last one 1 at most.
        alpha: one-sided error probability of all looks together.
        spending: a name of :data:`SPENDING`.

    Raises:
        ValueError: the shares do not grow, or are not from 0 to 1.
    """
    from scipy.special import ndtr

    if not shares or shares[0] <= 0 or shares[-1] > 1 + 1e-12 or any(b <= a for a, b in pairwise(shares)):
        raise ValueError(f"shares {shares} must grow from above 0 to 1")
    levels: list[float] = []
    grid, density = np.array([0.0]), np.array([1.0])  # of the score z sqrt(share), not yet stopped; before any look, 0
    before, used = 0.0, 0.0
    for share in shares:
        spread, target = math.sqrt(share - before), spent(share, alpha, spending) - used
        low, high = -_REACH * math.sqrt(share), _REACH * math.sqrt(share)  # boundary of the score
        for _ in range(60):
            middle = (low + high) / 2
            crossed = float(density @ ndtr((grid - middle) / spread))
            low, high = (middle, high) if crossed > target else (low, middle)
        boundary = (low + high) / 2
        levels.append(_NORMAL.cdf(-boundary / math.sqrt(share)))
        points = np.arange(-_REACH * math.sqrt(share), boundary, _STEP * math.sqrt(shares[0]))
        width = np.full(len(points), _STEP * math.sqrt(shares[0]))
        inner = np.exp(-np.square((points[:, None] - grid[None, :]) / spread) / 2) / spread / math.sqrt(2 * math.pi)
        width[-1] = width[-1] / 2 + boundary - points[-1]
        grid, density = points, (inner @ density) * width
        before, used = share, spent(share, alpha, spending)
    return tuple(levels)


def blocks(strata: Mapping[tuple[str, int], Sequence[str]], looks: int) -> list[tuple[str, ...]]:
    """Episodes in blocks with the same mix of tasks and levels, in an order that depends on their ids alone.

    Args:
        strata: the ids of each task and level.
        looks: how many blocks; fewer if no stratum has as many episodes.
    """
    count = max(1, min(looks, max(map(len, strata.values()), default=1)))
    found: list[list[str]] = [[] for _ in range(count)]
    for names in strata.values():
        mixed = sorted(names, key=lambda name: sha256(name.encode()).digest())
        for look in range(count):
            found[look] += mixed[look * len(mixed) // count : (look + 1) * len(mixed) // count]
    return [tuple(block) for block in found if block]


def look_levels(shares: tuple[float, ...], policy: Policy) -> Levels:
    """The levels of the last of several looks.

    Both kinds of error are spent by themselves: passing is one test a metric and all have to hold, so each spends alpha
    (intersection-union); failing is any of several, so each metric spends alpha / metrics (Bonferroni).

    Args:
        shares: the share of all episodes seen at each look so far.
        policy: gives alpha and the spending function.
    """
    return Levels(
        margin=nominal_levels(shares, policy.alpha, policy.spending)[-1],
        drop=nominal_levels(shares, policy.alpha / len(policy.metrics), policy.spending)[-1],
        adjust=dict,
    )


def sequential_decision(
    looks: Sequence[Mapping[str, Measured]],
    total: int,
    policy: Policy,
    floors: Sequence[FloorDecision] = (),
    notes: Sequence[str] = (),
) -> Decision:
    """What is certain after the blocks so far.

    Args:
        looks: for each look, for each primary metric, everything measured up to it.
        total: episodes of the whole evaluation.
        policy: what is asked.
        floors: decisions on the policy's floors as of the last look. Before the end a floor can keep the gate from
            passing, but not fail it: floors are looked at without spending.
        notes: carried along.

    Returns:
        The decision of the last look. Stop unless it is inconclusive.
    """
    shares = tuple(_episodes(look) / total for look in looks)
    decision = decide(looks[-1], policy, floors, notes, look_levels(shares, policy))
    dropped = any(row.status == Status.DROPPED for row in decision.metrics)
    if decision.verdict == Verdict.FAIL and not dropped and shares[-1] < 1:
        return Decision(Verdict.INCONCLUSIVE, decision.metrics, decision.floors, decision.notes)
    return decision


def _episodes(look: Mapping[str, Measured]) -> int:
    return max(len(measured.change.values) for measured in look.values())
