"""P-values and bounds of paired changes: scipy, brute force, and their stated errors."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, permutation_test

from mgsd_bench.statistics.paired import (
    Change,
    change,
    drop_p,
    excess_p,
    lower_bound,
    noninferiority_p,
    restricted_discordance,
    two_sided_p,
    upper_bound,
)
from support.changes import changes, counts, macro_change


# fractions that floating point adds up exactly, so that scipy sees ties where there are any
@given(st.lists(st.integers(-64, 64).map(lambda k: k / 64), min_size=1, max_size=9))
def test_drop_p_is_the_sign_flip_test_of_scipy(values: list[float]) -> None:
    of = Change(np.array(values), np.full(len(values), 1 / len(values)))
    if len(values) > 1:
        done = permutation_test(
            (np.array(values),), lambda x, axis: x.mean(axis=axis), permutation_type="samples", n_resamples=np.inf,
            alternative="less", vectorized=True,
        )  # fmt: skip
        assert drop_p(of) == pytest.approx(done.pvalue, abs=1e-9)


@pytest.mark.parametrize(("losses", "gains"), [(12, 3), (15, 5), (20, 10), (38, 22), (60, 60), (5, 30), (25, 0)])
def test_drop_p_of_many_differences_is_the_mid_p_of_mcnemar(losses: int, gains: int) -> None:
    both = losses + gains
    mid = binom.sf(losses - 1, both, 0.5) - binom.pmf(losses, both, 0.5) / 2
    assert drop_p(counts(losses, gains, 500)) == pytest.approx(mid, rel=0.02, abs=1e-7)


@pytest.mark.parametrize("seed", range(5))
def test_drop_p_of_unequal_weights_agrees_with_all_signs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    amounts = rng.choice([1, 1.5, 3], 16)
    values = np.where(rng.random(16) < 0.75, -1.0, 1.0)
    signs = np.array(list(product((-1.0, 1.0), repeat=16)))
    drop = float(-(amounts @ values))
    above, at = np.mean(signs @ amounts > drop + 1e-9), np.mean(abs(signs @ amounts - drop) < 1e-9)
    found = drop_p(Change(values, amounts / amounts.sum()))
    assert above + at / 2 - 0.002 <= found <= 1.25 * (above + at / 2) + 0.002


def test_the_p_value_of_a_macro_average_weighs_the_tasks() -> None:
    """One task with many episodes lost, one with few won as much: the average did not change."""
    before = [[[1.0] * 30 + [0.0] * 270], [[1.0] * 2 + [0.0] * 28]]
    after = [[[0.0] * 30 + [0.0] * 270], [[1.0] * 5 + [0.0] * 25]]
    assert two_sided_p(before[:1], after[:1]) < 1e-6
    assert two_sided_p(before, after) > 0.1
    assert two_sided_p(after, before) == pytest.approx(two_sided_p(before, after))
    assert two_sided_p(before, before) == 1.0
    even = [[[1.0] * 30 + [0.0] * 10]] * 2, [[[0.0] * 20 + [1.0] * 20]] * 2
    pooled = two_sided_p([[even[0][0][0] * 2]], [[even[1][0][0] * 2]])
    assert two_sided_p(*even) == pytest.approx(pooled, rel=0.05, abs=1e-6)


@given(changes)
def test_swapping_the_runs_swaps_the_bounds(tasks: list[list[int]]) -> None:
    of = macro_change(tasks)
    assert lower_bound(of, 0.05) == pytest.approx(-upper_bound(of.reversed(), 0.05), abs=1e-9)
    assert lower_bound(of, 0.05) - 1e-9 <= of.mean <= upper_bound(of, 0.05) + 1e-9
    assert lower_bound(of, 0.01) <= lower_bound(of, 0.05) + 1e-9


@pytest.mark.parametrize(("n", "discordance"), [(100, 0.02), (100, 0.1), (300, 0.05), (300, 0.2)])
def test_no_change_is_called_a_drop_at_most_as_often_as_promised(n: int, discordance: float) -> None:
    differing = np.arange(0, int(binom.ppf(0.9999, n, discordance)) + 1)
    alarm = 0.0
    for k in map(int, differing):
        significant = [losses for losses in range(k + 1) if drop_p(counts(losses, k - losses, n)) <= 0.05]
        alarm += binom.pmf(k, n, discordance) * sum(binom.pmf(losses, k, 0.5) for losses in significant)
    assert alarm <= 0.052


@pytest.mark.parametrize(("n", "margin"), [(200, 0.05), (600, 0.03), (600, 0.1), (1200, 0.02)])
@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1])
def test_a_drop_of_the_margin_rarely_passes(n: int, margin: float, noise: float) -> None:
    rng = np.random.default_rng([n, round(1000 * margin), round(1000 * noise)])
    draws = rng.multinomial(n, [margin + noise / 2, noise / 2, 1 - margin - noise], 600)
    passed = np.mean([noninferiority_p(counts(int(lost), int(won), n), margin) <= 0.05 for lost, won, _ in draws])
    assert passed <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)


@pytest.mark.parametrize(("losses", "gains", "difference"), [(0.05, 0.1, -0.02), (0.1, 0.0, -0.03), (0.02, 0.02, 0.05)])
def test_restricted_discordance_maximises_the_likelihood(losses: float, gains: float, difference: float) -> None:
    grid = np.linspace(abs(difference) + 1e-6, 0.6, 200_001)
    likelihood = (
        gains * np.log(grid + difference) + losses * np.log(grid - difference) + (1 - losses - gains) * np.log(1 - grid)
    )
    best = grid[np.argmax(likelihood)]
    assert float(restricted_discordance(losses, gains, difference)) == pytest.approx(best, abs=1e-4)


def test_small_differences_of_f1_are_not_taken_for_whole_episodes() -> None:
    rng = np.random.default_rng(0)
    weights = np.full(1200, 1 / 1200)
    small = Change(np.where(rng.random(1200) < 0.3, rng.normal(0, 0.1, 1200), 0.0), weights)
    assert small.atom < 0.6
    assert upper_bound(small, 0.05) - lower_bound(small, 0.05) < 0.015
    assert counts(3, 2, 100).atom == 1


def test_excess_is_found_only_when_sure() -> None:
    assert excess_p(counts(60, 0, 600), 0.03) < 0.001
    assert excess_p(counts(20, 0, 600), 0.03) > 0.3
    assert excess_p(counts(0, 0, 600), 0.03) == 1


def test_change_refuses_other_shapes() -> None:
    of = change([[[1, 0], [1]], [[0, 1]]], [[[0, 0], [1]], [[1, 1]]])
    assert of.mean == pytest.approx((0.5 - 1 / 3) / 2)
    assert of.weights.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="same episodes"):
        change([[[1, 0]]], [[[1]]])
    with pytest.raises(ValueError, match="needs an episode"):
        change([[]], [[]])
