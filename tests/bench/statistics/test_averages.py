"""Shares and macro averages: closed forms, scipy, and their stated coverage."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mgsd_bench.statistics.intervals import macro, proportion
from support.strata import LEVELS, Z, groups_of_shares, of_shape

# --- proportion ---


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_closed_form(counts: tuple[int, int]) -> None:
    """Wilson 1927: the p for which (k/n - p)² = z² p (1 - p) / n."""
    k, n = counts
    estimate = proportion(k, n)
    centre = (k + Z * Z / 2) / (n + Z * Z)
    half = Z * math.sqrt(k * (n - k) / n + Z * Z / 4) / (n + Z * Z)
    assert estimate.value == k / n
    assert estimate.low == pytest.approx(max(0.0, centre - half), abs=1e-12)
    assert estimate.high == pytest.approx(min(1.0, centre + half), abs=1e-12)
    assert estimate.low < estimate.high


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_as_in_scipy(counts: tuple[int, int]) -> None:
    theirs = stats.binomtest(*counts).proportion_ci(0.95, method="wilson")
    ours = proportion(*counts)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert ours.low <= ours.value <= ours.high


@pytest.mark.parametrize("counts", [(0, 0), (2, 1), (-1, 5)])
def test_impossible_share_is_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="successes of"):
        proportion(*counts)


# --- macro ---


def test_macro_weighs_tasks_equally_and_episodes_within_a_task() -> None:
    groups = [[[1.0] * 10, [0.0] * 30], [[1.0, 0.0] * 5]]
    assert macro(groups).value == pytest.approx((10 / 40 + 0.5) / 2)
    assert macro(groups).n == 50


def test_macro_of_one_stratum_is_wilson_with_t() -> None:
    """The variance has the divisor n - 1 and the quantile is t's; the rest is Wilson's equation."""
    estimate = macro([[[1.0] * 30 + [0.0] * 20]])
    t = stats.t.ppf(0.975, 49)
    for end in (estimate.low, estimate.high):
        assert (end - 0.6) ** 2 == pytest.approx(t**2 * end * (1 - end) / 49)
    wilson = proportion(30, 50)
    assert estimate.low == pytest.approx(wilson.low, abs=0.006)
    assert estimate.high == pytest.approx(wilson.high, abs=0.006)


def test_macro_variance_and_degrees_of_freedom() -> None:
    strata = [[1.0, 0.0, 0.0, 1.0, 1.0], [0.5, 0.25, 1.0], [0.0, 0.0, 1.0, 0.0]]
    parts = [w**2 * np.var(s, ddof=1) / len(s) for w, s in zip((5 / 16, 3 / 16, 1 / 2), strata, strict=True)]
    value, variance = (3 + 1.75) / 16 + 0.125, sum(parts)
    t = stats.t.ppf(0.975, variance**2 / (parts[0] ** 2 / 4 + parts[1] ** 2 / 2 + parts[2] ** 2 / 3))
    estimate = macro([strata[:2], strata[2:]])
    assert estimate.value == pytest.approx(value)
    for end in (estimate.low, estimate.high):
        assert (end - value) ** 2 == pytest.approx(t**2 * variance * end * (1 - end) / (value * (1 - value)))


@given(groups_of_shares)
def test_macro_interval_holds_its_value(groups: list[list[list[float]]]) -> None:
    estimate = macro(groups)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.high - estimate.low > 1e-3


@given(groups_of_shares)
def test_macro_turned_over(groups: list[list[list[float]]]) -> None:
    """The share of failures has the mirrored interval."""
    right, wrong = macro(groups), macro([[[1 - x for x in stratum] for stratum in group] for group in groups])
    assert (wrong.low, wrong.high) == pytest.approx((1 - right.high, 1 - right.low), abs=1e-9)


def test_macro_does_not_depend_on_order() -> None:
    rng = np.random.default_rng(0)
    groups = of_shape(lambda: rng.integers(0, 2, 50).astype(float))
    once = macro(groups)
    assert once == macro(groups)
    again = macro([[rng.permutation(stratum) for stratum in group[::-1]] for group in groups[::-1]])
    assert (again.value, again.low, again.high) == pytest.approx((once.value, once.low, once.high))


def test_levels_are_strata() -> None:
    """Levels that are all right and all wrong tell nothing about chance; mixed together the same answers do."""
    rng = np.random.default_rng(0)
    answers = np.repeat([1.0, 0.0], 100)
    answers[:3] = 0.0
    apart, mixed = macro([[answers[:100], answers[100:]]]), macro([[rng.permutation(answers)]])
    assert apart.high - apart.low < 0.4 * (mixed.high - mixed.low)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_no_interval_is_a_point(value: float) -> None:
    estimate = macro([[[value] * 100, [value] * 100], [[value] * 50]])
    assert estimate.value == value
    assert 0.005 < estimate.high - estimate.low < 0.05


@pytest.mark.parametrize("levels", [(1, 2, 3), (3, 7), (5, 5, 5), LEVELS])
def test_all_right_is_never_a_point(levels: tuple[int, ...]) -> None:
    """Whatever the weights add up to in floating point, and wherever the faults that were not seen may be."""
    estimate = macro(of_shape(lambda: [1.0] * 20, levels))
    assert estimate.value == estimate.high == 1.0
    heaviest = 1 / (20 * len(levels) * min(levels))
    unseen = 1 - 0.025 ** (1 / 20)  # chance of a fault, in the level of heaviest weight alone, that 20 episodes miss
    assert 1 - estimate.low >= 20 * heaviest * unseen


def test_all_equal_between_0_and_1_is_not_a_point() -> None:
    estimate = macro([[[0.3] * 40]])
    assert (estimate.low, estimate.high) == pytest.approx((proportion(12, 40).low, proportion(12, 40).high))


def test_single_episode_says_nothing() -> None:
    assert (macro([[[1.0]]]).low, macro([[[1.0]]]).high) == (0.0, 1.0)


def test_level_with_a_single_episode_does_not_spoil_the_rest() -> None:
    rng = np.random.default_rng(0)
    strata = [rng.integers(0, 2, 100).astype(float) for _ in range(3)]
    alone, joined = macro([strata]), macro([[*strata, np.array([1.0])]])
    assert joined.high - joined.low == pytest.approx(alone.high - alone.low, rel=0.05)
    assert joined.n == 301


def test_level_with_a_single_episode_is_as_unsure_as_any() -> None:
    """It is half of the macro average here, and alone it shows no variance."""
    estimate = macro([[[1.0, 0.0] * 50], [[1.0]]])
    assert estimate.high - estimate.low > 0.5


@pytest.mark.parametrize("groups", [[], [[]], [[[]]], [[[1.0]], [[]]]])
def test_average_of_nothing_is_refused(groups: list[list[list[float]]]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        macro(groups)


def test_macro_interval_covers_the_truth() -> None:
    """95 % nominal; 400 draws put the observed share within 0.91 to 0.98 but for one run in a thousand. Seeded."""
    rng = np.random.default_rng(1)
    rates = [[0.3, 0.6], [0.8], [0.1, 0.2, 0.5]]
    truth = float(np.mean([np.mean(levels) for levels in rates]))
    covered = 0
    for _ in range(400):
        groups = [[list(rng.binomial(1, rate, 60).astype(float)) for rate in levels] for levels in rates]
        estimate = macro(groups)
        covered += estimate.low <= truth <= estimate.high
    assert 0.91 <= covered / 400 <= 0.98


def test_import_leaves_scipy_alone() -> None:
    code = "import sys, mgsd_bench.statistics; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
