"""How often a gate is wrong, and how often it finds a drop, beside what `power` predicts; Markdown on stdout.

Every episode of a simulated pair of runs changes for the worse with probability d/2 + drop and for the better with d/2,
where d is the discordance when nothing changed. Shape and weights are those of mgsd-v1: three tasks with 6, 4 and 2
levels. Two of the three metrics are right or wrong; in the third, as in F1, a changed episode changes by a tenth on
average.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mgsd_bench.gating.decision import Decision, Measured, Status, decide
from mgsd_bench.gating.policy import MetricRule, Policy, Verdict
from mgsd_bench.gating.power import chances, design_of_change
from mgsd_bench.gating.sequential import sequential_decision
from mgsd_bench.statistics.paired import Change

Floats = NDArray[np.float64]

LEVELS = (6, 4, 2)
DISCORDANCES = (0.02, 0.05, 0.1, 0.2, 0.3)
SIZES = (20, 50, 100)
DROPS = (0.015, 0.03, 0.05, 0.08)
SEED = 20260606


def weights(per_level: int) -> Floats:
    """Weight of each episode, tasks one after another."""
    return np.concatenate([np.full(levels * per_level, 1 / 3 / levels / per_level) for levels in LEVELS])


def outcomes(discordance: Floats, drop: float, rng: np.random.Generator) -> Floats:
    """One difference an episode: -1, 0 or 1."""
    chance = rng.random(len(discordance))
    return np.where(chance < discordance / 2 + drop, -1.0, np.where(chance > 1 - discordance / 2, 1.0, 0.0))


def f1_like(discordance: Floats, drop: float, rng: np.random.Generator) -> Floats:
    """Small differences: changed episodes gain or lose exponentially distributed amounts with mean 0.1."""
    size = np.minimum(rng.exponential(0.1, len(discordance)), 1.0)
    return outcomes(discordance, min(10 * drop, 1 - float(discordance.max()) / 2), rng) * size


def look(
    values: Sequence[Floats], weight: Floats, policy: Policy, kept: NDArray[np.bool_] | None = None
) -> dict[str, Measured]:
    """The metrics of the policy on all episodes, or on those that were seen."""
    found = {}
    for rule, of_metric in zip(policy.metrics, values, strict=True):
        of = Change(of_metric, weight) if kept is None else Change(of_metric[kept], weight[kept] / weight[kept].sum())
        found[rule.metric] = Measured(0.0, of.mean, of)
    return found


def draw(policy: Policy, noise: Floats, drops: Sequence[float], rng: np.random.Generator) -> list[Floats]:
    """The differences of each metric, for episodes of this discordance each."""
    makers = [f1_like if rule.metric == "state_f1" else outcomes for rule in policy.metrics]
    return [make(noise, drop, rng) for make, drop in zip(makers, drops, strict=True)]


def sequential(values: Sequence[Floats], per_level: int, policy: Policy) -> tuple[Decision, float]:
    """The decision of a sequential gate, and the share of episodes that it asked for."""
    weight = weights(per_level)
    index = np.tile(np.arange(per_level), sum(LEVELS))
    seen = []
    for i in range(1, policy.looks + 1):
        seen.append(look(values, weight, policy, index < i * per_level // policy.looks))
        decision = sequential_decision(seen, len(weight), policy)
        if decision.verdict != Verdict.INCONCLUSIVE or i == policy.looks:
            return decision, i / policy.looks
    raise AssertionError("a policy has at least one look")


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print one Markdown table."""
    print(f"\n### {title}\n\n| {' | '.join(head)} |\n| {' | '.join('---' for _ in head)} |")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def verdict_row(case: tuple[float, int], policy: Policy, repetitions: int, drop: float, uneven: bool) -> list[str]:
    """Share of fails and passes, fixed and sequential, and the episodes that looking early saves.

    Args:
        case: discordance, episodes a level.
        policy: of the gate.
        repetitions: simulated pairs of runs.
        drop: true drop of the first metric; the others do not change.
        uneven: whether only the answers of the smallest task change.
    """
    d, per_level = case
    rng = np.random.default_rng([SEED, round(1000 * d), per_level, round(1000 * drop), uneven])
    weight = weights(per_level)
    noise = np.where(weight == weight.max(), len(LEVELS) * d, 0.0) if uneven else np.full(len(weight), d)
    fixed: Counter[Verdict] = Counter()
    early: Counter[Verdict] = Counter()
    used = 0.0
    for _ in range(repetitions):
        values = draw(policy, noise, [drop, *[0.0] * (len(policy.metrics) - 1)], rng)
        fixed[decide(look(values, weight, policy), policy).verdict] += 1
        decision, share = sequential(values, per_level, policy)
        early[decision.verdict] += 1
        used += share
    shares = [of[verdict] / repetitions for verdict in (Verdict.FAIL, Verdict.PASS) for of in (fixed, early)]
    return [f"{d:.0%}", str(12 * per_level), *(f"{share:.3f}" for share in shares), f"{1 - used / repetitions:.0%}"]


def predicted_row(case: tuple[float, int], repetitions: int) -> list[str]:
    """One metric alone: how often it dropped and held, fixed and sequential, and as `power` predicts."""
    d, per_level = case
    rule = MetricRule("e2e", 0.03, 0.015)
    policy = Policy(metrics=(rule,))
    weight = weights(per_level)
    design = design_of_change(Change(np.zeros(len(weight)), weight))
    cells = []
    for drop in (0.0, *DROPS):
        rng = np.random.default_rng([SEED, 1, round(1000 * d), per_level, round(1000 * drop)])
        fixed: Counter[Status] = Counter()
        early: Counter[Status] = Counter()
        for _ in range(repetitions):
            values = draw(policy, np.full(len(weight), d), [drop], rng)
            fixed[decide(look(values, weight, policy), policy).metrics[0].status] += 1
            early[sequential(values, per_level, policy)[0].metrics[0].status] += 1
        expected = chances(design, d, drop, rule)
        for status, chance in ((Status.DROPPED, expected.dropped), (Status.HELD, expected.held)):
            cells.append(f"{chance:.2f} / {fixed[status] / repetitions:.2f} / {early[status] / repetitions:.2f}")
    return [f"{d:.0%}", str(len(weight)), *cells]


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=2000, help="simulated pairs of runs a cell")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    args = parser.parse_args()
    cases = list(product(DISCORDANCES, SIZES))
    policy = Policy()
    print("# The gate, simulated\n")
    print(f"{args.repetitions} pairs of runs a row. Margin 3 points, tolerance 1.5, alpha 5 %, 5 looks; n: episodes.")
    head = ("discordance", "n", "fail", "fail, sequential", "pass", "pass, sequential", "episodes saved")
    with ProcessPoolExecutor(args.workers) as pool:
        for title, drop, uneven in (
            ("1. Nothing changed: fails are false alarms", 0.0, False),
            ("2. Nothing changed, and only one task is noisy: fails are false alarms", 0.0, True),
            ("3. E2E lost just the margin: passes are errors", 0.03, False),
            ("4. E2E lost 8 points", 0.08, False),
        ):
            row = partial(verdict_row, policy=policy, repetitions=args.repetitions, drop=drop, uneven=uneven)
            table(title, head, pool.map(row, cases))
        columns = [f"{100 * drop:g}: {status}" for drop in (0.0, *DROPS) for status in ("dropped", "held")]
        table(
            "5. One metric, by its true drop: as predicted, simulated, simulated sequentially",
            ("discordance", "n", *columns),
            pool.map(partial(predicted_row, repetitions=args.repetitions), cases),
        )


if __name__ == "__main__":
    main()
