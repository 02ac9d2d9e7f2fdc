"""How often the 95 % intervals cover the truth, and how often the paired tests raise a false alarm; Markdown on stdout.

Tables 1 to 3 are exact: every outcome is counted with its probability. Tables 4 to 8 are simulations with a fixed seed.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from mgsd_bench.statistics.intervals import Estimate, fact_values, macro, mcnemar, paired_difference, proportion

Floats = NDArray[np.float64]

LEVELS = (6, 4, 2)  # of the three tasks, as in mgsd-v1
OFFSETS = (0, 6, 10, 12)
WEIGHTS = np.repeat([1 / 3 / k for k in LEVELS], LEVELS)
FACTS = (5, 7, 10, 12, 16, 20, 12, 20, 32, 44, 9, 11)  # true facts of an episode beyond the first three, on average
SEED = 20260606
ALPHA = 0.05
Z = 1.959963984540054
COUNTS = (50, 100, 200, 500, 1000)
RESAMPLES = 1000
TRUTH = 100_000  # episodes a level that stand for the truth where it has no formula


def table(title: str, head: Sequence[str], rows: Iterator[Sequence[str]]) -> None:
    """Print one Markdown table."""
    print(f"\n### {title}\n\n| {' | '.join(head)} |\n| {' | '.join('---' for _ in head)} |")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


# --- exact ---


def wilson_and_wald() -> Iterator[Sequence[str]]:
    """Coverage of a proportion's interval by counting all outcomes."""
    for p in (0.02, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98):
        cells = []
        for n in COUNTS:
            k = np.arange(n + 1)
            chance = binom.pmf(k, n, p)
            half = Z * np.sqrt(k / n * (1 - k / n) / n)
            wald = chance[(k / n - half <= p) & (p <= k / n + half)].sum()
            wilson = sum(c for c, e in zip(chance, _proportions(n), strict=True) if e.low <= p <= e.high)
            cells.append(f"{wilson:.3f} ({wald:.3f})")
        yield (f"{p:g}", *cells)


@cache
def _proportions(n: int) -> list[Estimate]:
    return [proportion(k, n) for k in range(n + 1)]


@cache
def critical(differing: int, test: str) -> int:
    """The largest smaller count that is significant at ALPHA among ``differing`` questions; -1 if none is."""
    low, high = -1, differing // 2
    while low < high:
        middle = (low + high + 1) // 2
        if getattr(mcnemar(middle, differing - middle), test) <= ALPHA:
            low = middle
        else:
            high = middle - 1
    return low


def alarms(n: int, only_a: float, only_b: float, test: str) -> float:
    """Probability that the test finds a difference, if a question is right for one run only with these chances."""
    total = 0.0
    differing = np.arange(n + 1)
    for m, chance in zip(differing, binom.pmf(differing, n, only_a + only_b), strict=True):
        edge = critical(int(m), test) if chance > 1e-12 else -1
        if edge >= 0:
            share = only_a / (only_a + only_b)
            total += chance * (binom.cdf(edge, m, share) + binom.sf(m - edge - 1, m, share))
    return total


def sizes() -> Iterator[Sequence[str]]:
    """False alarms of the paired tests."""
    for d in (0.02, 0.05, 0.1, 0.2, 0.3):
        pairs = [[alarms(n, d / 2, d / 2, test) for test in ("mid_p", "exact")] for n in COUNTS]
        yield (f"{d:.0%}", *(f"{mid:.3f} ({exact:.3f})" for mid, exact in pairs))


def power() -> Iterator[Sequence[str]]:
    """Power of the paired tests."""
    for d, drop in ((0.05, 0.02), (0.05, 0.05), (0.1, 0.02), (0.1, 0.05), (0.2, 0.05), (0.2, 0.1), (0.3, 0.1)):
        pairs = [[alarms(n, (d + drop) / 2, (d - drop) / 2, test) for test in ("mid_p", "exact")] for n in COUNTS]
        yield (f"{d:.0%}", f"{drop * 100:.0f}", *(f"{mid:.2f} ({exact:.2f})" for mid, exact in pairs))


# --- simulated ---


def as_groups(values: Floats) -> list[list[Floats]]:
    """(levels, episodes, ...) of one simulated run as tasks and their levels."""
    return [list(values[start:stop]) for start, stop in pairwise(OFFSETS)]


def bootstrap(values: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Ends of percentile bootstrap intervals that draw episodes within levels.

    Args:
        values: (runs, levels, episodes, 1) for macro averages, or 2 in place of 1 for top and bottom of ratios.
        rng: where the draws come from; all runs share them.
    """
    runs, levels, n, sides = values.shape
    draws = rng.multinomial(n, np.full(n, 1 / n), (levels, RESAMPLES)).astype(float)
    ends = []
    for chunk in np.array_split(values, max(1, runs // 200)):
        flat = chunk.transpose(1, 2, 0, 3).reshape(levels, n, -1)
        sums = (draws @ flat).reshape(levels, RESAMPLES, len(chunk), sides)
        if sides == 1:
            means = np.tensordot(WEIGHTS / n, sums[..., 0], 1)
        else:
            by_task = np.add.reduceat(sums, OFFSETS[:-1])
            means = (by_task[..., 0] / np.maximum(by_task[..., 1], 1e-9)).mean(0)
        ends.append(np.quantile(means, [0.025, 0.975], axis=0))
    low, high = np.concatenate(ends, axis=1)
    return low, high


def cell(ours: Sequence[Estimate], theirs: tuple[Floats, Floats], truth: float) -> str:
    """Coverage of ours, of the bootstrap in brackets, and our mean width in points."""
    covered = np.mean([e.low - 1e-9 <= truth <= e.high + 1e-9 for e in ours])
    bootstrapped = np.mean((theirs[0] - 1e-9 <= truth) & (truth <= theirs[1] + 1e-9))
    return f"{covered:.3f} ({bootstrapped:.3f}) ±{50 * np.mean([e.high - e.low for e in ours]):.2g}"


ACCURACY = {
    "mixed: .95 down to .2": np.r_[np.linspace(0.95, 0.2, 6), np.linspace(0.9, 0.1, 4), 0.5, 0.2],
    "good: .995 to .9": np.r_[np.linspace(0.995, 0.95, 6), np.linspace(0.99, 0.93, 4), 0.97, 0.9],
    "near perfect: .99 everywhere": np.full(12, 0.99),
    "poor: .15 down to .01": np.r_[np.linspace(0.15, 0.01, 6), np.linspace(0.1, 0.01, 4), 0.03, 0.01],
    "split: 1 on small levels, then .9 to .2": np.r_[1, 1, 1, 0.99, 0.9, 0.5, 1, 0.98, 0.6, 0.2, 0.99, 0.3],
}


def averages(ns: Sequence[int], runs: int, rng: np.random.Generator) -> Iterator[Sequence[str]]:
    """Coverage of the macro average."""
    for name, rates in ACCURACY.items():
        cells = []
        for n in ns:
            values = (rng.random((runs, 12, n)) < rates[:, None]).astype(float)
            ours = [macro(as_groups(run)) for run in values]
            cells.append(cell(ours, bootstrap(values[..., None], rng), float(WEIGHTS @ rates)))
        yield (name, *cells)


CHANGES = [
    (d, where, np.isin(np.arange(12), among) * d / WEIGHTS[list(among)].sum())
    for d in (0.02, 0.05, 0.1, 0.2, 0.3)
    for where, among in (("all levels alike", range(12)), ("third task only", range(10, 12)))
]


def two_runs(differ: Floats, losses: float, size: tuple[int, int], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """(runs, 12, episodes) right or wrong: chances by level that two runs differ, of which a share are losses."""
    u, right = rng.random((2, size[0], 12, size[1]))
    lost = u < differ[:, None] * losses
    won = ~lost & (u < differ[:, None])
    same = right < 0.6  # what they agree on does not matter
    return np.where(lost, 1.0, np.where(won, 0.0, same)), np.where(won, 1.0, np.where(lost, 0.0, same))


def compared(a: Floats, b: Floats) -> list[Estimate]:
    """The difference of each pair of simulated runs."""
    return [paired_difference(as_groups(x), as_groups(y)) for x, y in zip(a, b, strict=True)]


def differences(ns: Sequence[int], runs: int, rng: np.random.Generator) -> Iterator[Sequence[str]]:
    """Coverage of the difference of two runs."""
    for d, where, differ in CHANGES:
        for name, losses in (("none", 0.5), ("losses only", 1.0)):
            cells = []
            for n in ns:
                a, b = two_runs(differ, losses, (runs, n), rng)
                cells.append(cell(compared(a, b), bootstrap((b - a)[..., None], rng), d * (1 - 2 * losses)))
            yield (f"{d:.0%}", where, name, *cells)
    for name, kept in (("none", 1.0), ("10 % of what was right", 0.9)):  # four answers an episode, most all or nothing
        cells = []
        for n in ns:
            skill = rng.beta(0.3, 0.3, (runs, 12, n))
            a, b = rng.binomial(4, skill) / 4, rng.binomial(4, skill * kept) / 4
            cells.append(cell(compared(a, b), bootstrap((b - a)[..., None], rng), 0.5 * (kept - 1)))
        yield ("4 repeats", "all levels alike", name, *cells)


def misses(ns: Sequence[int], runs: int, rng: np.random.Generator) -> Iterator[Sequence[str]]:
    """Which end misses: a true loss below the interval, and above it."""
    for d, where, differ in CHANGES:
        cells = []
        for n in ns:
            found = compared(*two_runs(differ, 1.0, (runs, n), rng))
            below, above = np.mean([-d < e.low for e in found]), np.mean([-d > e.high for e in found])
            cells.append(f"{below:.3f} / {above:.3f}")
        yield (f"{d:.0%}", where, *cells)


# share of episodes without any readable state; share read without fault; a of the fault rate's beta(1, a)
READERS = {
    "hardly a slip": (0.002, 0.99, 3.0),
    "good": (0.0, 0.9, 8.0),
    "good, 2 % unreadable": (0.02, 0.95, 10.0),
    "many small slips": (0.0, 0.5, 60.0),
    "middling": (0.05, 0.3, 4.0),
    "poor": (0.05, 0.0, 0.7),
}


def read(reader: tuple[float, float, float], size: tuple[int, int], rng: np.random.Generator) -> Floats:
    """(12, runs, episodes, 3): tp, fp, fn; harder levels are read worse, facts of an episode fail together."""
    unreadable, perfect, a = reader
    levels = []
    for level in range(12):
        harder = level - max(start for start in OFFSETS if start <= level)
        true = rng.poisson(FACTS[level], size) + 3
        lost = rng.random(size) < unreadable * (1 + 0.3 * harder)
        fine = rng.random(size) < perfect - 0.03 * harder
        rate = np.where(fine, 0.0, rng.beta(1, a, size))
        missed, invented = rng.binomial(true, rate), rng.poisson(0.7 * true * rate)
        fn, fp = np.where(lost, true, missed), np.where(lost, 0, invented)
        levels.append(np.stack([true - fn, fp, fn], -1).astype(float))
    return np.stack(levels)


def sides(counts: Floats) -> Floats:
    """Top and bottom of F1 for each episode."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    return np.stack([2 * tp, 2 * tp + fp + fn], -1)


def micro(counts: Floats) -> float:
    """Macro average over tasks of the micro F1 of (12, any, any, 3) counts."""
    by_task = np.add.reduceat(sides(counts).sum((1, 2)), OFFSETS[:-1])
    return float((by_task[:, 0] / by_task[:, 1]).mean())


def state_f1(ns: Sequence[int], runs: int, rng: np.random.Generator) -> Iterator[Sequence[str]]:
    """Coverage of F1."""
    for name, reader in READERS.items():
        truth = micro(read(reader, (1, TRUTH), rng))
        cells = []
        for n in ns:
            counts = np.moveaxis(read(reader, (runs, n), rng), 1, 0)
            ours = [macro(fact_values(as_groups(run))) for run in counts]
            cells.append(cell(ours, bootstrap(sides(counts), rng), truth))
        yield (name, f"{truth:.3f}", *cells)


def f1_differences(ns: Sequence[int], runs: int, rng: np.random.Generator) -> Iterator[Sequence[str]]:
    """Coverage of the difference of two F1: run b reads some episodes anew, as another reader would."""
    for first, second, anew in (
        ("good", "good", 0.1),
        ("good", "middling", 0.1),
        ("middling", "middling", 0.3),
        ("middling", "poor", 0.3),
        ("hardly a slip", "hardly a slip", 1.0),
    ):

        def both(size: tuple[int, int], first: str = first, second: str = second, anew: float = anew) -> list[Floats]:
            a, other = read(READERS[first], size, rng), read(READERS[second], size, rng)
            return [a, np.where(rng.random((12, *size, 1)) < anew, other, a)]

        a, b = both((1, TRUTH))
        truth = 0.0 if first == second else micro(b) - micro(a)
        cells = []
        for n in ns:
            of_a, of_b = (np.moveaxis(counts, 1, 0) for counts in both((runs, n)))
            values = [[fact_values(as_groups(run)) for run in of_it] for of_it in (of_a, of_b)]
            ours = [paired_difference(x, y) for x, y in zip(*values, strict=True)]
            spread = np.array(
                [
                    np.concatenate([np.stack(g) for g in y]) - np.concatenate([np.stack(g) for g in x])
                    for x, y in zip(*values, strict=True)
                ]
            )
            cells.append(cell(ours, bootstrap(spread[..., None], rng), truth))
        yield (f"{first}; {anew:.0%} anew, {second}", f"{truth:+.3f}", *cells)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few simulated runs and one size; seconds, not minutes")
    quick = parser.parse_args().quick
    runs, ns = (100, (20,)) if quick else (1500, (6, 20, 50, 100))
    start = time.perf_counter()
    per_n = [f"n = {n}" for n in COUNTS]
    table("1. Coverage of a proportion: Wilson (Wald)", ("p", *per_n), wilson_and_wald())
    table("2. False alarms at 0.05: McNemar mid-p (exact)", ("discordance", *per_n), sizes())
    table("3. Power at 0.05: McNemar mid-p (exact)", ("discordance", "drop, points", *per_n), power())
    print(
        f"\nBelow: {runs} simulated runs a cell (standard error {100 * math.sqrt(0.05 * 0.95 / runs):.1f} points at "
        f"0.95), 12 levels of three tasks. A cell is the coverage, that of a plain percentile bootstrap of {RESAMPLES} "
        "draws in brackets, and half the mean width of ours in points."
    )
    per_level = [f"{n} a level" for n in ns]
    simulated: tuple[tuple[str, Sequence[str], Callable[..., Iterator[Sequence[str]]]], ...] = (
        ("4. `macro`", ("accuracy by level",), averages),
        ("5. `paired_difference`", ("discordance", "where", "true change"), differences),
        ("6. `paired_difference`, losses only: loss below / above the interval", ("discordance", "where"), misses),
        ("7. `f1`", ("reader", "true F1"), state_f1),
        ("8. `paired_difference` of `fact_values`", ("reader; change", "true change"), f1_differences),
    )
    for number, (title, head, rows) in enumerate(simulated):
        table(title, (*head, *per_level), rows(ns, runs, np.random.default_rng((SEED, number))))
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
