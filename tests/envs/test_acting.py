"""One action at a time, and the distance to go of every situation against a search that knows nothing."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_envs import Illegal, get_task, sokoban_tables
from mgsd_envs.acting import act
from mgsd_envs.distances import _Kept, distances
from mgsd_envs.errors import SearchError
from mgsd_envs.task import UNKNOWN_ACTION
from mgsd_keydoor import KeyDoor
from support.tasks import FROZENLAKE, MINIGRID, SOKOBAN, TASKS, every_task, sampled, states

KEYDOOR = KeyDoor()
LAKE = FROZENLAKE.from_json({"size": 3, "player": [0, 0], "goal": [2, 0], "holes": [[1, 0]]})


def onward(task: Any, state: Any, cursor: Any) -> list[Any]:
    """The cursors that one action leads to."""
    results = (task.step(state, cursor, action) for action in task.actions)
    return [result for result in results if not isinstance(result, Illegal)]


def reached(task: Any, state: Any, most: int = 3000) -> list[Any]:
    """The cursors that actions lead to, at most so many, the nearest first; none behind success."""
    found = [task.start(state)]
    met = {*found}
    for cursor in found:
        if len(found) < most and not task.solved(state, cursor):
            fresh = [after for after in dict.fromkeys(onward(task, state, cursor)) if after not in met]
            found += fresh
            met.update(fresh)
    return found


def true_distance(task: Any, state: Any, start: Any) -> int | None:
    """Breadth-first search from one cursor."""
    waiting = deque([(start, 0)])
    met = {start}
    while waiting:
        cursor, made = waiting.popleft()
        if task.solved(state, cursor):
            return made
        for after in onward(task, state, cursor):
            if after not in met:
                met.add(after)
                waiting.append((after, made + 1))
    return None


class TestAct:
    def test_done(self) -> None:
        assert act(FROZENLAKE, LAKE, (0, 0), "right") == ("done", (0, 1), None)

    def test_a_blocked_action_does_nothing(self) -> None:
        assert act(FROZENLAKE, LAKE, (0, 0), "up") == ("blocked", (0, 0), "off_grid")

    def test_a_fatal_action_ends_where_it_began(self) -> None:
        assert act(FROZENLAKE, LAKE, (0, 0), "down") == ("fatal", (0, 0), "hole")

    def test_an_action_that_there_is_not_is_blocked(self) -> None:
        for task in TASKS:
            state = sampled(task, 6)
            assert act(task, state, task.start(state), "dance") == ("blocked", task.start(state), UNKNOWN_ACTION)

    def test_which_rules_are_fatal(self) -> None:
        assert {task.name: set(task.fatal) for task in TASKS if task.fatal} == {"frozenlake": {"hole"}}
        for name in MINIGRID:
            assert get_task(name).fatal == {"lava", "wrong_object", "wrong_place", "wrong_door"}

    @every_task
    @given(data=st.data())
    def test_acting_is_step_and_whatever_is_not_done_changes_nothing(self, task: Any, data: st.DataObject) -> None:
        state = data.draw(states(task))
        cursor = task.start(state)
        for action in data.draw(st.lists(st.sampled_from(task.actions), max_size=30)):
            tried = act(task, state, cursor, action)
            result = task.step(state, cursor, action)
            if isinstance(result, Illegal):
                assert tried == ("fatal" if result in task.fatal else "blocked", cursor, result)
            else:
                assert tried == ("done", result, None)
            cursor = tried.cursor


class TestToGo:
    @pytest.mark.parametrize("task", [*TASKS, KEYDOOR], ids=lambda task: task.name)
    @given(data=st.data())
    def test_at_any_cursor_it_is_the_true_distance(self, task: Any, data: st.DataObject) -> None:
        state = data.draw(states(task, st.integers(task.min_level, min(task.min_level + 2, task.max_level))))
        cursor = data.draw(st.sampled_from(reached(task, state)))
        assert task.to_go(state, cursor) == true_distance(task, state, cursor)

    @pytest.mark.parametrize("name", ["minigrid-doorkey", "minigrid-lavagap", "minigrid-putnear", "minigrid-gotoobj"])
    def test_in_rooms_of_minigrid(self, name: str) -> None:
        task = get_task(name)
        rng = np.random.default_rng(4)
        for _ in range(3):
            state = sampled(task, task.min_level)
            everywhere = reached(task, state)
            for i in rng.integers(0, len(everywhere), 12):
                assert task.to_go(state, everywhere[i]) == true_distance(task, state, everywhere[i])

    @pytest.mark.parametrize("task", [*TASKS, KEYDOOR, get_task("minigrid-doorkey")], ids=lambda task: task.name)
    @given(data=st.data())
    def test_a_shortest_plan_brings_it_down_by_one_each_action(self, task: Any, data: st.DataObject) -> None:
        level = data.draw(st.sampled_from([task.min_level, task.levels[-1]]))
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        state = next(state for state in iter(lambda: task.sample(level, rng), 0) if state is not None)
        plan = task.solve(state)
        cursor = task.start(state)
        left = [task.to_go(state, cursor)]
        for action in plan:
            cursor = act(task, state, cursor, action).cursor
            left.append(task.to_go(state, cursor))
        assert left == list(range(len(plan), -1, -1))

    @given(data=st.data())
    def test_in_sokoban_it_is_none_exactly_in_dead_ends(self, data: st.DataObject) -> None:
        state = data.draw(states(SOKOBAN, st.just(6)))
        cursor = data.draw(st.sampled_from(reached(SOKOBAN, state)))
        assert (SOKOBAN.to_go(state, cursor) is None) == SOKOBAN.hopeless(state, cursor)

    def test_a_room_without_a_table_is_searched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        state = sampled(SOKOBAN, 6)
        everywhere = reached(SOKOBAN, state)[::50]
        looked_up = [SOKOBAN.to_go(state, cursor) for cursor in everywhere]
        monkeypatch.setattr(sokoban_tables, "whole", lambda room, count: None)
        assert [SOKOBAN.to_go(state, cursor) for cursor in everywhere] == looked_up

    def test_which_rooms_have_no_table(self, monkeypatch: pytest.MonkeyPatch) -> None:
        room = SOKOBAN._situation(sampled(SOKOBAN, 6))[0]  # type: ignore[attr-defined]
        count = room.goals.bit_count()
        assert sokoban_tables.whole(room, count) is sokoban_tables.whole(room, count)
        assert sokoban_tables.whole(room, count + 1) is None
        monkeypatch.setattr(sokoban_tables, "_by_room", {})
        monkeypatch.setattr(sokoban_tables, "MOST_SETS", 3)
        assert sokoban_tables.whole(room, count) is None

    def test_of_a_cursor_that_the_start_does_not_lead_to(self) -> None:
        state = KEYDOOR.sample(4, np.random.default_rng(1))
        walled = next(cell for cell in sorted(state.walls))  # nobody gets there, yet one may ask
        assert KEYDOOR.to_go(state, (*walled, 1)) == true_distance(KEYDOOR, state, (*walled, 1))


class TestDistances:
    LINE = staticmethod(lambda cursor: [(cursor[0] + 1,)] if cursor[0] < 9 else [])

    def test_what_leads_nowhere_has_none(self) -> None:
        found = distances(
            (0,), lambda cursor: [(cursor[0] + 1,), (-1,)] if 0 <= cursor[0] < 3 else [], lambda c: c == (3,)
        )
        assert found == {(0,): 3, (1,): 2, (2,): 1, (3,): 0, (-1,): None}

    def test_too_many(self) -> None:
        with pytest.raises(SearchError, match="more than 9 situations"):
            distances((0,), self.LINE, lambda cursor: False, 9)
        assert len(distances((0,), self.LINE, lambda cursor: False, 10)) == 10

    def test_so_many_are_kept_and_no_more(self) -> None:
        kept = _Kept(100)
        made = []

        def after(cursor: Any) -> Any:
            made.append(cursor)
            return onward(KEYDOOR, state, cursor)

        rng = np.random.default_rng(0)
        rooms = [room for room in (KEYDOOR.sample(4, rng) for _ in range(20)) if room][:6]
        for state in rooms:
            kept.get(KEYDOOR, state, KEYDOOR.start(state), after)
        before = len(made)
        kept.get(KEYDOOR, rooms[-1], KEYDOOR.start(rooms[-1]), after)
        assert len(made) == before
        assert 0 < sum(map(len, kept._tables.values())) <= 100
        state = rooms[0]
        kept.get(KEYDOOR, state, KEYDOOR.start(state), after)
        assert len(made) > before
