"""Pictures: every look at every size, lossless files, and no two states alike."""

from __future__ import annotations

import io
from itertools import islice
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mgsd_envs import generate, get_task
from mgsd_envs.grid import MOVES
from mgsd_envs.maze import OPPOSITE
from mgsd_envs.task import Task
from support.tasks import TASKS, every_task, near

every_look = pytest.mark.parametrize(
    ("task", "theme"),
    [(task, theme) for task in TASKS for theme in task.themes],
    ids=lambda value: getattr(value, "name", value),
)
every_listed_look = pytest.mark.parametrize(
    ("task", "theme"),
    [(task, theme) for task in TASKS if task.states(task.min_level) is not None for theme in task.themes],
    ids=lambda value: getattr(value, "name", value),
)


def a_state(task: Task[Any], level: int, stream: str = "pictures") -> Any:
    return next(generate(task, level, 1, split="train", stream=stream)).state


def pixel(
    task: Task[Any], state: Any, theme: str, row: int, column: int, across: float = 0.5, down: float = 0.5
) -> tuple[int, ...]:
    picture = task.draw(state, theme, 256).rgb()
    cell = 256 / state.size
    return tuple(int(v) for v in picture[int((row + down) * cell), int((column + across) * cell)])


class TestEveryLook:
    @every_look
    @pytest.mark.parametrize("size", [256, 111])
    def test_shape_and_file(self, task: Task[Any], theme: str, size: int) -> None:
        for level in {task.min_level, *task.levels, near(task, 9)}:
            picture = task.draw(a_state(task, level), theme, size)
            pixels = picture.rgb()
            assert pixels.shape == (size, size, 3)
            assert pixels.dtype == np.uint8
            with Image.open(io.BytesIO(picture.png())) as image:
                image.load()
                assert (image.format, image.mode) == ("PNG", "P")
                assert np.array_equal(np.asarray(image.convert("RGB")), pixels)

    @every_look
    def test_largest_level_in_the_paper_s_size(self, task: Task[Any], theme: str) -> None:
        state = a_state(task, near(task, 32))
        pixels = task.draw(state, theme, 256).rgb()
        assert pixels.shape == (256, 256, 3)
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) >= 4

    @every_look
    def test_fewest_pixels(self, task: Task[Any], theme: str) -> None:
        level = task.min_level
        assert task.draw(a_state(task, level), theme, 4 * level).rgb().shape == (4 * level, 4 * level, 3)
        with pytest.raises(ValueError, match=f"at least {4 * level} pixels"):
            task.draw(a_state(task, level), theme, 4 * level - 1)

    @every_task
    def test_unknown_theme(self, task: Task[Any]) -> None:
        with pytest.raises(ValueError, match=f"{task.name} has themes {', '.join(task.themes)}, not neon"):
            task.draw(a_state(task, near(task, 4)), "neon")

    @every_task
    def test_classic_at_256_is_the_default(self, task: Task[Any]) -> None:
        state = a_state(task, near(task, 5))
        assert task.themes[0] == "classic"
        assert np.array_equal(task.draw(state).rgb(), task.draw(state, "classic", 256).rgb())
        assert not np.array_equal(task.draw(state).rgb(), task.draw(state, "plain", 256).rgb())


class TestNoTwoAlike:
    @every_listed_look
    def test_all_states_of_the_smallest_level(self, task: Task[Any], theme: str) -> None:
        states = list(task.states(task.min_level))
        pictures = {task.draw(state, theme, 96).rgb().tobytes() for state in states}
        assert len(pictures) == len(states)

    @every_look
    @pytest.mark.parametrize("level", [8, 32])
    def test_states_that_differ_in_one_fact(self, task: Task[Any], theme: str, level: int) -> None:
        state = a_state(task, near(task, level))
        facts = task.facts(state)
        seen = {task.draw(state, theme).rgb().tobytes()}
        taken = sorted((fact for fact in facts if fact[0] in ("hole", "open", "table", "wall")), key=str)[:12]
        if task.name == "maze":  # an opening is closed from both sides
            taken = [fact for fact in taken if fact[3] in ("down", "right")]
        for fact in taken:
            gone = {fact}
            if task.name == "maze":
                down, right = MOVES[fact[3]]
                gone.add(("open", fact[1] + down, fact[2] + right, OPPOSITE[fact[3]]))
            assert gone <= facts
            seen.add(task.draw(task.from_facts(facts - gone), theme).rgb().tobytes())
        assert len(seen) == 1 + len(taken) > 1

    @every_look
    @pytest.mark.parametrize("level", [5, 32])
    def test_moments_of_a_rollout(self, task: Task[Any], theme: str, level: int) -> None:
        state = a_state(task, near(task, level))
        cursor = task.start(state)
        pictures = [task.draw(state, theme).rgb().tobytes()]
        for action in islice(task.solve(state), 200):
            cursor = task.step(state, cursor, action)
            pictures.append(task.draw(task.state_at(state, cursor), theme).rgb().tobytes())
        assert len(set(pictures)) == len(pictures) > 2

    @every_task
    def test_drawing_twice_gives_the_same(self, task: Task[Any]) -> None:
        state = a_state(task, 7)
        assert task.draw(state).png() == task.draw(state).png()


class TestWhatIsWhere:
    """The looks that the prompts describe, by the colours at chosen places."""

    def test_maze(self) -> None:
        task = get_task("maze")
        rows = [["R", "LRD", "L"], ["DR", "ULR", "LD"], ["UR", "L", "U"]]
        state = task.from_json({"size": 3, "player": [0, 0], "goal": [2, 1], "open": rows})
        black, white, grey, yellow, blue = (0, 0, 0), (255, 255, 255), (224, 224, 224), (255, 255, 0), (0, 0, 255)
        assert pixel(task, state, "classic", 0, 0) == yellow
        assert pixel(task, state, "classic", 2, 1) == blue
        assert pixel(task, state, "classic", 1, 1) == white
        assert pixel(task, state, "classic", 0, 0, down=0.99) == black  # walls below and above the player
        assert pixel(task, state, "classic", 0, 0, down=0.02) == black
        assert pixel(task, state, "classic", 0, 0, across=0.92) == white  # a passage to the right
        assert pixel(task, state, "classic", 0, 0, across=0.999) == grey  # and its border line

    def test_minibehaviour(self) -> None:
        task = get_task("minibehaviour")
        table = [[r, c] for r in (1, 2) for c in (1, 2, 3)]
        state = task.from_json({"size": 5, "agent": [4, 4], "printer": [0, 2], "table": table})
        black, brown, red, white = (0, 0, 0), (181, 143, 96), (255, 24, 16), (255, 255, 255)
        assert all(pixel(task, state, "classic", *cell) == brown for cell in table)
        assert pixel(task, state, "classic", 4, 4, across=0.4) == red
        assert pixel(task, state, "classic", 0, 2, down=0.45) == white
        assert pixel(task, state, "classic", 0, 2) == black  # the slot
        assert pixel(task, state, "classic", 0, 0) == pixel(task, state, "classic", 3, 3) == black

    def test_minibehaviour_in_the_middle_of_a_rollout(self) -> None:
        task = get_task("minibehaviour")
        table = [[r, c] for r in (1, 2) for c in (1, 2, 3)]
        state = task.from_json({"size": 5, "agent": [0, 1], "printer": [0, 2], "table": table})
        cursor = task.start(state)
        looks = []
        for action in ("pick", "drop"):
            cursor = task.step(state, cursor, action)
            pixels = task.draw(task.state_at(state, cursor)).rgb()
            cells = {"agent": (0, 1), "floor": (0, 2), "table": (1, 1)}
            edges = [i * 256 // 5 for i in range(6)]
            looks.append(
                {
                    name: {tuple(v) for v in tile.reshape(-1, 3).tolist()} - {(60, 60, 60)}
                    for name, (r, c) in cells.items()
                    for tile in [pixels[edges[r] : edges[r + 1], edges[c] : edges[c + 1]]]
                }
            )
        black, brown, red, white = (0, 0, 0), (181, 143, 96), (255, 24, 16), (255, 255, 255)
        assert looks == [
            {"agent": {black, red, white}, "floor": {black}, "table": {brown}},
            {"agent": {black, red}, "floor": {black}, "table": {brown, black, white}},
        ]

    @pytest.mark.parametrize("theme", ["classic", "plain"])
    def test_frozenlake(self, theme: str) -> None:
        task = get_task("frozenlake")
        state = task.from_json({"size": 4, "player": [0, 0], "goal": [3, 3], "holes": [[1, 1], [2, 0]]})
        parts: dict[bytes, list[tuple[int, int]]] = {}
        pixels = task.draw(state, theme, 256).rgb()
        for row in range(4):
            for column in range(4):
                tile = pixels[row * 64 + 2 : row * 64 + 62, column * 64 + 2 : column * 64 + 62]
                parts.setdefault(tile.tobytes(), []).append((row, column))
        cells = sorted(parts.values(), key=len)
        ice = [(r, c) for r in range(4) for c in range(4) if (r, c) not in [(0, 0), (3, 3), (1, 1), (2, 0)]]
        assert sorted(cells) == sorted([[(0, 0)], [(3, 3)], [(1, 1), (2, 0)], ice])
