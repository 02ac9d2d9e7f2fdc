"""Our boards in MiniGrid's form."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

from mgsd_envs import generate, get_task

gymnasium = pytest.importorskip("gymnasium")
pytest.importorskip("minigrid")
from gymnasium.utils.env_checker import check_env  # noqa: E402
from minigrid.core.constants import COLOR_TO_IDX, IDX_TO_OBJECT, OBJECT_TO_IDX  # noqa: E402
from minigrid.core.grid import Grid  # noqa: E402
from minigrid.wrappers import DictObservationSpaceWrapper, FlatObsWrapper, ImgObsWrapper  # noqa: E402

from mgsd_envs.minigrid_bridge import MiniGridView, position, to_grid  # noqa: E402

NAMES = ("frozenlake", "maze", "minibehaviour")
IDS = {name: f"mgsd_envs.gym:MGSD/{type(get_task(name)).__name__}-v0" for name in NAMES}
SYMBOLS = {"empty": " ", "wall": "#", "goal": "G", "lava": "~", "box": "P", "agent": "A"}


def view(name: str, **options: Any) -> Any:
    return MiniGridView(gymnasium.make(IDS[name], **{"level": 5, "render_mode": "rgb_array"} | options), tile_size=8)


def rows(image: Any) -> list[str]:
    return ["".join(SYMBOLS[IDX_TO_OBJECT[int(kind)]] for kind in column) for column in image[:, :, 0].T]


class TestGrid:
    def test_frozenlake(self) -> None:
        task = get_task("frozenlake")
        state = task.from_json({"size": 3, "player": [0, 0], "goal": [2, 1], "holes": [[0, 2], [1, 0]]})
        assert rows(to_grid("frozenlake", state).encode()) == ["#####", "#  ~#", "#~  #", "# G #", "#####"]

    def test_maze(self) -> None:
        task = get_task("maze")
        sides = [["R", "LRD", "L"], ["DR", "ULR", "LD"], ["UR", "L", "U"]]
        state = task.from_json({"size": 3, "player": [0, 0], "goal": [2, 1], "open": sides})
        assert rows(to_grid("maze", state).encode()) == [
            "#######",
            "#     #",
            "### ###",
            "#     #",
            "# ### #",
            "#  G# #",
            "#######",
        ]

    def test_minibehaviour(self) -> None:
        task = get_task("minibehaviour")
        table = [[r, c] for r in (1, 2) for c in (0, 1, 2)]
        state = task.from_json({"size": 4, "agent": [3, 3], "printer": [0, 2], "table": table})
        image = to_grid("minibehaviour", state).encode()
        assert rows(image) == ["######", "#  P #", "#### #", "#### #", "#    #", "######"]
        assert {int(image[position("minibehaviour", cell)][1]) for cell in table} == {COLOR_TO_IDX["yellow"]}
        assert int(image[0, 0, 1]) == COLOR_TO_IDX["grey"]

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("level", [4, 9])
    def test_minigrid_walks_where_we_walk(self, name: str, level: int) -> None:
        """A cell that one may enter in one world may be entered in the other, obstacles and walls included."""
        task = get_task(name)
        for episode in generate(task, level, 20, split="train", stream="walk"):
            grid = to_grid(name, episode.state)
            for row in range(level):
                for column in range(level):
                    x, y = position(name, (row, column))
                    cursor = (row, column, *task.start(episode.state)[2:])
                    if not walkable(grid, x, y) and name != "maze":
                        continue
                    for action, (dx, dy) in {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}.items():
                        legal = isinstance(task.step(episode.state, cursor, action), tuple)
                        assert legal == walkable(grid, x + dx, y + dy), (action, cursor)

    @pytest.mark.parametrize("name", NAMES)
    def test_encoding_can_be_read_back(self, name: str) -> None:
        state = next(generate(get_task(name), 5, 1, split="train", stream="x")).state
        grid = to_grid(name, state)
        assert Grid.decode(grid.encode())[0] == grid

    def test_no_form(self) -> None:
        with pytest.raises(ValueError, match="sokoban has no MiniGrid form"):
            to_grid("sokoban", object())
        with pytest.raises(ValueError, match="no MiniGrid form"):
            MiniGridView(gymnasium.make("CartPole-v1"))


def walkable(grid: Any, x: int, y: int) -> bool:
    thing = grid.get(x, y)
    return thing is None or (thing.can_overlap() and thing.type != "lava")


@pytest.mark.parametrize("name", NAMES)
class TestView:
    def test_gymnasium_s_checks(self, name: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message=".*is different from the unwrapped version.*")
            check_env(view(name), skip_render_check=False)

    def test_a_solved_episode(self, name: str) -> None:
        env = view(name)
        task, pictures = env.unwrapped.task, []
        observation, info = env.reset(seed=4)
        assert observation["direction"] == 0
        state = env.unwrapped.episode.state
        cursor = task.start(state)
        for action in (None, *env.unwrapped.episode.plan):
            if action is not None:
                cursor = task.step(state, cursor, action)
                observation, reward, terminated, _, info = env.step(task.actions.index(action))
                if action in ("right", "down", "left", "up"):
                    assert ["right", "down", "left", "up"][observation["direction"]] == action
            assert observation in env.observation_space
            agents = np.argwhere(observation["image"][:, :, 0] == OBJECT_TO_IDX["agent"])
            assert [tuple(agent) for agent in agents.tolist()] == [position(name, cursor[:2])]
            assert observation["image"][position(name, cursor[:2])][2] == observation["direction"]
            pictures.append(env.render())
        assert (reward, terminated) == (1, True)
        edge = observation["image"].shape[0]
        assert {picture.shape for picture in pictures} == {(8 * edge, 8 * edge, 3)}
        assert len({picture.tobytes() for picture in pictures}) == len(pictures)
        assert "illegal" not in info

    def test_reset_faces_right_again(self, name: str) -> None:
        env = view(name)
        env.reset(seed=0)
        assert env.step(env.unwrapped.task.actions.index("up"))[0]["direction"] == 3
        assert env.reset()[0]["direction"] == 0

    def test_minigrid_s_wrappers(self, name: str) -> None:
        for wrapper in (ImgObsWrapper, FlatObsWrapper, DictObservationSpaceWrapper):
            env = wrapper(view(name))
            observation, _ = env.reset(seed=0)
            assert observation in env.observation_space
            assert env.step(1)[0] in env.observation_space

    def test_text_mode_is_ours(self, name: str) -> None:
        env = view(name, render_mode="ansi")
        env.reset(seed=0)
        assert env.render() == env.unwrapped.task.describe(env.unwrapped.state)

    def test_copies(self, name: str) -> None:
        env = view(name)
        env.reset(seed=0)
        for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
            assert np.array_equal(twin.render(), env.render())


def test_carrying_is_seen() -> None:
    env = view("minibehaviour", level=4)
    table = [[r, c] for r in (2, 3) for c in (0, 1, 2)]
    env.reset(options={"state": {"size": 4, "agent": [0, 1], "printer": [0, 0], "table": table}})
    actions = env.unwrapped.task.actions

    def look(action: str) -> tuple[list[str], int]:
        image = env.step(actions.index(action))[0]["image"]
        x, y = np.argwhere(image[:, :, 0] == OBJECT_TO_IDX["agent"])[0]
        return rows(image), int(image[x, y, 1])

    red, blue = COLOR_TO_IDX["red"], COLOR_TO_IDX["blue"]
    assert look("pick") == (["######", "# A  #", "#    #", "#### #", "#### #", "######"], blue)
    assert look("down") == (["######", "#    #", "# A  #", "#### #", "#### #", "######"], blue)
    assert look("drop") == (["######", "#    #", "# A  #", "##P# #", "#### #", "######"], red)
