"""Every task against a brute force that knows nothing but ``step``, and every form of a state against the others."""

import json
from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mgsd_envs import Illegal, get_task, grid, rollout, task_names

TASKS = [get_task(name) for name in task_names()]
FROZENLAKE, MAZE, MINIBEHAVIOUR = (get_task(name) for name in ("frozenlake", "maze", "minibehaviour"))
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

every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


@st.composite
def states(draw, task, levels=None):
    if levels is None:
        small = st.integers(task.min_level, 9)
        levels = st.one_of(small, small, small, small, st.sampled_from([12, 16, 32]))
    level = draw(levels)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    found = (task.sample(level, rng) for _ in range(100))
    return next(state for state in found if state is not None)


def brute_force(task, state):
    """Length and number of the shortest plans, by layers of cursors."""
    ways = {task.start(state): 1}
    seen = set(ways)
    for length in range(1, 10_000):
        onward = Counter()
        for cursor, count in ways.items():
            for action in task.actions:
                after = task.step(state, cursor, action)
                if not isinstance(after, Illegal) and after not in seen:
                    onward[after] += count
        if not onward:
            return None
        ends = [count for cursor, count in onward.items() if task.solved(state, cursor)]
        if ends:
            return length, sum(ends)
        seen |= onward.keys()
        ways = onward
    raise AssertionError


class TestPlans:
    @every_task
    @given(data=st.data())
    def test_solve_gives_a_shortest_plan_and_counts_them_all(self, task, data):
        state = data.draw(states(task))
        plan = task.solve(state)
        assert rollout(task, state, plan) == ("solved", len(plan), None)
        assert (len(plan), grid.shortest(*task.graph(state))[1]) == brute_force(task, state)

    @every_task
    @given(data=st.data())
    def test_no_plan_where_brute_force_finds_none(self, task, data):
        # obstacles from another state cut off what could be reached; where agents start inside one, all bets are off
        obstacle = {"frozenlake": "hole", "maze": "open", "minibehaviour": "table"}[task.name]
        first, second = (data.draw(states(task, st.just(5))) for _ in range(2))
        facts = {fact for fact in task.facts(first) if fact[0] != obstacle}
        facts |= {fact for fact in task.facts(second) if fact[0] == obstacle}
        state = task.from_facts(facts)
        blocked = {fact[1:] for fact in facts if fact[0] == obstacle}
        assume(not any(fact[1:] in blocked for fact in facts if fact[0] in ("player", "goal", "agent", "printer")))
        expected = brute_force(task, state)
        found = grid.shortest(*task.graph(state))
        assert (found and (len(found[0]), found[1])) == expected
        assert task.solve(state) == (found and found[0])

    @given(
        st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(list(grid.MOVES)))),
        st.integers(0, 3),
        st.integers(0, 3),
    )
    @settings(max_examples=200)
    def test_maze_that_a_model_believes_in(self, openings, row, column):
        """Openings stated from one side, or leading off the grid."""
        assume((row, column) != (0, 0))
        facts = {("size", 4), ("player", 0, 0), ("goal", row, column)} | {("open", *opening) for opening in openings}
        state = MAZE.from_facts(facts)
        assert MAZE.facts(state) == facts
        found = grid.shortest(*MAZE.graph(state))
        assert (found and (len(found[0]), found[1])) == brute_force(MAZE, state)

    @every_task
    @given(data=st.data())
    def test_bounds_on_the_shortest_length(self, task, data):
        state = data.draw(states(task))
        shortest = len(task.solve(state))
        straight = task.straight(state)
        assert task.obstacle_free_length(state) <= shortest
        assert set(straight) <= set(task.actions)
        if rollout(task, state, straight).outcome == "solved":
            assert shortest <= len(straight)

    @pytest.mark.parametrize("level", [3, 8, 32])
    @given(data=st.data())
    @settings(max_examples=10)
    def test_straight_plan_is_vertical_first_and_shortest_on_an_empty_lake(self, level, data):
        state = data.draw(states(FROZENLAKE, st.just(level)))
        empty = FROZENLAKE.from_facts(fact for fact in FROZENLAKE.facts(state) if fact[0] != "hole")
        plan = FROZENLAKE.straight(state)
        assert rollout(FROZENLAKE, empty, plan) == ("solved", FROZENLAKE.obstacle_free_length(state), None)
        turns = [action in ("left", "right") for action in plan]
        assert turns == sorted(turns)

    def test_straight_plan_of_minibehaviour_goes_by_the_nearest_cells(self):
        state = office(5, (4, 4), (2, 0), {(0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)})
        plan = ("up", "up", "left", "left", "left", "pick", "up", "drop")
        assert MINIBEHAVIOUR.straight(state) == plan
        assert MINIBEHAVIOUR.obstacle_free_length(state) == 8
        assert rollout(MINIBEHAVIOUR, state, plan) == ("solved", 8, None)
        walled = office(5, (4, 4), (2, 0), {(2, 2), (2, 3), (2, 4), (3, 2), (3, 3), (3, 4)})
        assert rollout(MINIBEHAVIOUR, walled, MINIBEHAVIOUR.straight(walled)) == ("illegal", 0, Illegal.TABLE)


class TestForms:
    @every_task
    @given(data=st.data())
    def test_facts_rebuild_the_state(self, task, data):
        state = data.draw(states(task))
        facts = task.facts(state)
        rebuilt = task.from_facts(data.draw(st.permutations(sorted(facts, key=str))) if len(facts) < 60 else facts)
        assert rebuilt == state
        assert hash(rebuilt) == hash(state)

    @every_task
    @given(data=st.data())
    def test_text_says_the_facts_and_no_more(self, task, data):
        state = data.draw(states(task))
        assert task.parse(task.describe(state)) == task.facts(state)

    @every_task
    @given(data=st.data())
    def test_json_round_trip(self, task, data):
        state = data.draw(states(task))
        text = json.dumps(task.to_json(state))
        back = task.from_json(json.loads(text))
        assert back == state
        assert json.dumps(task.to_json(back)) == text

    @every_task
    @given(data=st.data())
    def test_equal_keys_mean_equal_states(self, task, data):
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

    def test_written_forms_are_fixed_for_good(self):
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


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 40) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


class TestUntrusted:
    @every_task
    @given(data=st.data())
    @settings(max_examples=150)
    def test_from_json_takes_a_state_or_raises_value_error(self, task, data):
        value = task.to_json(data.draw(states(task, st.just(task.min_level))))
        for _ in range(data.draw(st.integers(1, 2))):
            inside = list(places(value))
            if inside and data.draw(st.integers(0, 9)):
                parent, key = data.draw(st.sampled_from(inside))
                parent[key] = data.draw(junk)
            else:
                value = data.draw(junk)
        try:
            state = task.from_json(value)
        except ValueError:
            return
        assert task.from_json(task.to_json(state)) == state
        assert json.loads(json.dumps(task.to_json(state))) == task.to_json(state)

    @pytest.mark.parametrize(
        ("task", "data"),
        [
            (FROZENLAKE, {"size": 3, "player": [0, 0], "goal": [0, 0], "holes": []}),
            (FROZENLAKE, {"size": 3, "player": [0, 0], "goal": [0, 1], "holes": [[0, 1]]}),
            (FROZENLAKE, {"size": 3, "player": [0, 0], "goal": [0, 3], "holes": []}),
            (FROZENLAKE, {"size": 3, "player": [True, False], "goal": [0, 1], "holes": []}),
            (FROZENLAKE, {"size": 33, "player": [0, 0], "goal": [0, 1], "holes": []}),
            (FROZENLAKE, {"size": 3, "player": [0, 0], "goal": [0, 1]}),
            (MAZE, {"size": 2, "player": [0, 0], "goal": [0, 1], "open": [["R", ""], ["", ""]]}),
            (MAZE, {"size": 2, "player": [0, 0], "goal": [0, 1], "open": [["LR", "L"], ["", ""]]}),
            (MAZE, {"size": 2, "player": [0, 0], "goal": [0, 1], "open": [["R", "L"]]}),
            (MAZE, {"size": 2, "player": [0, 0], "goal": [0, 1], "open": [[1, 2], [3, 4]]}),
            (MAZE, {"size": 2, "player": [0, 0], "goal": [0, 1], "open": [["X", ""], ["", ""]]}),
            (MINIBEHAVIOUR, {"size": 4, "agent": [0, 0], "printer": [0, 1], "table": []}),
            (MINIBEHAVIOUR, {"size": 4, "agent": [0, 0], "printer": [0, 1], "table": [[0, 1]]}),
            (MINIBEHAVIOUR, {"size": 4, "agent": [0, 0], "printer": [0, 0], "table": [[0, 1]]}),
            (MINIBEHAVIOUR, None),
            (MAZE, [1, "a"]),
        ],
    )
    def test_from_json_refuses(self, task, data):
        with pytest.raises(ValueError):
            task.from_json(data)

    @every_task
    @pytest.mark.parametrize(
        "change",
        [
            lambda facts: [fact for fact in facts if fact[0] != "size"],
            lambda facts: [*facts, ("size", 7)],
            lambda facts: [("size", 10**6) if fact[0] == "size" else fact for fact in facts],
            lambda facts: [fact for fact in facts if fact[0] not in ("player", "agent")],
            lambda facts: [*facts, ("player", 0, 0), ("player", 0, 1), ("agent", 0, 0), ("agent", 0, 1)],
            lambda facts: [*facts, ("hole", 9, 9), ("table", 9, 9), ("open", 9, 9, "left")],
            lambda facts: [*facts, ("hole", "a", 1), ("table", 1), ("open", 1, 1)],
            lambda facts: [*facts, ("hole", 1), ("table", 1, 2, 3), ("open", 1, 1, "north")],
        ],
    )
    def test_from_facts_refuses_what_is_no_world(self, task, change):
        state = next(state for state in iter(lambda: task.sample(5, np.random.default_rng(0)), 0) if state)
        with pytest.raises(ValueError):
            task.from_facts(change(sorted(task.facts(state), key=str)))

    @every_task
    @given(text=st.text(max_size=300))
    def test_parse_of_any_text_gives_facts(self, task, text):
        assert_facts(task, task.parse(text))

    @every_task
    @given(data=st.data())
    @settings(max_examples=100)
    def test_parse_of_broken_descriptions_gives_facts(self, task, data):
        words = [
            *("size", "player", "goal", "holes", "agent", "printer", "table", "open", "none", "LDRU", "left", "up"),
            *(
                ":",
                "=",
                ";",
                "\n",
                " ",
                "**",
                "- ",
                "1. ",
                "(1,2)",
                "[0, 3]",
                "(",
                ")",
                "[",
                ",",
                "7",
                "99999",
                "é",
                "٣",
                "²",
            ),
        ]
        chunk = st.lists(st.sampled_from(words), max_size=12).map("".join)
        text = task.describe(data.draw(states(task, st.integers(task.min_level, 5))))
        for _ in range(data.draw(st.integers(1, 4))):
            start = data.draw(st.integers(0, len(text)))
            end = start + data.draw(st.integers(0, 12))
            text = text[:start] + data.draw(chunk) + text[end:]
        assert_facts(task, task.parse(text))

    @every_task
    @pytest.mark.timeout(20)
    @pytest.mark.parametrize(
        "piece",
        [
            *(
                ";",
                " ",
                "\n",
                "\t",
                "(",
                "[",
                "*",
                "-",
                ":",
                "=",
                "1",
                "9.",
                "(1,",
                "(1,2",
                "(1,2)",
                "size",
                "size:",
                "Size ",
                ";size",
            ),
            *(
                ";size ",
                "; ",
                "\n ",
                "\n-",
                "\n*\t",
                "\n(1,1)",
                "holes:\n",
                "holes: (1,1)\n",
                "table: (0,0);",
                "open: (0,0) L\n",
            ),
            *("(0,0) LDRU,", "1. ", ";1.", "1)(", "left", "\u0130", "[ 1 , 1 ]"),
        ],
    )
    def test_parse_reads_the_last_statement_after_any_amount_of_noise(self, task, piece):
        """Quadratic time would take minutes here."""
        state = next(iter(task.states(task.min_level)))
        noise = piece * (100_000 // len(piece))
        assert task.parse(noise + "\n\n" + task.describe(state)) == task.facts(state)
        assert_facts(task, task.parse("open:" + noise))
        assert_facts(task, task.parse(noise + "x"))


class TestSpaces:
    @every_task
    def test_listed_states_are_counted_distinct_and_solvable(self, task):
        for (name, level), count in SIZES_OF_SPACES.items():
            if name == task.name:
                listed = list(task.states(level))
                assert len(listed) == count
                assert len(set(listed)) == len({task.key(state) for state in listed}) == count
                assert all(state.size == level for state in listed)

    @every_task
    def test_levels_too_large_to_list_say_so(self, task):
        largest = max(level for name, level in SIZES_OF_SPACES if name == task.name)
        assert task.states(largest + 1) is None

    @every_task
    def test_sample_gives_listed_states_only_and_each_of_them(self, task):
        rng = np.random.default_rng(1)
        listed = set(task.states(task.min_level))
        drawn = {task.sample(task.min_level, rng) for _ in range(6000)} - {None}
        assert drawn == listed
        listed = {task.key(state) for state in task.states(task.min_level + 1)}
        drawn = [task.sample(task.min_level + 1, rng) for _ in range(1000)]
        assert all(task.key(state) in listed for state in drawn if state is not None)

    @pytest.mark.parametrize("level", [5, 6])
    def test_lengths_of_minibehaviour(self, level):
        lengths = Counter(len(MINIBEHAVIOUR.solve(state)) for state in MINIBEHAVIOUR.states(level))
        assert lengths == LENGTHS_OF_MINIBEHAVIOUR[level]

    @every_task
    @pytest.mark.parametrize("level", [2, 3, 4, 5, 8, 32])
    def test_bands_are_disjoint_and_cover_every_length(self, task, level):
        if level < task.min_level:
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
    def test_sample_honours_length(self, task, data):
        level = data.draw(st.integers(task.min_level, 8))
        length = data.draw(st.sampled_from([band for band in task.bands(level) if band]))
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        drawn = [task.sample(level, rng, length=length) for _ in range(20)]
        assert all(len(task.solve(state)) in length for state in drawn if state)

    def test_sample_honours_density(self):
        rng = np.random.default_rng(0)
        for density in (0.0, 0.2, 0.5):
            drawn = [FROZENLAKE.sample(10, rng, density=density) for _ in range(100)]
            share = np.mean([len(state.holes) / 100 for state in drawn if state])
            assert share == pytest.approx(density, abs=0.02)
        assert FROZENLAKE.sample(4, rng, density=1.0) is None

    @every_task
    def test_sample_depends_on_the_generator_alone(self, task):
        first, second, other = (
            [task.sample(6, rng) for _ in range(20)] for rng in map(np.random.default_rng, (3, 3, 4))
        )
        assert first == second != other

    @every_task
    def test_no_level_below_or_above(self, task):
        for level in (task.min_level - 1, grid.MAX_LEVEL + 1):
            with pytest.raises(ValueError, match=str(level)):
                task.sample(level, np.random.default_rng(0))


def office(size, agent, printer, table):
    data = {"size": size, "agent": list(agent), "printer": list(printer), "table": [list(cell) for cell in table]}
    return MINIBEHAVIOUR.from_json(data)


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
ILLEGAL = [
    (LAKE, "U", Illegal.OFF_GRID),
    (LAKE, "L", Illegal.OFF_GRID),
    (LAKE, "RRR", Illegal.HOLE),
    (LAKE, "D", Illegal.HOLE),
    (LAKE, ["jump"], Illegal.UNKNOWN_ACTION),
    (LAKE, ["pick"], Illegal.UNKNOWN_ACTION),
    (MAZE_STATE, "D", Illegal.WALL),
    (MAZE_STATE, "RU", Illegal.OFF_GRID),
    (MAZE_STATE, [""], Illegal.UNKNOWN_ACTION),
    (OFFICE, "R", Illegal.OFF_GRID),
    (OFFICE, "LL", Illegal.PRINTER),
    (OFFICE, "DDL", Illegal.TABLE),
    (OFFICE, "P", Illegal.PICK_FAR),
    (OFFICE, "DLP", Illegal.PICK_FAR),
    (OFFICE, "LPP", Illegal.PICK_TWICE),
    (OFFICE, "X", Illegal.DROP_EMPTY),
    (OFFICE, "LPX", Illegal.DROP_FAR),
    (OFFICE, ["LEFT"], Illegal.UNKNOWN_ACTION),
]


def plan_of(letters):
    names = {**grid.LETTERS, "P": "pick", "X": "drop"}
    return [names[letter] for letter in letters] if isinstance(letters, str) else letters


def task_of(state):
    return {"LakeState": FROZENLAKE, "MazeState": MAZE, "OfficeState": MINIBEHAVIOUR}[type(state).__name__]


class TestRules:
    @pytest.mark.parametrize(("state", "letters", "rule"), ILLEGAL)
    def test_illegal(self, state, letters, rule):
        plan = plan_of(letters)
        result = rollout(task_of(state), state, plan)
        assert (result.outcome, result.illegal) == ("illegal", rule)
        assert result.steps < len(plan)
        assert rollout(task_of(state), state, plan[: result.steps]).outcome == "wrong"

    def test_every_rule_has_an_example(self):
        assert {rule for _, _, rule in ILLEGAL} == set(Illegal)

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
    def test_success_ends_the_episode(self, state, letters, steps):
        task, plan = task_of(state), plan_of(letters)
        assert rollout(task, state, plan) == ("solved", steps, None)
        assert rollout(task, state, [*plan, "left", "jump"]) == ("solved", steps, None)
        assert rollout(task, state, plan[:-1]) == ("wrong", steps - 1, None)

    @every_task
    def test_an_empty_plan_is_wrong(self, task):
        assert rollout(task, next(iter(task.states(task.min_level))), ()) == ("wrong", 0, None)

    def test_unknown_action_is_reported_where_it_stands(self):
        plan = ["right", "stay", "down"]
        assert rollout(FROZENLAKE, LAKE, plan) == ("illegal", 1, Illegal.UNKNOWN_ACTION)


class TestMiddleOfARollout:
    @every_task
    @given(data=st.data())
    def test_state_at_the_cursor(self, task, data):
        state = data.draw(states(task, st.integers(task.min_level, 8)))
        cursor = task.start(state)
        assert task.state_at(state, cursor) == state
        for action in task.solve(state):
            cursor = task.step(state, cursor, action)
            now = task.state_at(state, cursor)
            assert task.start(now)[:2] == cursor[:2]
            assert task.parse(task.describe(now)) == task.facts(now)
            assert len(task.facts(now) - task.facts(state)) <= 2

    def test_the_printer_goes_along_and_ends_on_the_table(self):
        def printer(letters):
            cursor = MINIBEHAVIOUR.start(OFFICE)
            for action in plan_of(letters):
                cursor = MINIBEHAVIOUR.step(OFFICE, cursor, action)
            return MINIBEHAVIOUR.state_at(OFFICE, cursor).printer

        assert [printer("LPDX"[:k]) for k in range(5)] == [(0, 1), (0, 1), (0, 2), (1, 2), (2, 2)]


@given(st.integers(1, 6), st.data())
def test_neighbours(size, data):
    board = [(row, column) for row in range(size) for column in range(size)]
    cells = data.draw(st.sets(st.sampled_from(board)))
    around = [cell for cell in board if cell not in cells and any(grid.manhattan(cell, c) == 1 for c in cells)]
    assert grid.cells_of(size, grid.neighbours(size, grid.bit_set(size, cells))) == around


def test_registry():
    assert {"frozenlake", "maze", "minibehaviour"} <= set(task_names())
    assert get_task("maze").name == "maze"
    assert get_task("maze") is get_task("maze")
    with pytest.raises(KeyError):
        get_task("sokoban")


def assert_facts(task, facts):
    arity = {"size": 2, "open": 4}
    names = {fact[0] for fact in task.facts(next(iter(task.states(task.min_level))))} | {"hole"}
    for fact in facts:
        assert fact[0] in names
        assert len(fact) == arity.get(fact[0], 3)
        assert all(isinstance(value, int) and value >= 0 for value in fact[1:3])


def places(value):
    """Every (container, key) inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places(inner)
