"""Every form of a state against the others: facts, text, JSON and key; and that the written ones stay as they are."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mgsd_envs.task import Task
from support.tasks import FROZENLAKE, MAZE, MINIBEHAVIOUR, every_task, office, states


class TestForms:
    @every_task
    @given(data=st.data())
    def test_facts_rebuild_the_state(self, task: Task[Any], data: st.DataObject) -> None:
        state = data.draw(states(task))
        facts = task.facts(state)
        rebuilt = task.from_facts(data.draw(st.permutations(sorted(facts, key=str))) if len(facts) < 60 else facts)
        assert rebuilt == state
        assert hash(rebuilt) == hash(state)

    @every_task
    @given(data=st.data())
    def test_text_says_the_facts_and_no_more(self, task: Task[Any], data: st.DataObject) -> None:
        state = data.draw(states(task))
        assert task.parse(task.describe(state)) == task.facts(state)

    @every_task
    @given(data=st.data())
    def test_json_round_trip(self, task: Task[Any], data: st.DataObject) -> None:
        state = data.draw(states(task))
        text = json.dumps(task.to_json(state))
        back = task.from_json(json.loads(text))
        assert back == state
        assert json.dumps(task.to_json(back)) == text

    @every_task
    @given(data=st.data())
    def test_equal_keys_mean_equal_states(self, task: Task[Any], data: st.DataObject) -> None:
        state = data.draw(states(task))
        assert task.key(task.from_facts(task.facts(state))) == task.key(state)
        facts = task.facts(state)
        changed = facts - {data.draw(st.sampled_from(sorted(facts, key=str)))}
        changed |= {
            data.draw(st.sampled_from(sorted(task.facts(data.draw(states(task, st.just(state.size)))), key=str)))
        }
        try:
            other = task.from_facts(changed)
        except ValueError:
            return
        assert (task.key(other) == task.key(state)) == (other == state)

    def test_written_forms_are_fixed_for_good(self) -> None:
        """Suites, exclusion lists and run folders hold these; a change breaks what people have stored."""
        lake = FROZENLAKE.from_json({"size": 3, "player": [0, 1], "goal": [2, 2], "holes": [[2, 0], [1, 1]]})
        assert FROZENLAKE.key(lake) == "frozenlake:3:1:8:50"
        assert FROZENLAKE.to_json(lake) == {"size": 3, "player": [0, 1], "goal": [2, 2], "holes": [[1, 1], [2, 0]]}
        assert FROZENLAKE.describe(lake) == "size: 3\nplayer: (0,1)\ngoal: (2,2)\nholes: (1,1), (2,0)"
        maze = MAZE.from_json({"size": 2, "player": [1, 1], "goal": [0, 1], "open": [["DR", "L"], ["RU", "L"]]})
        assert MAZE.key(maze) == "maze:2:3:1:61c1"
        assert MAZE.to_json(maze) == {"size": 2, "player": [1, 1], "goal": [0, 1], "open": [["DR", "L"], ["RU", "L"]]}
        assert MAZE.describe(maze) == "size: 2\nplayer: (1,1)\ngoal: (0,1)\nopen: (0,0) DR, (0,1) L, (1,0) RU, (1,1) L"
        room = office(4, (3, 3), (0, 3), {(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)})
        assert MINIBEHAVIOUR.key(room) == "minibehaviour:4:15:3:77"
        assert MINIBEHAVIOUR.to_json(room)["table"] == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
        assert MINIBEHAVIOUR.describe(room) == (
            "size: 4\nagent: (3,3)\nprinter: (0,3)\ntable: (0,0), (0,1), (0,2), (1,0), (1,1), (1,2)"
        )
