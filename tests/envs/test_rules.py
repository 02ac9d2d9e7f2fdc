"""The rules of each task by example, the world in the middle of a rollout, neighbours on a board, and the registry."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_envs import get_task, grid, rollout, task_names
from mgsd_envs.task import Task
from mgsd_envs.types import Cell
from support.tasks import FROZENLAKE, MAZE, MINIBEHAVIOUR, SOKOBAN, every_task, office, sampled, states

Letters = str | list[str]

#   P . #      player (0,0), goal (2,2), holes (0,2) and (1,0)
#   # . .
#   . . G
LAKE = FROZENLAKE.from_json({"size": 3, "player": [0, 0], "goal": [2, 2], "holes": [[0, 2], [1, 0]]})
MAZE_STATE = MAZE.from_json({"size": 2, "player": [0, 0], "goal": [1, 0], "open": [["R", "DL"], ["R", "LU"]]})
#   . . . .    table in the lower left corner, printer (0,1), agent (0,3)
#   . . . .
#   # # # .
#   # # # .
OFFICE = office(4, (0, 3), (0, 1), {(2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2)})
#   # # # # # #    player (1,1), boxes (1,3) and (2,2), goals (3,3) and (4,2), the wall inside (2,4)
ROOM = SOKOBAN.from_facts(
    {("size", 6), ("player", 1, 1), ("wall", 2, 4)} | {("box", 1, 3), ("box", 2, 2), ("goal", 3, 3), ("goal", 4, 2)}
)
ILLEGAL = [
    (LAKE, "U", "off_grid"),
    (LAKE, "L", "off_grid"),
    (LAKE, "RRR", "hole"),
    (LAKE, "D", "hole"),
    (LAKE, ["jump"], "unknown_action"),
    (LAKE, ["pick"], "unknown_action"),
    (MAZE_STATE, "D", "wall"),
    (MAZE_STATE, "RU", "off_grid"),
    (MAZE_STATE, [""], "unknown_action"),
    (OFFICE, "R", "off_grid"),
    (OFFICE, "LL", "printer"),
    (OFFICE, "DDL", "table"),
    (OFFICE, "P", "pick_far"),
    (OFFICE, "DLP", "pick_far"),
    (OFFICE, "LPP", "pick_twice"),
    (OFFICE, "X", "drop_empty"),
    (OFFICE, "LPX", "drop_far"),
    (OFFICE, ["LEFT"], "unknown_action"),
    (ROOM, "L", "wall"),
    (ROOM, "DDRRRUU", "wall"),
    (ROOM, "RRR", "box_blocked"),
    (ROOM, "DRR", "box_blocked"),
    (ROOM, "DRDRUU", "box_blocked"),
    (ROOM, ["push"], "unknown_action"),
]


def plan_of(letters: Letters) -> list[str]:
    names = {**grid.LETTERS, "P": "pick", "X": "drop"}
    return [names[letter] for letter in letters] if isinstance(letters, str) else letters


def task_of(state: Any) -> Task[Any]:
    return {"LakeState": FROZENLAKE, "MazeState": MAZE, "OfficeState": MINIBEHAVIOUR, "SokobanState": SOKOBAN}[
        type(state).__name__
    ]


class TestRules:
    @pytest.mark.parametrize(("state", "letters", "rule"), ILLEGAL)
    def test_illegal(self, state: Any, letters: Letters, rule: str) -> None:
        plan = plan_of(letters)
        result = rollout(task_of(state), state, plan)
        assert (result.outcome, result.illegal) == ("illegal", rule)
        assert result.steps < len(plan)
        assert rollout(task_of(state), state, plan[: result.steps]).outcome == "wrong"

    def test_every_rule_has_an_example(self) -> None:
        rules = {rule for task in (FROZENLAKE, MAZE, MINIBEHAVIOUR, SOKOBAN) for rule in task.rules}
        assert {rule for _, _, rule in ILLEGAL} == rules | {"unknown_action"}

    @pytest.mark.parametrize(
        ("state", "letters", "steps"),
        [
            (LAKE, "RDRD", 4),
            (LAKE, "RDDR", 4),
            (MAZE_STATE, "RDL", 3),
            (OFFICE, "LPDX", 4),
            (OFFICE, "LPLDX", 5),  # over the cell where the printer was
            (OFFICE, "LPLLDX", 6),
        ],
    )
    def test_success_ends_the_episode(self, state: Any, letters: Letters, steps: int) -> None:
        task, plan = task_of(state), plan_of(letters)
        assert rollout(task, state, plan) == ("solved", steps, None)
        assert rollout(task, state, [*plan, "left", "jump"]) == ("solved", steps, None)
        assert rollout(task, state, plan[:-1]) == ("wrong", steps - 1, None)

    @every_task
    def test_an_empty_plan_is_wrong(self, task: Task[Any]) -> None:
        assert rollout(task, sampled(task, task.min_level), ()) == ("wrong", 0, None)

    def test_unknown_action_is_reported_where_it_stands(self) -> None:
        plan = ["right", "stay", "down"]
        assert rollout(FROZENLAKE, LAKE, plan) == ("illegal", 1, "unknown_action")


class TestMiddleOfARollout:
    @every_task
    @given(data=st.data())
    def test_state_at_the_cursor(self, task: Task[Any], data: st.DataObject) -> None:
        state = data.draw(states(task, st.integers(task.min_level, 8)))
        cursor = task.start(state)
        assert task.state_at(state, cursor) == state
        for action in task.solve(state):
            cursor = task.step(state, cursor, action)
            now = task.state_at(state, cursor)
            assert task.start(now)[:2] == cursor[:2]
            assert task.parse(task.describe(now)) == task.facts(now)
            assert len(task.facts(now) - task.facts(state)) <= 1 + max(
                1, sum(fact[0] == "box" for fact in task.facts(state))
            )

    def test_the_printer_goes_along_and_ends_on_the_table(self) -> None:
        def printer(letters: str) -> Cell:
            cursor = MINIBEHAVIOUR.start(OFFICE)
            for action in plan_of(letters):
                cursor = MINIBEHAVIOUR.step(OFFICE, cursor, action)
            return MINIBEHAVIOUR.state_at(OFFICE, cursor).printer

        assert [printer("LPDX"[:k]) for k in range(5)] == [(0, 1), (0, 1), (0, 2), (1, 2), (2, 2)]


@given(st.integers(1, 6), st.data())
def test_neighbours(size: int, data: st.DataObject) -> None:
    board = [(row, column) for row in range(size) for column in range(size)]
    cells = data.draw(st.sets(st.sampled_from(board)))
    around = [cell for cell in board if cell not in cells and any(grid.manhattan(cell, c) == 1 for c in cells)]
    assert grid.cells_of(size, grid.neighbours(size, grid.bit_set(size, cells))) == around


def test_registry() -> None:
    assert {"frozenlake", "maze", "minibehaviour"} <= set(task_names())
    assert get_task("maze").name == "maze"
    assert get_task("maze") is get_task("maze")
    with pytest.raises(KeyError):
        get_task("chess")
