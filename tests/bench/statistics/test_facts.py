"""Precision, recall and F1 of stated facts: by hand, by bootstrap, and their stated coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from mgsd_bench.statistics.intervals import Measure, f1, fact_values, macro
from support.strata import Z, groups_of_counts, measures, of_shape


def test_micro_within_a_task_and_macro_over_tasks() -> None:
    tasks = [[[(3, 1, 0), (0, 0, 2)], [(5, 0, 1)]], [[(1, 1, 1)]]]
    assert f1(tasks).value == pytest.approx((16 / 20 + 2 / 4) / 2)
    assert f1(tasks, "precision").value == pytest.approx((8 / 9 + 1 / 2) / 2)
    assert f1(tasks, "recall").value == pytest.approx((8 / 11 + 1 / 2) / 2)
    assert f1(tasks, "exact").value == 0.0
    assert f1(tasks).n == 4


@pytest.mark.parametrize(
    ("count", "precision", "recall", "both", "exact"),
    [
        ((0, 0, 0), 1.0, 1.0, 1.0, 1.0),
        ((0, 4, 0), 0.0, 0.0, 0.0, 0.0),
        ((0, 0, 4), 0.0, 0.0, 0.0, 0.0),
        ((0, 3, 4), 0.0, 0.0, 0.0, 0.0),
        ((4, 0, 0), 1.0, 1.0, 1.0, 1.0),
    ],
)
def test_nothing_true_or_nothing_stated(
    count: tuple[int, int, int], precision: float, recall: float, both: float, exact: float
) -> None:
    tasks = [[[count, count], [count]]]
    found = [f1(tasks, measure).value for measure in ("precision", "recall", "f1", "exact")]
    assert found == [precision, recall, both, exact]


@given(groups_of_counts, measures)
def test_f1_interval_holds_its_value(tasks: list[list[list[tuple[int, int, int]]]], measure: Measure) -> None:
    estimate = f1(tasks, measure)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.high - estimate.low > 1e-3


@given(groups_of_counts)
def test_f1_is_between_precision_and_recall_of_each_task(tasks: list[list[list[tuple[int, int, int]]]]) -> None:
    for task in tasks:
        low, high = sorted(f1([task], measure).value for measure in ("precision", "recall"))
        assert low - 1e-12 <= f1([task]).value <= high + 1e-12


def test_f1_variance_is_that_of_a_bootstrap() -> None:
    """Standard error by linearisation and by drawing episodes within levels; both are near the truth at 300 each."""
    rng = np.random.default_rng(0)
    missed = [rng.binomial(facts, rng.beta(1, 3, 300)) for facts in (5, 8, 60)]
    levels = [np.stack([facts - m, rng.binomial(m, 0.5), m], -1) for facts, m in zip((5, 8, 60), missed, strict=True)]
    drawn = []
    for _ in range(2000):
        tp, fp, fn = sum(level[rng.integers(0, 300, 300)].sum(0) for level in levels)
        drawn.append(2 * tp / (2 * tp + fp + fn))
    estimate = f1([levels])
    assert estimate.high - estimate.low == pytest.approx(2 * Z * np.std(drawn), rel=0.06)


def test_facts_of_an_episode_are_not_independent() -> None:
    """All or nothing in an episode: as sure as 100 episodes let one be, not 2,000 facts."""
    right = np.repeat([1, 0], [90, 10])
    estimate = f1([[np.stack([20 * right, 20 * (1 - right), 20 * (1 - right)], -1)]])
    share = macro([[right]])
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((share.value, share.low, share.high))


@pytest.mark.parametrize("count", [(9, 0, 0), (0, 3, 3)])
def test_f1_all_alike_is_never_a_point(count: tuple[int, int, int]) -> None:
    estimate = f1(of_shape(lambda: [count] * 50))
    assert estimate.value in (0.0, 1.0)
    assert 0.005 < estimate.high - estimate.low < 0.02


def test_f1_without_variance_but_for_rounding_is_not_a_point() -> None:
    estimate = f1([[[(k, k, 2 * k) for k in range(1, 50)]]])
    assert estimate.value == pytest.approx(0.4)
    assert 0.2 < estimate.high - estimate.low < 0.3


def test_exact_is_a_share_of_episodes() -> None:
    rng = np.random.default_rng(0)
    tasks = of_shape(lambda: rng.binomial(1, 0.4, (30, 3)))
    assert f1(tasks, "exact") == macro([[(level[:, 1:].sum(1) == 0) for level in task] for task in tasks])


@given(groups_of_counts, measures)
def test_fact_values_average_to_the_figure(tasks: list[list[list[tuple[int, int, int]]]], measure: Measure) -> None:
    values = fact_values(tasks, measure)
    assert [[len(level) for level in task] for task in values] == [[len(level) for level in task] for task in tasks]
    for task, of_it in zip(tasks, values, strict=True):
        assert np.concatenate(of_it).mean() == pytest.approx(f1([task], measure).value, abs=1e-12)


def test_f1_interval_covers_the_truth() -> None:
    """As for macro; episodes of 8 facts that are mostly read whole, and sometimes badly. Seeded."""
    rng = np.random.default_rng(2)

    def read(size: int) -> NDArray[np.int64]:
        missed = rng.binomial(8, np.where(rng.random(size) < 0.7, 0.0, rng.beta(1, 2, size)))
        return np.stack([8 - missed, missed // 2, missed], -1)

    truth = f1([[read(400_000)]]).value
    covered = 0
    for _ in range(400):
        estimate = f1(of_shape(lambda: read(25), (3, 2)))
        covered += estimate.low <= truth <= estimate.high
    assert 0.91 <= covered / 400 <= 0.98


@settings(max_examples=20)
@given(groups_of_counts)
def test_arrays_and_lists_are_the_same(tasks: list[list[list[tuple[int, int, int]]]]) -> None:
    assert f1(tasks) == f1([[np.array(level) for level in task] for task in tasks])
