"""How often a gate is wrong, and how often it finds a drop, beside what `power` predicts; Markdown on stdout.

Every episode of a simulated pair of runs changes for the worse with probability d/2 + drop and for the better with d/2,
where d is the discordance when nothing changed. Shape and weights are those of mgsd-v1: three tasks with 6, 4 and 2
levels. Two of the three metrics are right or wrong; in the third, as in F1, a changed episode changes by a tenth on
average.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from mgsd_bench.gate import Decision, Measured, MetricRule, Policy, Status, Verdict, decide
from mgsd_bench.paired import Change
from mgsd_bench.power import Design, chances, design_of_change
from mgsd_bench.sequential import sequential_decision
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVELS = (6, 4, 2)
DISCORDANCES = (0.02, 0.05, 0.1, 0.2, 0.3)
SIZES = (20, 50, 100)
DROPS = (0.015, 0.03, 0.05, 0.08)
SEED = 20260606


def weights(per_level: int) -> Floats:
    """Weight of each episode, tasks one after another."""
    return np.concatenate([np.full(levels * per_level, 1 / 3 / levels / per_level) for levels in LEVELS])


def outcomes(n: int, discordance: float, drop: float, rng: np.random.Generator) -> Floats:
    """One difference an episode: -1, 0 or 1."""
    chance = rng.random(n)
    return np.where(chance < discordance / 2 + drop, -1.0, np.where(chance > 1 - discordance / 2, 1.0, 0.0))


def f1_like(n: int, discordance: float, drop: float, rng: np.random.Generator) -> Floats:
    """Small differences: changed episodes gain or lose exponentially distributed amounts with mean 0.1."""
    size = np.minimum(rng.exponential(0.1, n), 1.0)
    return outcomes(n, discordance, min(10 * drop, 1 - discordance / 2), rng) * size


def look(
    values: Sequence[Floats], weight: Floats, policy: Policy, kept: NDArray[np.bool_] | None = None
) -> dict[str, Measured]:
    """The metrics of the policy on all episodes, or on those that were seen."""
    found = {}
    for rule, of_metric in zip(policy.metrics, values, strict=True):
        of = Change(of_metric, weight) if kept is None else Change(of_metric[kept], weight[kept] / weight[kept].sum())
        found[rule.metric] = Measured(0.0, of.mean, of)
    return found


def draw(policy: Policy, weight: Floats, d: float, drops: Sequence[float], rng: np.random.Generator) -> list[Floats]:
    """The differences of each metric."""
    makers = [f1_like if rule.metric == "state_f1" else outcomes for rule in policy.metrics]
    return [make(len(weight), d, drop, rng) for make, drop in zip(makers, drops, strict=True)]


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


def table(title: str, head: Sequence[str], rows: Iterator[Sequence[str]]) -> None:
    """Print one Markdown table."""
    print(f"\n### {title}\n\n| {' | '.join(head)} |\n| {' | '.join('---' for _ in head)} |")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def verdicts(policy: Policy, repetitions: int, drop: float) -> Iterator[Sequence[str]]:
    """Share of fails and passes, fixed and sequential, and the episodes that looking early saves.

    Args:
        policy: of the gate.
        repetitions: simulated pairs of runs a row.
        drop: true drop of the first metric; the others do not change.
    """
    for d in DISCORDANCES:
        for per_level in SIZES:
            rng = np.random.default_rng([SEED, round(1000 * d), per_level, round(1000 * drop)])
            weight = weights(per_level)
            fixed: Counter[Verdict] = Counter()
            early: Counter[Verdict] = Counter()
            used = 0.0
            for _ in range(repetitions):
                values = draw(policy, weight, d, [drop, *[0.0] * (len(policy.metrics) - 1)], rng)
                fixed[decide(look(values, weight, policy), policy).verdict] += 1
                decision, share = sequential(values, per_level, policy)
                early[decision.verdict] += 1
                used += share
            yield (
                f"{d:.0%}",
                str(12 * per_level),
                *(
                    f"{of[verdict] / repetitions:.3f}"
                    for verdict in (Verdict.FAIL, Verdict.PASS)
                    for of in (fixed, early)
                ),
                f"{1 - used / repetitions:.0%}",
            )


def against_prediction(repetitions: int) -> Iterator[Sequence[str]]:
    """One metric alone: how often it dropped and held, simulated (predicted)."""
    rule = MetricRule("e2e", 0.03, 0.015)
    policy = Policy(metrics=(rule,))
    for d in DISCORDANCES:
        for per_level in SIZES:
            weight = weights(per_level)
            design: Design = design_of_change(Change(np.zeros(len(weight)), weight))
            cells = []
            for drop in (0.0, *DROPS):
                rng = np.random.default_rng([SEED, 1, round(1000 * d), per_level, round(1000 * drop)])
                counts: Counter[Status] = Counter()
                for _ in range(repetitions):
                    values = draw(policy, weight, d, [drop], rng)
                    counts[decide(look(values, weight, policy), policy).metrics[0].status] += 1
                expected = chances(design, d, drop, rule)
                dropped, held = (counts[status] / repetitions for status in (Status.DROPPED, Status.HELD))
                cells.append(f"{dropped:.2f} ({expected.dropped:.2f}) / {held:.2f} ({expected.held:.2f})")
            yield (f"{d:.0%}", str(len(weight)), *cells)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=2000, help="simulated pairs of runs a cell")
    repetitions = parser.parse_args().repetitions
    policy = Policy()
    print(f"{repetitions} simulated pairs of runs a cell; margin 3 points, tolerance 1.5, alpha 5 %, 5 looks.")
    head = ("discordance", "n", "fail", "fail, sequential", "pass", "pass, sequential", "episodes saved")
    table("1. Nothing changed: fails are false alarms", head, verdicts(policy, repetitions, 0.0))
    table("2. E2E lost just the margin: passes are errors", head, verdicts(policy, repetitions, 0.03))
    table("3. E2E lost 8 points", head, verdicts(policy, repetitions, 0.08))
    columns = [f"drop {100 * drop:g}" for drop in (0.0, *DROPS)]
    table(
        "4. One metric: dropped / held, in brackets as predicted",
        ("discordance", "n", *columns),
        against_prediction(repetitions),
    )


if __name__ == "__main__":
    main()
