"""Mirror images and quarter turns: a group, the same task seen otherwise, and orbits that no split divides."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_envs import Mix, episode_from_json, generate, make_episode, orbit_key, random_plan, rollout
from mgsd_envs.grid import MOVES
from mgsd_envs.orbits import images, split_key
from mgsd_envs.splits import SPLITS, split_of
from mgsd_envs.symmetry import SYMMETRIES, Symmetry
from mgsd_envs.task import Symmetric, Task
from mgsd_envs.types import Cell, Fact
from support.tasks import (
    FROZENLAKE,
    MAZE,
    MINIBEHAVIOUR,
    TASKS,
    Lopsided,
    every_listed_task,
    every_task,
    near,
    office,
    states,
)

symmetries = st.sampled_from(SYMMETRIES)
cells = st.tuples(st.integers(0, 6), st.integers(0, 6))
levels = pytest.mark.parametrize(
    ("task", "level"),
    [(FROZENLAKE, 3), (FROZENLAKE, 6), (MAZE, 3), (MAZE, 5), (MINIBEHAVIOUR, 5), (MINIBEHAVIOUR, 8)],
    ids=lambda value: getattr(value, "name", value),
)


class TestGroup:
    def test_eight_and_the_first_changes_nothing(self) -> None:
        boards = [tuple(symmetry.cell(3, divmod(i, 3)) for i in range(9)) for symmetry in SYMMETRIES]
        assert len(set(boards)) == 8
        assert boards[0] == tuple(divmod(i, 3) for i in range(9))

    @given(symmetries, symmetries, cells, st.sampled_from([*MOVES, "pick"]))
    def test_one_after_another(self, first: Symmetry, second: Symmetry, cell: Cell, side: str) -> None:
        both = first.then(second)
        assert both in SYMMETRIES
        assert both.cell(7, cell) == second.cell(7, first.cell(7, cell))
        assert both.side(side) == second.side(first.side(side))

    @given(symmetries, symmetries, symmetries)
    def test_laws(self, a: Symmetry, b: Symmetry, c: Symmetry) -> None:
        assert a.then(b).then(c) == a.then(b.then(c))
        assert a.then(a.inverse) == a.inverse.then(a) == SYMMETRIES[0]
        assert a.then(SYMMETRIES[0]) == SYMMETRIES[0].then(a) == a

    @given(symmetries, cells, st.sampled_from(list(MOVES)))
    def test_sides_go_with_cells(self, symmetry: Symmetry, cell: Cell, side: str) -> None:
        def neighbour(of: Cell, to: str) -> Cell:
            return of[0] + MOVES[to][0], of[1] + MOVES[to][1]

        assert symmetry.cell(7, neighbour(cell, side)) == neighbour(symmetry.cell(7, cell), symmetry.side(side))


@every_task
class TestImages:
    @given(data=st.data(), symmetry=symmetries)
    def test_an_image_is_a_state_with_plans_of_the_same_lengths(
        self, task: Any, data: st.DataObject, symmetry: Symmetry
    ) -> None:
        state = data.draw(states(task))
        image = task.transform(state, symmetry)
        assert task.from_json(task.to_json(image)) == image
        plan, plans = task.shortest(state) or ((), 0)
        image_plan, image_plans = task.shortest(image) or ((), 0)
        assert (len(plan), plans) == (len(image_plan), image_plans)
        assert task.obstacle_free_length(image) == task.obstacle_free_length(state)
        mapped = tuple(map(symmetry.side, plan))
        assert rollout(task, image, mapped) == ("solved", len(plan), None)

    @given(data=st.data(), symmetry=symmetries, seed=st.integers(0, 2**32))
    def test_any_plan_fares_the_same(self, task: Any, data: st.DataObject, symmetry: Symmetry, seed: int) -> None:
        state = data.draw(states(task, st.integers(task.min_level, near(task, 8))))
        plan = random_plan(task, 8, Random(seed))
        image = task.transform(state, symmetry)
        assert rollout(task, image, map(symmetry.side, plan)) == rollout(task, state, plan)

    @given(data=st.data(), symmetry=symmetries)
    def test_facts_are_mapped_one_by_one(self, task: Any, data: st.DataObject, symmetry: Symmetry) -> None:
        state = data.draw(states(task))

        def mapped(fact: Fact) -> Fact:
            name, *arguments = fact
            if len(arguments) < 2:
                return fact
            row, column, *labels = arguments
            return (name, *symmetry.cell(state.size, (int(row), int(column))), *map(symmetry.side, map(str, labels)))

        assert task.facts(task.transform(state, symmetry)) == frozenset(map(mapped, task.facts(state)))

    @given(data=st.data(), first=symmetries, second=symmetries)
    def test_one_after_another(self, task: Any, data: st.DataObject, first: Symmetry, second: Symmetry) -> None:
        state = data.draw(states(task))
        assert task.transform(state, SYMMETRIES[0]) == state
        assert task.transform(task.transform(state, first), second) == task.transform(state, first.then(second))


class TestOrbits:
    @every_task
    @given(data=st.data(), symmetry=symmetries)
    def test_the_key_is_the_least_of_eight_and_all_images_share_it(
        self, task: Any, data: st.DataObject, symmetry: Symmetry
    ) -> None:
        state = data.draw(states(task))
        keys = {task.key(task.transform(state, each)) for each in SYMMETRIES}
        assert {task.key(image) for image in images(task, state)} == keys
        assert orbit_key(task, state) == min(keys) == orbit_key(task, task.transform(state, symmetry))

    @every_listed_task
    def test_orbits_divide_the_states(self, task: Any) -> None:
        """Every orbit of a small level is a whole set of images; of rooms half of it, those whose table lies flat."""
        level = task.min_level
        listed = {task.key(state): state for state in task.states(level)}
        orbits: dict[str, set[str]] = {}
        for key, state in listed.items():
            orbits.setdefault(orbit_key(task, state), set()).add(key)
        for members in orbits.values():
            of_one = {task.key(image) for image in images(task, listed[min(members)])}
            assert members == of_one & set(listed)
            assert task is MINIBEHAVIOUR or members == of_one


def test_a_table_of_any_shape_is_turned() -> None:
    room = office(5, (0, 0), (4, 4), {(1, 1), (1, 2), (2, 1)})
    turned = MINIBEHAVIOUR.transform(room, Symmetry(transposed=True, columns=True))  # type: ignore[attr-defined]
    assert turned == office(5, (0, 4), (4, 0), {(1, 3), (2, 3), (1, 2)})


class TestSplits:
    @levels
    @pytest.mark.parametrize("split", SPLITS)
    def test_every_image_is_in_the_split(self, task: Task[Any], level: int, split: Any) -> None:
        episodes = list(generate(task, level, 40, split=split, stream="s", split_by="orbit"))
        assert len({task.key(episode.state) for episode in episodes}) == 40
        assert {(episode.split, episode.split_by) for episode in episodes} == {(split, "orbit")}
        found = {split_of(split_key(task, image, "orbit")) for e in episodes for image in images(task, e.state)}
        assert found == {split}

    @pytest.mark.parametrize(("task", "level"), [(FROZENLAKE, 3), (MAZE, 3), (MINIBEHAVIOUR, 5)])
    def test_training_on_everything_leaves_the_orbits_of_the_test_alone(self, task: Task[Any], level: int) -> None:
        everything = Mix(length=range(1, 100), straight=1)

        def orbits(split: Any, split_by: Any, count: int) -> set[str]:
            episodes = generate(task, level, count, split=split, stream="s", mix=everything, split_by=split_by)
            return {orbit_key(task, episode.state) for episode in episodes}

        have = sum(split_of(orbit_key(task, state)) == "train" for state in task.states(level) or ())
        assert not orbits("train", "orbit", have) & orbits("test", "orbit", 100)
        assert len(orbits("train", "state", have // 2) & orbits("test", "state", 100)) > 50

    @pytest.mark.parametrize(
        ("task", "level", "digest"),
        [(FROZENLAKE, 3, "1f617afa8e2c0092"), (MAZE, 3, "2c7af00df4a94310"), (MINIBEHAVIOUR, 5, "abd3a3854b82ea94")],
        ids=lambda value: getattr(value, "name", value),
    )
    def test_the_split_of_every_orbit_is_fixed_for_good(self, task: Task[Any], level: int, digest: str) -> None:
        splits = ",".join(split_of(orbit_key(task, state)) for state in task.states(level) or ())
        assert sha256(splits.encode()).hexdigest()[:16] == digest

    @levels
    def test_excluded_orbits_do_not_come(self, task: Task[Any], level: int) -> None:
        first = [e.state for e in generate(task, level, 20, split="train", stream="s", split_by="orbit")]
        orbits = frozenset(orbit_key(task, state) for state in first)
        second = generate(task, level, 20, split="train", stream="s", split_by="orbit", exclude=orbits)
        assert not orbits & {orbit_key(task, episode.state) for episode in second}

    @every_task
    def test_there_and_back(self, task: Task[Any]) -> None:
        (by_state,) = generate(task, near(task, 5), 1, split="train", stream="s")
        (by_orbit,) = generate(task, near(task, 5), 1, split="train", stream="s", split_by="orbit")
        assert "split_by" not in by_state.to_json()
        assert episode_from_json(by_orbit.to_json()) == by_orbit
        with pytest.raises(ValueError, match="split_by is state, orbit, not 'mirror'"):
            episode_from_json(by_orbit.to_json() | {"split_by": "mirror"})


class TestWithoutSymmetries:
    """A task that does not say what its states look like in a mirror: each state is an orbit by itself."""

    def test_splits_are_those_of_states(self) -> None:
        task: Task[Any] = Lopsided()
        assert not isinstance(task, Symmetric)
        assert all(isinstance(each, Symmetric) for each in TASKS)
        state = next(iter(task.states(3) or ()))
        assert list(images(task, state)) == [state]
        assert orbit_key(task, state) == task.key(state)

        def made(split_by: Any) -> Iterator[str]:
            for episode in generate(task, 4, 20, split="test", stream="s", split_by=split_by):
                yield task.key(episode.state)

        assert list(made("orbit")) == list(made("state"))
        assert make_episode(task, 3, "one", state, split_by="orbit").split == split_of(task.key(state))
