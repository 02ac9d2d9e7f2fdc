"""Paired differences and tests between two runs: published examples, scipy, and their stated errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mgsd_bench.statistics.intervals import holm, macro, mcnemar, paired_difference
from support.strata import LEVELS, Z, groups_of_shares, of_shape, shares

# --- differences ---


def bonett_and_price(up: int, down: int, n: int) -> tuple[float, float]:
    """Their interval (2012): a pair added on either side."""
    p, q = (up + 1) / (n + 2), (down + 1) / (n + 2)
    half = Z * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    return p - q - half, p - q + half


def test_bonett_and_price_published_example() -> None:
    """The example of ``ci.prop.ps`` in the R package statpsych, by Bonett: cells 12, 4, 26, 6."""
    assert bonett_and_price(26, 4, 48) == pytest.approx((0.2548067, 0.6251933), abs=1e-7)


@pytest.mark.parametrize(("up", "down", "n"), [(26, 4, 48), (3, 0, 100), (0, 0, 200), (40, 60, 400)])
def test_one_stratum_is_bonett_and_price(up: int, down: int, n: int) -> None:
    """But for t and the divisor n - 1, which make it wider by 2 % at 48 episodes."""
    a, b = [0.0] * up + [1.0] * down + [1.0] * (n - up - down), [1.0] * up + [0.0] * down + [1.0] * (n - up - down)
    estimate = paired_difference([[a]], [[b]])
    low, high = bonett_and_price(up, down, n)
    assert estimate.value == pytest.approx((up - down) / n)
    assert (estimate.low + estimate.high) / 2 == pytest.approx((low + high) / 2)
    assert 1 - 1e-9 <= (estimate.high - estimate.low) / (high - low) <= 1 + 2 / n


@given(groups_of_shares, st.data())
def test_difference_holds_its_value_and_turns_over(groups: list[list[list[float]]], data: st.DataObject) -> None:
    other = [[[data.draw(shares) for _ in stratum] for stratum in group] for group in groups]
    there, back = paired_difference(groups, other), paired_difference(other, groups)
    assert -1 <= there.low <= there.value + 1e-12
    assert there.value - 1e-12 <= there.high <= 1
    assert there.high - there.low > 1e-3
    assert there.value == pytest.approx(macro(other).value - macro(groups).value, abs=1e-12)
    assert (back.value, back.low, back.high) == pytest.approx((-there.value, -there.high, -there.low), abs=1e-12)


def test_difference_of_fractions_in_two_strata() -> None:
    """The formula of the docstring, written out: weights 1/2, so an episode of the second stratum weighs most."""
    strata = [[0.5, 0.0, -0.25, 0.25, 0.0, 0.0, 0.75, 0.0], [0.0, 1.0, 0.0, -0.5]]
    parts = [np.var(stratum, ddof=1) / len(stratum) / 4 for stratum in strata]
    variance, difference, m = sum(parts), (1.25 / 8 + 0.5 / 4) / 2, 8
    every = np.concatenate(strata)
    added = np.sum(every**4) / np.sum(every**2)
    centre = m * difference / (m + 2)
    t = stats.t.ppf(0.975, variance**2 / (parts[0] ** 2 / 7 + parts[1] ** 2 / 3))
    half = t * math.sqrt((((variance * m + difference**2) * m + 2 * added) / (m + 2) - centre**2) / (m + 2))
    estimate = paired_difference([[np.zeros(8)], [np.zeros(4)]], [[strata[0]], [strata[1]]])
    assert estimate.value == pytest.approx(difference)
    assert estimate.n == 12
    assert (estimate.low, estimate.high) == pytest.approx((centre - half, centre + half))


def test_same_run_twice_is_not_a_point() -> None:
    rng = np.random.default_rng(0)
    run = of_shape(lambda: rng.integers(0, 2, 100).astype(float))
    estimate = paired_difference(run, run)
    assert (estimate.value, estimate.low, estimate.n) == (0.0, -estimate.high, 1200)
    assert 0.003 < estimate.high < 0.01


def test_change_by_the_same_amount_everywhere_is_not_a_point() -> None:
    estimate = paired_difference([[[0.25] * 50]], [[[0.5] * 50]])
    assert 0.2 < estimate.low < 0.25 < estimate.high < 0.3


def test_pairing_makes_it_narrower() -> None:
    rng = np.random.default_rng(0)
    a = of_shape(lambda: rng.integers(0, 2, 100).astype(float))
    b = [[np.where(rng.random(100) < 0.05, 1 - level, level) for level in task] for task in a]
    shuffled = [[rng.permutation(level) for level in task] for task in b]
    paired, unpaired = paired_difference(a, b), paired_difference(a, shuffled)
    assert paired.high - paired.low < 0.5 * (unpaired.high - unpaired.low)


@pytest.mark.parametrize(
    "other", [[[[1.0, 0.0]]], [[[1.0]], [[1.0]]], [[[1.0], [1.0]]], [[[[1.0, 1.0, 1.0]]]]], ids=str
)
def test_runs_of_other_shape_are_refused(other: list[list[list[float]]]) -> None:
    with pytest.raises(ValueError):
        paired_difference([[[1.0, 0.0, 1.0]]], other)


@pytest.mark.parametrize("losses", [0.5, 1.0])
def test_difference_interval_covers_the_truth(losses: float) -> None:
    """95 % nominal, wider at 4 % discordance: 0.93 to 1 in 400 draws but for one run in a thousand. Seeded."""
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(400):
        u = [[rng.random(30) for _ in range(levels)] for levels in LEVELS]
        a = [[(x < 0.04 * losses) * 1.0 for x in task] for task in u]
        b = [[((x >= 0.04 * losses) & (x < 0.04)) * 1.0 for x in task] for task in u]
        estimate = paired_difference(a, b)
        covered += estimate.low <= 0.04 * (1 - 2 * losses) <= estimate.high
    assert covered / 400 >= 0.93


# --- tests ---


def test_mcnemar_published_example() -> None:
    """Airway hyper-responsiveness before and after (Bentur 2009; Fagerland 2013): 1 and 7 of 21 children."""
    test = mcnemar(1, 7)
    assert test.exact == pytest.approx(0.0703125)  # 2 (1 + 8) / 2^8
    assert test.mid_p == pytest.approx(0.0390625)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar(only_a: int, only_b: int) -> None:
    test = mcnemar(only_a, only_b)
    if only_a + only_b:
        assert test.exact == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue)
        likely = stats.binom.pmf(only_a, only_a + only_b, 0.5)
        assert test.mid_p == pytest.approx(test.exact - likely * (0.5 if only_a == only_b else 1))
    assert 0 < test.mid_p <= test.exact <= 1
    back = mcnemar(only_b, only_a)
    assert (back.exact, back.mid_p) == (test.exact, test.mid_p)


def test_runs_that_never_differ() -> None:
    assert (mcnemar(0, 0).exact, mcnemar(0, 0).mid_p) == (1.0, 1.0)


def test_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        mcnemar(-1, 3)


@pytest.mark.parametrize("differing", [5, 10, 25, 60, 200])
def test_mcnemar_raises_no_more_false_alarms_than_it_says(differing: int) -> None:
    """Exact: the chance of each split under no difference, added up where the test speaks."""
    chance = stats.binom.pmf(np.arange(differing + 1), differing, 0.5)
    found = [mcnemar(k, differing - k) for k in range(differing + 1)]
    assert sum(c for c, test in zip(chance, found, strict=True) if test.exact <= 0.05) <= 0.05
    assert sum(c for c, test in zip(chance, found, strict=True) if test.mid_p <= 0.05) <= 0.064


def test_holm_by_hand() -> None:
    """Four tests: 4 x .01, 3 x .02 = .06, 2 x .03 = .06, 1 x .04 raised to .06."""
    adjusted = holm({"d": 0.04, "a": 0.01, "c": 0.03, "b": 0.02})
    assert list(adjusted) == ["d", "a", "c", "b"]
    assert list(adjusted.values()) == pytest.approx([0.06, 0.04, 0.06, 0.06])


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=8))
def test_holm(p_values: dict[str, float]) -> None:
    adjusted = holm(p_values)
    assert list(adjusted) == list(p_values)
    for name, p in p_values.items():
        assert p <= adjusted[name] <= min(1.0, len(p_values) * p)  # not below the p-value, not above Bonferroni's
        assert all(adjusted[name] <= adjusted[other] for other, q in p_values.items() if p <= q)


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.2))
def test_holm_decides_as_the_step_down_rule(p_values: dict[str, float], alpha: float) -> None:
    adjusted = holm(p_values)
    going = True
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        going = going and p_values[name] * (len(p_values) - rank) <= alpha
        assert (adjusted[name] <= alpha) == going


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_what_is_no_p_value_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="not p-values"):
        holm({"a": 0.5, "b": p})
