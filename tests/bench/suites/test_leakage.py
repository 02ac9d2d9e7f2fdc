"""How much of a test is in a training, exactly and up to symmetry."""

from __future__ import annotations

from typing import Any

import pytest

from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.leakage import Leak, leaks, possible_leaks
from mgsd_bench.suites.suite import cut_to, episodes
from mgsd_envs import Episode, generate, get_task, make_episode, orbit_key
from mgsd_envs.orbits import images
from mgsd_envs.task import Symmetric
from support.commands import error, mgsd
from support.tasks import FROZENLAKE, MINIBEHAVIOUR, TASKS, Lopsided


@pytest.fixture(scope="module")
def v2() -> list[Episode]:
    return list(episodes(find_suite("mgsd-v2")))


def by_level(found: list[Leak]) -> dict[tuple[str, int], Leak]:
    return {(leak.task, leak.level): leak for leak in found}


class TestSuite:
    def test_it_is_mgsd_v1_but_for_its_split(self, v2: list[Episode]) -> None:
        first, second = find_suite("mgsd-v1"), find_suite("mgsd-v2")
        assert (first.parts, first.mix, first.split, first.theme) == (
            second.parts,
            second.mix,
            second.split,
            second.theme,
        )
        assert (first.split_by, second.split_by) == ("state", "orbit")
        assert {(episode.split, episode.split_by) for episode in v2} == {("test", "orbit")}
        assert len({(episode.task, get_task(episode.task).key(episode.state)) for episode in v2}) == 1200

    def test_bands_are_balanced_where_orbits_are_few(self, v2: list[Episode]) -> None:
        for task, level in {(e.task, e.level) for e in v2}:
            lengths = [e.shortest for e in v2 if (e.task, e.level) == (task, level)]
            assert [sum(n in band for n in lengths) for band in get_task(task).bands(level)] == [34, 33, 33]


class TestLeaks:
    def test_planted(self) -> None:
        """Of four test states one is trained on, one in a mirror, one turned by a quarter, one not at all."""
        test = list(generate(FROZENLAKE, 5, 4, split="test", stream="s"))
        mirrored, turned = (list(images(FROZENLAKE, test[i].state))[j] for i, j in ((1, 1), (2, 5)))
        states = (test[0].state, mirrored, turned)
        trained = [make_episode(FROZENLAKE, 5, str(i), state) for i, state in enumerate(states)]
        assert leaks(test, trained) == [Leak("frozenlake", 5, 4, 1, 3, 4, True)]
        assert leaks(test, trained[:1]) == [Leak("frozenlake", 5, 4, 1, 1, 4, True)]
        assert leaks(test, []) == [Leak("frozenlake", 5, 4, 0, 0, 4, True)]

    def test_a_test_counts_its_orbits(self) -> None:
        (one,) = generate(FROZENLAKE, 5, 1, split="test", stream="s")
        test = [make_episode(FROZENLAKE, 5, "x", state) for state in images(FROZENLAKE, one.state)]
        (leak,) = leaks(test, [one])
        assert (leak.episodes, leak.exact, leak.symmetric, leak.orbits) == (8, 1, 8, 1)

    def test_small_levels_leak_by_state_and_not_by_orbit(self) -> None:
        """What a training on everything of the train split sees of mgsd-v1, and of mgsd-v2."""
        levels = {("frozenlake", 3), ("maze", 3), ("minibehaviour", 5)}
        for name, split_by in (("mgsd-v1", "state"), ("mgsd-v2", "orbit")):
            test = episodes(cut_to(find_suite(name), levels))
            trained = [
                make_episode(task, level, str(i), state, split_by=split_by)  # type: ignore[arg-type]
                for task, level in ((get_task(name), level) for name, level in levels)
                for i, state in enumerate(task.states(level) or ())
            ]
            found = leaks(test, [episode for episode in trained if episode.split == "train"])
            assert by_level(found) == by_level(possible_leaks(test))
            assert all(leak.exact == 0 for leak in found)
            if split_by == "orbit":
                assert all(leak.symmetric == 0 for leak in found)
            else:
                shares = {leak.task: leak.symmetric / leak.episodes for leak in found}
                assert shares["frozenlake"] == shares["maze"] == 1
                assert 0.85 < shares["minibehaviour"] < 1  # its quarter turns are never drawn

    def test_splits_that_do_not_match_leak_states(self) -> None:
        test = episodes(cut_to(find_suite("mgsd-v1"), {("frozenlake", 3)}))
        trained = list(generate(FROZENLAKE, 3, 600, split="train", stream="s", split_by="orbit"))
        (leak,) = leaks(test, trained)
        assert 0 < leak.exact < leak.symmetric

    def test_a_task_without_symmetries(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lopsided: Any = Lopsided()
        monkeypatch.setattr("mgsd_bench.suites.leakage.get_task", lambda name: lopsided)
        (one,) = generate(lopsided, 5, 1, split="test", stream="s")
        mirrored = make_episode(FROZENLAKE, 5, "x", list(images(FROZENLAKE, one.state))[1])
        assert leaks([one], [mirrored]) == [Leak("frozenlake", 5, 1, 0, 0, 1, False)]
        assert possible_leaks([one]) == [Leak("frozenlake", 5, 1, 0, 0, 1, False)]


def test_orbits_of_all_our_tasks_are_known() -> None:
    assert all(isinstance(task, Symmetric) for task in TASKS)
    room = next(iter(MINIBEHAVIOUR.states(5) or ()))
    assert len({MINIBEHAVIOUR.key(image) for image in images(MINIBEHAVIOUR, room)}) == 8
    assert orbit_key(MINIBEHAVIOUR, room) <= MINIBEHAVIOUR.key(room)


class TestGenerate:
    def test_a_suite_says_what_training_may_see(self, tmp_path: Any) -> None:
        first = mgsd("generate", str(tmp_path / "a"), "--suite", "smoke", "--levels", "3", "--tasks", "frozenlake")
        assert "6 episodes in" in first
        assert "0 (0 %)" in first
        assert "6 (100 %)" in first
        assert "split_by: orbit keeps them apart (suite mgsd-v2)" in first
        second = mgsd(
            "generate", str(tmp_path / "b"), "--suite", "mgsd-v2", "--levels", "3", "--tasks", "maze", "--limit", "6"
        )
        assert "100 %" not in second
        assert "keeps them apart" not in second

    def test_training_data_say_how_much_of_the_test_is_in_them(self, tmp_path: Any) -> None:
        order = ("--count", "600", "--tasks", "frozenlake", "--levels", "3", "--size", "32")
        by_state = mgsd("generate", str(tmp_path / "a"), *order)
        assert "test episodes of mgsd-v1 among these" in by_state
        assert "keeps them apart" in by_state
        by_orbit = mgsd("generate", str(tmp_path / "b"), *order, "--split-by", "orbit")
        assert "test episodes of mgsd-v2 among these" in by_orbit
        assert by_orbit.count("0 (0 %)") == 2
        assert '"split_by": "orbit"' in (tmp_path / "b" / "episodes.jsonl").read_text()

    def test_a_level_that_no_suite_has(self, tmp_path: Any) -> None:
        order = ("--count", "3", "--tasks", "maze", "--levels", "7", "--size", "64")
        assert "among these" not in mgsd("generate", str(tmp_path / "a"), *order)

    def test_mistakes(self, tmp_path: Any) -> None:
        said = error("generate", str(tmp_path / "a"), "--count", "3", "--split-by", "mirror")
        assert said == "mgsd-bench: --split-by mirror: choose from state, orbit"
