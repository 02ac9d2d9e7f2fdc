"""Episodes in little memory are the episodes that they were."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mgsd_bench.errors import UserError
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.packed import ById, Packed
from mgsd_bench.suites.suite import episodes
from mgsd_envs import Episode


@pytest.fixture(scope="module")
def made() -> list[Episode]:
    return list(episodes(find_suite("smoke")))


def test_they_come_out_as_they_went_in(made: list[Episode]) -> None:
    packed = Packed(iter(made))
    assert list(packed) == made
    assert len(packed) == len(made) > 16
    assert [packed[i] for i in (0, 15, 16, len(made) - 1, -1)] == [made[i] for i in (0, 15, 16, len(made) - 1, -1)]
    assert packed.ids == [episode.id for episode in made]
    assert list(packed.shortest) == [episode.shortest for episode in made]
    with pytest.raises(IndexError):
        packed[len(made)]


def test_a_part_of_them(made: list[Episode]) -> None:
    part = Packed(made)[2::7]
    assert isinstance(part, Packed)
    assert list(part) == made[2::7]


def test_by_their_ids(made: list[Episode]) -> None:
    by_id = ById(Packed([*made, made[3]]))
    assert list(by_id) == [episode.id for episode in made]
    assert by_id[made[20].id] == made[20]
    assert made[0].id in by_id
    assert "maze/9/9999" not in by_id
    with pytest.raises(KeyError):
        by_id["maze/9/9999"]


def test_a_state_that_cannot_be_kept_is_one_line(made: list[Episode]) -> None:
    with pytest.raises(UserError, match="frozenlake: its states cannot be pickled"):
        Packed([replace(made[0], state=lambda: None)])


def test_they_take_little_memory(made: list[Episode]) -> None:
    packed = Packed(made * 4)
    assert sum(map(len, packed._blocks)) < 150 * len(packed)
