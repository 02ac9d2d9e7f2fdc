"""Views: what is shown, and that nothing that is hidden makes a difference to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mgsd_envs import Episode, Illegal, get_task, make_episode
from mgsd_envs.explorer import next_step
from mgsd_envs.grid import MOVES, inside
from mgsd_envs.maze_carving import OPPOSITE
from mgsd_envs.minibehaviour import FETCHING
from mgsd_envs.perturbations import PERTURBATIONS, perturb
from mgsd_envs.rendering import edges
from mgsd_envs.sprites import FLAGS
from mgsd_envs.views import FOG, FULL, VOID, Explorable, View, check_view, picture, seen, tell
from support.tasks import FROZENLAKE, MAZE, MINIBEHAVIOUR, SOKOBAN, TASKS, every_task, sampled, states

EXPLORABLE = (FROZENLAKE, MAZE, MINIBEHAVIOUR)
every_explorable = pytest.mark.parametrize("task", EXPLORABLE, ids=lambda task: task.name)
PARTIAL = st.builds(View, st.sampled_from(["fog", "window"]), st.integers(1, 3))
CHANGES = [
    (name, severity)
    for name, axis in PERTURBATIONS.items()
    if axis.kind != "symmetry" and name != "labels"
    for severity in (1, len(axis.values))
]


def episode_of(task: Any, state: Any, theme: str = "classic") -> Episode:
    return make_episode(task, task.level_of(state), f"{task.name}/0/0000", state, theme)


@st.composite
def trails(draw: st.DrawFn, task: Any, state: Any) -> list[Any]:
    """Where legal actions lead, one cursor after another, short of success."""
    trail = [task.start(state)]
    for action in draw(st.lists(st.sampled_from(task.actions), max_size=12)):
        result = task.step(state, trail[-1], action)
        if not isinstance(result, Illegal) and not task.solved(state, result):
            trail.append(result)
    return trail


class TestView:
    @pytest.mark.parametrize("text", ["full", "fog:1", "fog:32", "window:2"])
    def test_there_and_back(self, text: str) -> None:
        assert str(View.parse(text)) == text

    def test_what_they_are(self) -> None:
        assert View.parse("full") == FULL == View("full")
        assert View.parse("window:2") == View("window", 2)
        assert not FULL.partial
        assert View("fog", 1).partial

    @pytest.mark.parametrize(
        "text", ["", "fog", "fog:", "fog:0", "fog:33", "fog:-1", "fog:x", "fog:²", "full:1", "mist:2", "fog:2:2"]
    )
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"is no view|a view's radius is 1 to 32 cells") as caught:
            View.parse(text)
        assert len(str(caught.value).splitlines()) == 1

    @pytest.mark.parametrize(("kind", "radius"), [("full", 1), ("fog", 0), ("fog", 1.5), ("fog", True), ("mist", 1)])
    def test_what_cannot_be_made(self, kind: Any, radius: Any) -> None:
        with pytest.raises(ValueError, match=r"radius|no view"):
            View(kind, radius)

    def test_who_has_partial_views(self) -> None:
        view = View("fog", 2)
        for task in EXPLORABLE:
            assert isinstance(task, Explorable)
            check_view(task, view, "labels")
        for task in (SOKOBAN, get_task("minigrid-empty")):
            check_view(task, FULL)
            state = sampled(task, 6)
            for refused in (
                lambda task=task: check_view(task, view),
                lambda task=task, state=state: tell(task, state, [task.start(state)], view),
                lambda task=task, state=state: picture(episode_of(task, state), [task.start(state)], view),
                lambda task=task, state=state: next_step(task, state, [task.start(state)], view),
            ):
                with pytest.raises(ValueError, match=f"{task.name} has no view fog:2"):
                    refused()

    def test_a_window_has_no_numbers_of_rows(self) -> None:
        state = sampled(MAZE, 5)
        episode = replace(episode_of(MAZE, state), perturbation="labels", severity=1)
        with pytest.raises(ValueError, match="labels number the board's rows"):
            picture(episode, [MAZE.start(state)], View("window", 1))


class TestSeen:
    @every_explorable
    @given(data=st.data())
    def test_cells_within_the_radius(self, task: Any, data: st.DataObject) -> None:
        state = data.draw(states(task))
        trail, view = data.draw(trails(task, state)), data.draw(PARTIAL)
        n = task.level_of(state)
        places = trail if view.kind == "fog" else trail[-1:]
        assert seen(task, state, trail, view) == {
            (row, column)
            for row in range(n)
            for column in range(n)
            if any(max(abs(row - at[0]), abs(column - at[1])) <= view.radius for at in places)
        }

    @every_task
    def test_everything(self, task: Any) -> None:
        state = sampled(task, 6)
        assert len(seen(task, state, [task.start(state)], FULL)) == 36


class TestHidden:
    """Two states that differ in unseen cells alone look the same, are told the same and are explored the same."""

    @every_explorable
    @settings(max_examples=150)
    @given(data=st.data())
    def test_nothing_that_is_hidden_makes_a_difference(self, task: Any, data: st.DataObject) -> None:
        state = data.draw(states(task, st.integers(task.min_level + 1, 9)))
        trail, view = data.draw(trails(task, state)), data.draw(PARTIAL)
        cells = seen(task, state, trail, view)
        other = data.draw(_elsewhere(task, state, trail, cells, view))
        assume(other != state)
        theme = data.draw(st.sampled_from(task.themes))
        name, severity = data.draw(st.sampled_from([(None, 0), *CHANGES]))
        here = replace(episode_of(task, state, theme), perturbation=name, severity=severity)
        there = replace(here, state=other)
        assert tell(task, state, trail, view) == tell(task, other, trail, view)
        assert next_step(task, state, trail, view, 1) == next_step(task, other, trail, view, 1)
        assert (picture(here, trail, view, 64).rgb() == picture(there, trail, view, 64).rgb()).all()

    def test_it_would_be_noticed(self) -> None:
        state = FROZENLAKE.from_json({"size": 5, "player": [0, 0], "goal": [4, 4], "holes": [[0, 3]]})
        other, trail = replace(state, holes=frozenset({(0, 2)})), [(0, 0)]
        for view, same in ((View("fog", 1), True), (View("fog", 2), False), (FULL, False)):
            assert (tell(FROZENLAKE, state, trail, view) == tell(FROZENLAKE, other, trail, view)) == same
            shown = [picture(replace(episode_of(FROZENLAKE, one)), trail, view).content() for one in (state, other)]
            assert (shown[0] == shown[1]) == same


@st.composite
def _elsewhere(draw: st.DrawFn, task: Any, state: Any, trail: list[Any], cells: Any, view: View) -> Any:
    """A state that agrees with another in the cells that are seen, in its landmarks under fog, and in the trail."""
    n = task.level_of(state)
    hidden = [(row, column) for row in range(n) for column in range(n) if (row, column) not in cells]
    if not hidden:
        return state
    walked = {task.place(state, cursor) for cursor in trail}
    chosen = draw(st.sets(st.sampled_from(hidden)))
    fog = view.kind == "fog"
    if task is FROZENLAKE:
        goal = state.goal if fog or state.goal in cells else draw(st.sampled_from(hidden))
        holes = state.holes & cells | {cell for cell in chosen if cell != goal and cell not in walked}
        assume(goal not in walked)
        return replace(state, goal=goal, holes=frozenset(holes))
    if task is MAZE:
        goal = state.goal if fog or state.goal in cells else draw(st.sampled_from(hidden))
        assume(goal not in walked)
        sides = bytearray(state.sides)
        for (row, column), side in draw(st.sets(st.tuples(st.sampled_from(hidden), st.sampled_from(sorted(MOVES))))):
            there = row + MOVES[side][0], column + MOVES[side][1]
            if inside(n, there) and there not in cells and not {(row, column), there} & walked:
                sides[row * n + column] ^= FLAGS[side]
                sides[there[0] * n + there[1]] ^= FLAGS[OPPOSITE[side]]
        return replace(state, goal=goal, sides=bytes(sides))
    fetching = all(cursor[2] == FETCHING for cursor in trail)
    printer = state.printer
    if fetching and not fog and printer not in cells:
        printer = draw(st.sampled_from(hidden))
    assume(printer == state.printer or printer not in walked)
    table = state.table & cells | {cell for cell in chosen if cell != printer and cell not in walked}
    assume(table and printer not in table)
    return replace(state, printer=printer, table=frozenset(table))


class TestPicture:
    @every_task
    @given(data=st.data())
    def test_the_whole_board_after_a_trail(self, task: Any, data: st.DataObject) -> None:
        state = data.draw(states(task, st.integers(task.min_level, 8)))
        trail, theme = data.draw(trails(task, state)), data.draw(st.sampled_from(task.themes))
        name, severity = data.draw(st.sampled_from([(None, 0), *CHANGES]))
        episode = replace(episode_of(task, state, theme), perturbation=name, severity=severity, pixels=128)
        plain = task.draw(task.state_at(state, trail[-1]), theme, 128).rgb()
        true = plain if name is None else perturb(plain, episode.level, name, severity, task.key(state))
        assert (picture(episode, trail, FULL).rgb() == true).all()
        assert picture(episode, trail[:1], FULL).content() == episode.draw().content()

    @every_explorable
    @given(data=st.data())
    def test_seen_cells_look_as_on_the_whole_board(self, task: Any, data: st.DataObject) -> None:
        state = data.draw(states(task, st.integers(task.min_level, 8)))
        trail, radius = data.draw(trails(task, state)), data.draw(st.integers(1, 3))
        theme = data.draw(st.sampled_from(task.themes))
        episode, now = episode_of(task, state, theme), task.state_at(state, trail[-1])
        n, side = task.level_of(state), 2 * radius + 1
        fog = picture(episode, trail, View("fog", radius), 150).rgb()
        window = picture(episode, trail, View("window", radius), 150).rgb()
        whole, ids, place = task.draw(now, theme, 150).rgb(), task.tile_ids(now), task.place(state, trail[-1])
        landmarks = {fact[1:3] for fact in task.facts(now) if fact[0] in task.landmarks}
        cells = seen(task, state, trail, View("fog", radius))
        for row in range(n):
            for column in range(n):
                here, there = (_slot(pixels, n, row, column) for pixels in (fog, whole))
                if (row, column) in cells:
                    assert (here == there).all()
                elif (row, column) in landmarks:
                    assert (here[0] == FOG).all()
                    assert not (here == FOG).all()
                else:
                    assert (here == FOG).all()
        for i in range(side):
            for j in range(side):
                row, column = place[0] - radius + i, place[1] - radius + j
                here = _slot(window, side, i, j)
                if inside(n, (row, column)):
                    assert (here == task.atlas(theme, side, 150).tile(ids[row][column], i, j).rgb()).all()
                else:
                    assert (here == VOID).all()

    @every_explorable
    def test_no_look_has_the_colour_of_fog(self, task: Any) -> None:
        for theme in task.themes:
            shown = task.draw(sampled(task, 6), theme)
            colours = shown.palette[np.unique(shown.indices)].astype(int)
            assert np.abs(colours - FOG).max(axis=1).min() > 40

    @every_explorable
    def test_a_perturbation_keeps_its_random_stream(self, task: Any) -> None:
        state = sampled(task, 5)
        episode = replace(episode_of(task, state), perturbation="offset", severity=5)
        plan = task.solve(state)
        trail = [task.start(state)]
        corners = []
        for action in plan[:2]:
            for view in (FULL, View("fog", 1), View("window", 1)):
                grey = (picture(episode, trail, view).rgb() == 127).all(axis=2)
                corners.append((str(view), int((~grey.all(axis=1)).argmax())))
            trail.append(task.step(state, trail[-1], action))
        assert corners[:1] == corners[3:4]

    def test_pixels(self) -> None:
        state = sampled(MAZE, 5)
        episode = replace(episode_of(MAZE, state), pixels=200)
        for view in (FULL, View("fog", 1), View("window", 3)):
            assert picture(episode, [MAZE.start(state)], view).rgb().shape == (200, 200, 3)
            assert picture(episode, [MAZE.start(state)], view, 99).rgb().shape == (99, 99, 3)
        with pytest.raises(ValueError, match="at least 28 pixels"):
            picture(episode, [MAZE.start(state)], View("window", 3), 27)

    def test_the_original_is_never_shown(self) -> None:
        state = sampled(MAZE, 5)
        episode = episode_of(MAZE, state)
        other = replace(episode, original=object())  # type: ignore[arg-type]
        for view in (FULL, View("fog", 1)):
            shown = [picture(one, [MAZE.start(state)], view).content() for one in (episode, other)]
            assert shown[0] == shown[1]


def _slot(pixels: Any, level: int, row: int, column: int) -> Any:
    lines = edges(level, len(pixels))
    return pixels[lines[row] : lines[row + 1], lines[column] : lines[column + 1]]


class TestTell:
    @every_task
    @given(data=st.data())
    def test_the_whole_state(self, task: Any, data: st.DataObject) -> None:
        state = data.draw(states(task))
        trail = data.draw(trails(task, state))
        assert tell(task, state, trail, FULL) == task.describe(task.state_at(state, trail[-1]))

    @every_explorable
    @given(data=st.data())
    def test_facts_that_are_shown_and_no_others(self, task: Any, data: st.DataObject) -> None:
        state = data.draw(states(task))
        trail, view = data.draw(trails(task, state)), data.draw(PARTIAL)
        cells = seen(task, state, trail, view)
        told = tell(task, state, trail, view)
        through = task.landmarks if view.kind == "fog" else ()
        assert task.parse(told) == {
            fact
            for fact in task.facts(task.state_at(state, trail[-1]))
            if len(fact) == 2 or fact[1:3] in cells or fact[0] in through
        }
        assert _cells_told(told.splitlines()[-1], task.level_of(state)) == cells

    def test_text(self) -> None:
        state = FROZENLAKE.from_json({"size": 5, "player": [0, 0], "goal": [4, 4], "holes": [[1, 1], [2, 2], [0, 3]]})
        trail = [(0, 0), (1, 0), (2, 0), (2, 1)]
        assert tell(FROZENLAKE, state, trail, View("fog", 1)) == (
            "size: 5\nplayer: (2,1)\ngoal: (4,4)\nholes: (1,1), (2,2)\nseen: rows 0 columns 0-1; rows 1-3 columns 0-2"
        )
        assert tell(FROZENLAKE, state, trail[:1], View("window", 1)) == (
            "size: 5\nplayer: (0,0)\ngoal: not seen\nholes: (1,1)\nseen: rows 0-1 columns 0-1"
        )
        assert tell(FROZENLAKE, state, trail, View("fog", 4)).endswith("holes: (0,3), (1,1), (2,2)\nseen: all")


def _cells_told(line: str, size: int) -> set[tuple[int, int]]:
    """The cells that the last line of a text says."""
    if line == "seen: all":
        return {(row, column) for row in range(size) for column in range(size)}
    cells = set()
    for block in line.removeprefix("seen: ").split("; "):
        rows, columns = block.removeprefix("rows ").split(" columns ")
        cells |= {(row, column) for row in _numbers(rows) for column in _numbers(columns)}
    return cells


def _numbers(text: str) -> list[int]:
    runs = [[int(end) for end in run.split("-")] for run in text.split(", ")]
    return [number for run in runs for number in range(run[0], run[-1] + 1)]


def test_all_tasks_were_asked() -> None:
    assert {task.name for task in TASKS if isinstance(task, Explorable)} == {task.name for task in EXPLORABLE}
