"""Perturbations: the same in every run, more and more of one thing, and never too much to be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mgsd_envs import generate
from mgsd_envs.certificate import is_read, read_tiles, tile_set
from mgsd_envs.perturbations import GEOMETRIC, ORDERED, PERTURBATIONS, perturb, steps
from mgsd_envs.perturbed_boards import SURROUND, turned_back, turned_by
from mgsd_envs.task import Task
from support.tasks import FROZENLAKE, MAZE, MINIBEHAVIOUR, every_task, near

every_perturbation = pytest.mark.parametrize("name", PERTURBATIONS)


def state_of(task: Task[Any], level: int, number: int = 0) -> Any:
    return list(generate(task, level, number + 1, split="test", stream="perturbed"))[number].state


def drawn(task: Task[Any], level: int, theme: str = "blueprint", size: int = 256) -> np.ndarray:
    return task.draw(state_of(task, level), theme, size).rgb()


@every_perturbation
class TestEvery:
    def test_same_key_same_pixels(self, name: str) -> None:
        pixels = drawn(MAZE, 4)
        before = pixels.copy()
        for severity in range(1, len(PERTURBATIONS[name].values) + 1):
            first, second, other = (perturb(pixels, 4, name, severity, key) for key in ("a", "a", "b"))
            assert np.array_equal(first, second)
            assert first.shape == pixels.shape
            assert first.dtype == np.uint8
            if name in {"noise", "shot", "texture", "scratches", "offset"}:
                assert not np.array_equal(first, other)
        assert np.array_equal(pixels, before)

    def test_every_task_s_picture_at_any_size(self, name: str) -> None:
        for task, level, size in ((FROZENLAKE, 7, 100), (MAZE, 2, 64), (MINIBEHAVIOUR, 32, 128)):
            pixels = task.draw(state_of(task, level), "classic", size).rgb()
            assert perturb(pixels, level, name, 1, "a").shape == (size, size, 3)


@pytest.mark.parametrize("name", sorted({*ORDERED} - GEOMETRIC))
def test_a_higher_severity_changes_more(name: str) -> None:
    changes = []
    pixels = drawn(FROZENLAKE, 6)
    for severity in range(1, 6):
        each = (perturb(pixels, 6, name, severity, str(key)) for key in range(6))
        changes.append(np.mean([np.abs(other.astype(int) - pixels).mean() for other in each]))
    assert changes == sorted(changes)
    assert changes[0] > 0


def test_twelve_ordered_axes_of_five() -> None:
    assert len(ORDERED) == 12
    assert all(len(PERTURBATIONS[name].values) == 5 for name in ORDERED)


def test_a_copy_is_the_picture_itself() -> None:
    pixels = drawn(MAZE, 4)
    assert np.array_equal(perturb(pixels, 4, "copy", 1, "a"), pixels)


def test_a_turned_board_keeps_its_corners() -> None:
    pixels = np.full((256, 256, 3), 255, np.uint8)
    for degrees in (10, -10):
        turned = turned_by(pixels, degrees)
        assert (turned[0, 0] == SURROUND).all()
        assert (turned[128, 128] == 255).all()
        assert all((turned[at] > 127).any() for at in (0, -1))
        assert all((turned[:, at] > 127).any() for at in (0, -1))
        assert (turned_back(turned, degrees)[4:-4, 4:-4] > 250).all()


def test_a_pair_is_two_axes() -> None:
    pixels = drawn(FROZENLAKE, 5)
    for key in "abcdefgh":
        (first, two), (second, also_two) = steps("pair", 2, key)
        assert first != second
        assert {first, second} <= {*ORDERED}
        assert two == also_two == 2
        assert second not in GEOMETRIC or first in GEOMETRIC
        assert not np.array_equal(perturb(pixels, 5, "pair", 2, key), pixels)


HIGHEST = [(name, len(axis.values)) for name, axis in PERTURBATIONS.items()]


class TestCertificate:
    """A sample of reports/robustness/certificate.csv, at the highest severities."""

    @pytest.mark.parametrize(("name", "severity"), HIGHEST)
    @pytest.mark.parametrize(("task", "level"), [(FROZENLAKE, 8), (MAZE, 6), (MINIBEHAVIOUR, 5)])
    def test_every_tile_is_read(self, task: Task[Any], level: int, name: str, severity: int) -> None:
        states = [state_of(task, level, number) for number in range(2)]
        tiles = tile_set(task, [*states, *(state_of(task, level, number) for number in range(2, 12))])
        assert all(is_read(task, state, ("blueprint", name, severity), tiles) for state in states)

    @every_task
    def test_every_theme_is_read_unperturbed(self, task: Task[Any]) -> None:
        level = near(task, 5)
        state = state_of(task, level)
        for theme in task.themes:
            read = read_tiles(task.draw(state, theme).rgb(), task, theme, level, tile_set(task, [state]))
            assert read == task.tile_ids(state)

    def test_it_can_fail(self) -> None:
        state = state_of(MAZE, 6)
        blank = np.full((256, 256, 3), 127, np.uint8)
        assert read_tiles(blank, MAZE, "blueprint", 6, tile_set(MAZE, [state])) != MAZE.tile_ids(state)
