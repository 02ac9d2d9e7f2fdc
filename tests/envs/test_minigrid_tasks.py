"""MiniGrid's families: our rules against MiniGrid's own, plans, texts, pictures, and how the tasks load."""

from __future__ import annotations

import subprocess
import sys
from random import Random
from typing import Any

import numpy as np
import pytest

from mgsd_envs import TaskError, generate, get_task, rollout, trace
from mgsd_envs.errors import SearchError
from mgsd_envs.faults import misread
from mgsd_envs.minigrid_task import MiniGridTask
from mgsd_envs.minigrid_world import FACINGS, OBJECTS, THINGS, RoomState, read_mission
from mgsd_envs.task import Task
from support.tasks import MINIGRID

pytest.importorskip("minigrid")

from minigrid.core.grid import Grid

from mgsd_envs.minigrid_rooms import ground
from support.minigrid import rooms, walk

every_family = pytest.mark.parametrize("name", MINIGRID)


def some(name: str, count: int, level: int | None = None) -> list[RoomState]:
    task, rng = get_task(name), np.random.default_rng(7)
    states = filter(None, (task.sample(level or task.levels[0], rng) for _ in range(100 * count)))
    return [next(states) for _ in range(count)]


def room(text: str, name: str = "minigrid-doorkey") -> Any:
    task = get_task(name)
    return task.from_facts(task.parse(text))


CORNER = """size: 6
height: 6
agent: (3,1)
facing: up
carrying: none
goal: (4,4)
walls: (1,3), (3,3), (4,3)
lava: none
objects: (2,1) yellow key, (2,3) yellow door locked
mission: use the key to open the door and then get to the goal"""


class TestRules:
    @every_family
    def test_random_walks_are_those_of_minigrid(self, name: str) -> None:
        task = get_task(name)
        seen = walk(task, 400)
        assert {*seen} <= {*task.rules, "ok", "solved"}
        assert seen["ok"] > 100
        assert seen["solved"]

    @pytest.mark.parametrize(
        ("plan", "rule"),
        [
            ("L F", "wall"),
            ("F", "object"),
            ("P F R F F", "closed_door"),
            ("R P", "nothing_to_pick_up"),
            ("D", "nothing_to_drop"),
            ("P L D", "no_room"),
            ("T", "nothing_to_toggle"),
            ("P R D R R R F R F T", "locked"),
        ],
    )
    def test_what_would_do_nothing_is_illegal(self, plan: str, rule: str) -> None:
        actions = {"L": "turn_left", "R": "turn_right", "F": "forward", "P": "pickup", "D": "drop", "T": "toggle"}
        result = rollout(get_task("minigrid-doorkey"), room(CORNER), [actions[letter] for letter in plan.split()])
        assert (result.outcome, result.illegal, result.steps) == ("illegal", rule, len(plan.split()) - 1)

    def test_hands_hold_one_thing(self) -> None:
        state = room(CORNER.replace("yellow key,", "yellow key, (2,2) red ball,"))
        plan = ("pickup", "forward", "turn_right", "pickup")
        assert rollout(get_task("minigrid-doorkey"), state, plan).illegal == "hands_full"

    @every_family
    def test_every_mission_is_understood(self, name: str) -> None:
        missions = get_task(name).missions
        assert all(read_mission(mission) for mission in missions)
        assert {state.mission for state in some(name, 3)} <= {*missions}
        with pytest.raises(ValueError, match="no mission that is known"):
            read_mission("dance")


class TestPlans:
    @pytest.mark.parametrize(
        "name", ["minigrid-doorkey", "minigrid-unlock", "minigrid-putnear", "minigrid-redbluedoors"]
    )
    def test_plans_are_those_of_a_search_without_bounds(self, name: str) -> None:
        task, chance, compared = get_task(name), Random(3), 0
        for state in some(name, 12, task.min_level):
            for rate in (0.0, 0.2):
                world = misread(task, state, chance, rate)
                mine, plain = task.shortest_plans(world), Task.shortest_plans(task, world)
                assert (mine and (len(mine.layers), mine.number)) == (plain and (len(plain.layers), plain.number))
                compared += plain is not None
        assert compared > 12

    def test_the_other_thing_may_be_moved_first(self) -> None:
        task = get_task("minigrid-putnext")
        facts = {
            *(("size", 9), ("height", 9), ("agent", 1, 1), ("facing", "right")),
            *(("object", 1, 2, "blue ball"), ("object", 1, 7, "red key")),
            ("mission", "put the red key next to the blue ball"),
        }
        state = task.from_facts(facts)
        plan = task.solve(state)
        assert plan is not None
        assert plan[0] == "pickup"  # the ball, and with it to the key: to fetch the key takes 17 actions
        assert rollout(task, state, plan) == ("solved", 12, None)
        assert task.to_go(state, task.start(state)) == 12

    @every_family
    def test_episodes_are_solved_by_their_plan_and_by_none_shorter_than_the_straight_one(self, name: str) -> None:
        task = get_task(name)
        for state in some(name, 5):
            plan = task.solve(state)
            assert plan
            assert rollout(task, state, plan) == ("solved", len(plan), None)
            assert rollout(task, state, plan[:-1]).outcome == "wrong"
            assert task.obstacle_free_length(state) <= len(plan)

    def test_a_room_that_is_too_large_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mgsd_envs.minigrid_search.MOST_NODES", 10)
        state = room(CORNER.replace("(2,1) yellow key", "(2,1) red ball, (1,1) yellow key, (1,2) grey ball"))
        with pytest.raises(SearchError, match="too large to be searched"):
            get_task("minigrid-doorkey").solve(state)

    @every_family
    def test_every_size_has_rooms_and_the_draw_is_a_function_of_its_randomness(self, name: str) -> None:
        task = get_task(name)
        for level in (task.min_level, task.min_level + 1):
            first, again = (
                next(filter(None, (task.sample(level, rng) for _ in range(500))))
                for rng in map(np.random.default_rng, (1, 1))
            )
            assert first == again
            assert task.level_of(first) == level

    def test_bands_are_disjoint_and_full(self) -> None:
        for name in MINIGRID:
            task = get_task(name)
            for level in range(task.min_level, task.max_level + 1):
                easy, medium, hard = task.bands(level)
                assert easy.start == 1 < easy.stop == medium.start <= medium.stop == hard.start < hard.stop


class TestForms:
    @every_family
    def test_facts_text_and_json_there_and_back(self, name: str) -> None:
        task = get_task(name)
        for state in some(name, 3):
            for cursor in trace(task, state, task.solve(state))[0]:
                now = task.state_at(state, cursor)
                assert task.from_facts(task.facts(now)) == now
                assert task.parse(task.describe(now)) == task.facts(now)
            assert task.from_json(task.to_json(state)) == state
            assert task.given == {"mission"}
            answers = "\n".join(answer for _, answer in task.questions(state))
            assert task.parse(answers) == task.seen(task.facts(state))
            assert task.with_given(state, task.parse(answers)) == task.facts(state)

    def test_text(self) -> None:
        task = get_task("minigrid-doorkey")
        assert task.describe(room(CORNER)) == CORNER

    @pytest.mark.parametrize(
        ("old", "new", "error"),
        [
            ("height: 6", "height: 2", "no height of 2"),
            ("facing: up", "facing: none", "an agent looks"),
            ("mission: use", "mission: lose", "no mission"),
            ("height: 6\n", "", "one height is needed"),
        ],
    )
    def test_facts_that_are_no_room(self, old: str, new: str, error: str) -> None:
        with pytest.raises(ValueError, match=error):
            room(CORNER.replace(old, new))

    @pytest.mark.parametrize(
        "change",
        [
            ("(2,1) yellow key", "(3,1) yellow key"),
            ("(2,1) yellow key", "(3,3) yellow key"),
            ("agent: (3,1)", "agent: (4,4)"),
            ("height: 6", "height: 4"),
        ],
    )
    def test_no_episode_starts_there(self, change: tuple[str, str]) -> None:
        task = get_task("minigrid-doorkey")
        with pytest.raises(ValueError):
            task.from_json(task.to_json(room(CORNER.replace(*change))))

    @every_family
    def test_misread_worlds_are_worlds_and_can_be_told(self, name: str) -> None:
        task = get_task(name)
        for seed, state in enumerate(some(name, 3)):
            world = misread(task, state, Random(seed), 1.0)
            assert task.facts(world) & task.facts(state) <= {("size", state.size), ("mission", state.mission)}
            assert task.parse(task.describe(world)) == task.facts(world)


class TestPictures:
    def test_tiles_are_those_of_minigrid(self) -> None:
        for name in ("minigrid-doorkey", "minigrid-putnext", "minigrid-lavagap"):
            task = get_task(name)
            for env, state in rooms(task, np.random.default_rng(1)):
                if state.size != 8 and name != "minigrid-lavagap":
                    continue
                pixels = 16
                ours = task.draw(state, "classic", pixels * state.size).rgb()
                theirs = env.grid.render(pixels, env.agent_pos, env.agent_dir)
                assert np.array_equal(ours[: theirs.shape[0]], theirs)
                break

    def test_no_two_things_look_alike(self) -> None:
        tiles = {Grid.render_tile(ground(i), tile_size=8).tobytes() for i in range(4 + len(OBJECTS))}
        assert len(tiles) == 4 + len(OBJECTS)

    def test_the_agent_shows_where_it_looks_and_what_it_carries(self) -> None:
        task = get_task("minigrid-doorkey")
        seen = set()
        for facing in FACINGS:
            for carrying in ("none", "yellow key", "red box"):
                state = room(CORNER.replace("up", facing).replace("carrying: none", f"carrying: {carrying}"))
                seen.add(task.draw(state, "classic", 48).rgb().tobytes())
        assert len(seen) == 12
        assert "red box" in THINGS

    @pytest.mark.parametrize("size", [24, 111])
    def test_any_size(self, size: int) -> None:
        assert get_task("minigrid-doorkey").draw(room(CORNER), "classic", size).rgb().shape == (size, size, 3)


class TestLoading:
    def test_names_and_tasks_load_without_minigrid(self) -> None:
        code = (
            "import sys\n"
            "from mgsd_envs import get_task, task_names\n"
            "for name in task_names():\n"
            "    get_task(name)\n"
            "sys.exit('minigrid' in sys.modules or 'pygame' in sys.modules)\n"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    def test_without_the_extra_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mgsd_envs.minigrid_task.find_spec", lambda _: None)
        get_task.cache_clear()
        try:
            with pytest.raises(TaskError) as error:
                get_task("minigrid-doorkey")
        finally:
            get_task.cache_clear()
        assert str(error.value) == 'task minigrid-doorkey needs MiniGrid: pip install "mgsd-bench[gym]"'

    def test_episodes_are_distinct_and_balanced(self) -> None:
        task = get_task("minigrid-unlock")
        assert isinstance(task, MiniGridTask)
        episodes = list(generate(task, 9, 9, split="test", stream="test"))
        assert len({task.key(episode.state) for episode in episodes}) == 9
        assert len({episode.shortest for episode in episodes}) > 2
