"""Sokoban: tables and search against brute force, exact dead ends, what is drawn, and what a model believes in."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from itertools import combinations
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_envs import Illegal, Mix, dead_end, generate, rollout, sokoban_search, sokoban_tables
from mgsd_envs.errors import SearchError
from mgsd_envs.faults import misread
from mgsd_envs.grid import LETTERS, MOVES, bit_set
from mgsd_envs.sokoban import SokobanState
from mgsd_envs.sokoban_search import Room, solvable
from mgsd_envs.types import Cell, Cursor
from support.tasks import SOKOBAN, sampled, states

SMALL = (
    ("#####", "#@ .#", "# $ #", "#   #", "#####"),
    ("######", "#    #", "# $$.#", "# @ .#", "######", "######"),
    ("######", "#.   #", "# $ ##", "#@$ .#", "#  # #", "######"),
    ("######", "#.  @#", "# $$ #", "# $ .#", "#   .#", "######"),
)


def room(*rows: str) -> Any:
    """A state from text: ``#`` wall, ``@`` player, ``$`` box, ``.`` goal, ``*`` box on a goal, ``+`` player on one."""
    n = len(rows)
    kinds: dict[str, set[Cell]] = {mark: set() for mark in "#@$.*+ "}
    for r, row in enumerate(rows):
        for c, mark in enumerate(row):
            kinds[mark].add((r, c))
    (player,) = kinds["@"] | kinds["+"]
    inner = frozenset((r, c) for r, c in kinds["#"] if 0 < r < n - 1 and 0 < c < n - 1)
    goals, boxes = kinds["."] | kinds["*"] | kinds["+"], kinds["$"] | kinds["*"]
    return SokobanState(n, player, frozenset(goals), frozenset(boxes), inner)


def situations(state: Any) -> list[Cursor]:
    """Every place of the boxes, and of the player beside them, in the state's room."""
    n = state.size
    floor = [(r, c) for r in range(1, n - 1) for c in range(1, n - 1) if (r, c) not in state.walls]
    return [
        (*player, bit_set(n, boxes))
        for boxes in combinations(floor, len(state.boxes))
        for player in floor
        if player not in boxes
    ]


def true_distances(state: Any) -> tuple[dict[Cursor, int], dict[Cursor, int]]:
    """Moves to go and number of shortest plans by situation, by search backwards over moves that ``step`` allows."""
    back: dict[Cursor, list[Cursor]] = {}
    everything = situations(state)
    for cursor in everything:
        if not SOKOBAN.solved(state, cursor):
            for action in SOKOBAN.actions:
                if not isinstance(after := SOKOBAN.step(state, cursor, action), Illegal):
                    back.setdefault(after, []).append(cursor)
    distance = {cursor: 0 for cursor in everything if SOKOBAN.solved(state, cursor)}
    ways = dict.fromkeys(distance, 1)
    queue = deque(distance)
    while queue:
        cursor = queue.popleft()
        for before in back.get(cursor, ()):
            if before not in distance:
                distance[before] = distance[cursor] + 1
                ways[before] = 0
                queue.append(before)
            if distance[before] == distance[cursor] + 1:
                ways[before] += ways[cursor]
    return distance, ways


@pytest.mark.parametrize("rows", SMALL, ids=lambda rows: f"{len(rows)}x{len(rows)}")
class TestAgainstBruteForce:
    def test_tables_search_and_dead_ends_are_exact_everywhere(self, rows: tuple[str, ...]) -> None:
        state = room(*rows)
        n, count = state.size, len(state.boxes)
        distance, ways = true_distances(state)
        the_room = Room(n, bit_set(n, {(r, c) for r, c in _floor(state)}), bit_set(n, state.goals))
        table = sokoban_tables.make_table(the_room, count)
        assert table is not None
        assert sum(v != sokoban_tables.DEAD for v in table.distance.ravel()) == len(distance)
        assert Counter(distance.values()) == {
            d: end - start for d, (start, end) in enumerate(zip(table.starts, table.starts[1:], strict=False))
        }
        for cursor in situations(state):
            player, boxes = 1 << (cursor[0] * n + cursor[1]), cursor[2]
            found = table.plans(player, boxes)
            assert (found and len(found.layers)) == distance.get(cursor)
            assert solvable(the_room, player, boxes) == (cursor in distance)
            assert SOKOBAN.hopeless(state, cursor) == (cursor not in distance)
            if (bound := the_room.bound(boxes)) is None:
                assert cursor not in distance
            else:
                assert bound <= distance.get(cursor, 1000)
        for cursor in Random(1).choices(situations(state), k=150):
            player, boxes = 1 << (cursor[0] * n + cursor[1]), cursor[2]
            searched = sokoban_search.shortest_plans(the_room, player, boxes)
            assert searched == table.plans(player, boxes)
            if searched is not None:
                assert (len(searched.layers), searched.number) == (distance[cursor], ways[cursor])

    def test_the_first_error_that_nothing_makes_good(self, rows: tuple[str, ...]) -> None:
        state = room(*rows)
        distance, _ = true_distances(state)
        rng = Random(2)
        found = Counter[bool]()
        for _ in range(200):
            plan = rng.choices(SOKOBAN.actions, k=16)
            cursors = [SOKOBAN.start(state)]
            for action in plan:
                after = SOKOBAN.step(state, cursors[-1], action)
                if isinstance(after, Illegal) or SOKOBAN.solved(state, cursors[-1]):
                    break
                cursors.append(after)
            lost = [i for i, cursor in enumerate(cursors) if cursor not in distance]
            expected = lost[0] if lost else None
            assert dead_end(SOKOBAN, state, plan) == expected
            found[expected is None] += 1
        assert len(found) == 2


def _floor(state: Any) -> list[Cell]:
    n = state.size
    return [(r, c) for r in range(1, n - 1) for c in range(1, n - 1) if (r, c) not in state.walls]


class TestRules:
    #   # # # # # #
    #   # @ $ .   #
    ROOM = room("######", "#@$. #", "#    #", "# $. #", "#    #", "######")

    def cursor(self, letters: str) -> Any:
        cursor = SOKOBAN.start(self.ROOM)
        for letter in letters:
            cursor = SOKOBAN.step(self.ROOM, cursor, LETTERS[letter])
        return cursor

    def test_a_box_is_pushed_and_never_pulled(self) -> None:
        now = SOKOBAN.state_at(self.ROOM, self.cursor("R"))
        assert (now.player, now.boxes) == ((1, 2), frozenset({(1, 3), (3, 2)}))
        back = SOKOBAN.state_at(self.ROOM, self.cursor("RL"))
        assert (back.player, back.boxes) == ((1, 1), frozenset({(1, 3), (3, 2)}))

    def test_a_box_on_a_goal_is_both_facts_and_may_leave_it(self) -> None:
        now = SOKOBAN.state_at(self.ROOM, self.cursor("R"))
        assert {("box", 1, 3), ("goal", 1, 3)} <= SOKOBAN.facts(now)
        assert not SOKOBAN.solved(self.ROOM, self.cursor("RR"))

    def test_solved_when_every_box_is_on_a_goal_whichever(self) -> None:
        plan = [LETTERS[letter] for letter in "RDLDRR"]
        assert rollout(SOKOBAN, self.ROOM, plan) == ("solved", 5, None)
        assert len(SOKOBAN.solve(self.ROOM) or ()) == 5

    def test_a_box_in_a_corner_is_a_dead_end_from_that_push_on(self) -> None:
        plan = [LETTERS[letter] for letter in "RRDL"]
        assert dead_end(SOKOBAN, self.ROOM, plan) == 2
        assert dead_end(SOKOBAN, self.ROOM, plan[:1]) is None
        assert rollout(SOKOBAN, self.ROOM, plan).outcome == "wrong"

    def test_the_straight_plan_pushes_each_box_to_a_goal(self) -> None:
        assert rollout(SOKOBAN, self.ROOM, SOKOBAN.straight(self.ROOM)).outcome == "solved"
        walled = room("######", "#@$. #", "##   #", "# $. #", "#    #", "######")
        assert SOKOBAN.straight(walled) == SOKOBAN.straight(self.ROOM)

    @pytest.mark.parametrize(
        "change",
        [
            {("player", 1, 2)},
            {("player", 0, 0)},
            {("player", 1, 1), ("box", 4, 4)},
            {("player", 1, 1), ("wall", 3, 2)},
            {("player", 1, 1), ("goal", 2, 5)},
        ],
    )
    def test_no_start(self, change: set[Any]) -> None:
        facts = {fact for fact in SOKOBAN.facts(self.ROOM) if fact[0] != "player"} | change
        data: dict[str, list[Any]] = {}
        for name, *arguments in facts:
            data.setdefault(str(name), []).append(arguments)
        with pytest.raises(ValueError, match=r"floor|as many goals"):
            SOKOBAN.from_json(data)

    def test_walls_of_the_rim_may_be_stated_and_say_nothing(self) -> None:
        text = SOKOBAN.describe(self.ROOM)
        told = text.replace("walls: none", "walls: (0,0), (0,1), (5,5), (3,0)")
        assert told != text
        assert SOKOBAN.parse(told) == SOKOBAN.facts(self.ROOM)


class TestDrawn:
    @pytest.mark.parametrize("level", SOKOBAN.levels)
    def test_many_rooms_all_numbers_of_boxes_and_few_that_the_blind_solve(self, level: int) -> None:
        episodes = list(generate(SOKOBAN, level, 60, split="test", stream="rooms"))
        assert len({(e.state.walls, e.state.goals) for e in episodes}) > 40
        assert {len(e.state.boxes) for e in episodes} == {1, 2, 3}
        assert sum(e.straight for e in episodes) <= 0.3 * 60
        assert all(e.shortest in SOKOBAN.bands(level)[i % 3] for i, e in enumerate(episodes))
        assert all(dead_end(SOKOBAN, e.state, e.plan) is None for e in episodes)

    def test_looked_up_or_searched_it_is_the_same_plan(self, monkeypatch: pytest.MonkeyPatch) -> None:
        episodes = list(generate(SOKOBAN, 7, 30, split="val", stream="same"))
        monkeypatch.setattr(sokoban_tables, "at_hand", lambda *arguments: None)
        assert [SOKOBAN.shortest(e.state) for e in episodes] == [(e.plan, e.plans) for e in episodes]

    def test_a_table_that_was_dropped_is_made_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sokoban_tables, "MOST_BYTES", 0)
        monkeypatch.setattr(sokoban_tables, "_kept", OrderedDict())
        first = sokoban_tables.pooled(6, 0)
        sokoban_tables.pooled(6, 1)
        again = sokoban_tables.pooled(6, 0)
        assert again is not first
        assert (again.room.floor, again.room.goals) == (first.room.floor, first.room.goals)
        assert np.array_equal(again.distance, first.distance)

    def test_rooms_and_keys_are_fixed_for_good(self) -> None:
        """Suites and run folders hold them; a change breaks what people have stored."""
        (episode,) = generate(SOKOBAN, 6, 1, split="train", stream="golden", mix=Mix(length=range(10, 12)))
        assert SOKOBAN.key(episode.state) == GOLDEN_KEY


GOLDEN_KEY = "sokoban:6:25:8010080:500080:0"


class TestBelievedWorlds:
    @given(state=states(SOKOBAN, st.sampled_from([6, 7])), seed=st.integers(0, 2**32), rate=st.sampled_from([0.1, 0.5]))
    def test_shortest_against_brute_force(self, state: Any, seed: int, rate: float) -> None:
        believed = misread(SOKOBAN, state, Random(seed), rate)
        found = SOKOBAN.shortest(believed)
        assert (found and (len(found[0]), found[1])) == brute_force(believed)
        assert SOKOBAN.hopeless(believed, SOKOBAN.start(believed)) == (found is None)

    def test_no_world_without_a_box_or_a_goal(self) -> None:
        facts = SOKOBAN.facts(sampled(SOKOBAN, 6))
        for name in ("box", "goal"):
            with pytest.raises(ValueError, match="a box and a goal are needed"):
                SOKOBAN.from_facts(fact for fact in facts if fact[0] != name)

    def test_more_goals_than_boxes_and_more_boxes_than_goals(self) -> None:
        facts = SOKOBAN.facts(TestRules.ROOM)
        spare = SOKOBAN.from_facts(facts | {("goal", 4, 4)})
        assert SOKOBAN.solve(spare) == SOKOBAN.solve(TestRules.ROOM)
        assert SOKOBAN.solve(SOKOBAN.from_facts(facts | {("box", 2, 4)})) is None

    def test_too_large_is_refused_in_bounded_time(self) -> None:
        rng = Random(0)
        cells = rng.sample([(r, c) for r in range(2, 30) for c in range(2, 30)], 25)
        facts = {("size", 32), ("player", 1, 1)}
        facts |= {("box", *cell) for cell in cells[:12]} | {("goal", *cell) for cell in cells[12:24]}
        with pytest.raises(SearchError, match="too large to be searched"):
            sokoban_search.shortest_plans(*SOKOBAN._situation(SOKOBAN.from_facts(facts)), most=2000)


def brute_force(state: Any) -> tuple[int, int] | None:
    """Length and number of the shortest plans, by layers of cursors."""
    if SOKOBAN.solved(state, SOKOBAN.start(state)):
        return 0, 1
    ways = {SOKOBAN.start(state): 1}
    seen = set(ways)
    length = 0
    while ways:
        length += 1
        onward: Counter[Cursor] = Counter()
        for cursor, count in ways.items():
            for action in MOVES:
                after = SOKOBAN.step(state, cursor, action)
                if not isinstance(after, Illegal) and after not in seen:
                    onward[after] += count
        if ends := [count for cursor, count in onward.items() if SOKOBAN.solved(state, cursor)]:
            return length, sum(ends)
        seen |= onward.keys()
        ways = dict(onward)
    return None
