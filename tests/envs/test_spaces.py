"""Which states there are: all of a small level, and draws from a large one."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_envs.task import Task
from support.tasks import FROZENLAKE, MINIBEHAVIOUR, every_listed_task, every_task, near

SIZES_OF_SPACES = {
    ("frozenlake", 2): 44,
    ("frozenlake", 3): 6792,
    ("maze", 2): 48,
    ("maze", 3): 6336,
    ("minibehaviour", 4): 540,
    ("minibehaviour", 5): 4104,
    ("minibehaviour", 6): 17400,
}
LENGTHS_OF_MINIBEHAVIOUR = {
    5: {2: 204, 3: 554, 4: 834, 5: 828, 6: 668, 7: 468, 8: 320, 9: 160, 10: 52, 11: 16},
    6: {
        2: 396,
        3: 1212,
        4: 2260,
        5: 2896,
        6: 2920,
        7: 2592,
        8: 2116,
        9: 1460,
        10: 832,
        11: 428,
        12: 176,
        13: 80,
        14: 24,
        15: 8,
    },
}


class TestSpaces:
    @every_task
    def test_listed_states_are_counted_distinct_and_solvable(self, task: Task[Any]) -> None:
        for (name, level), count in SIZES_OF_SPACES.items():
            if name == task.name:
                listed = list(task.states(level))
                assert len(listed) == count
                assert len(set(listed)) == len({task.key(state) for state in listed}) == count
                assert all(state.size == level for state in listed)

    @every_listed_task
    def test_levels_too_large_to_list_say_so(self, task: Task[Any]) -> None:
        largest = max(level for name, level in SIZES_OF_SPACES if name == task.name)
        assert task.states(largest + 1) is None

    @every_listed_task
    def test_sample_gives_listed_states_only_and_each_of_them(self, task: Task[Any]) -> None:
        rng = np.random.default_rng(1)
        listed = set(task.states(task.min_level))
        drawn = {task.sample(task.min_level, rng) for _ in range(6000)} - {None}
        assert drawn == listed
        listed = {task.key(state) for state in task.states(task.min_level + 1)}
        drawn = [task.sample(task.min_level + 1, rng) for _ in range(1000)]
        assert all(task.key(state) in listed for state in drawn if state is not None)

    @pytest.mark.parametrize("level", [5, 6])
    def test_lengths_of_minibehaviour(self, level: int) -> None:
        lengths = Counter(len(MINIBEHAVIOUR.solve(state)) for state in MINIBEHAVIOUR.states(level))
        assert lengths == LENGTHS_OF_MINIBEHAVIOUR[level]

    @every_task
    @pytest.mark.parametrize("level", [2, 3, 4, 5, 8, 32])
    def test_bands_are_disjoint_and_cover_every_length(self, task: Task[Any], level: int) -> None:
        if not task.min_level <= level <= task.max_level:
            pytest.skip("no such level")
        bands = task.bands(level)
        assert [*chain(*bands)] == list(range(bands[0].start, bands[-1].stop))
        if (task.name, level) in SIZES_OF_SPACES:
            lengths = {len(task.solve(state)) for state in task.states(level)}
        else:
            rng = np.random.default_rng(level)
            drawn = [task.sample(level, rng) for _ in range(60)]
            lengths = {len(task.solve(state)) for state in drawn if state}
        assert lengths <= set(chain(*bands))
        assert all(not band or lengths & set(band) for band in bands)

    @every_task
    @given(data=st.data())
    def test_sample_honours_length(self, task: Task[Any], data: st.DataObject) -> None:
        level = data.draw(st.integers(task.min_level, near(task, 8)))
        length = data.draw(st.sampled_from([band for band in task.bands(level) if band]))
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        drawn = [task.sample(level, rng, length=length) for _ in range(20)]
        assert all(len(task.solve(state)) in length for state in drawn if state)

    def test_sample_honours_density(self) -> None:
        rng = np.random.default_rng(0)
        for density in (0.0, 0.2, 0.5):
            drawn = [FROZENLAKE.sample(10, rng, density=density) for _ in range(100)]
            share = np.mean([len(state.holes) / 100 for state in drawn if state])
            assert share == pytest.approx(density, abs=0.02)
        assert FROZENLAKE.sample(4, rng, density=1.0) is None

    @every_task
    def test_sample_depends_on_the_generator_alone(self, task: Task[Any]) -> None:
        first, second, other = (
            [task.sample(6, rng) for _ in range(20)] for rng in map(np.random.default_rng, (3, 3, 4))
        )
        assert first == second != other

    @every_task
    def test_no_level_below_or_above(self, task: Task[Any]) -> None:
        for level in (task.min_level - 1, task.max_level + 1):
            with pytest.raises(ValueError, match=str(level)):
                task.sample(level, np.random.default_rng(0))
