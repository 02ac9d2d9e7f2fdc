"""Suites, their digests and their balance."""

from __future__ import annotations

import pytest

from mgsd_bench.errors import UserError
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import Part, Suite, custom, digest, episodes, find_episode, select, subsample
from mgsd_bench.suites.suite_file import Digest, shipped_digests, shipped_names, shipped_suite
from mgsd_envs import Episode, get_task
from mgsd_envs.splits import split_of


@pytest.fixture(scope="module")
def v1() -> list[Episode]:
    return list(episodes(find_suite("mgsd-v1")))


def test_mgsd_v1_is_the_paper_s_shape(v1: list[Episode]) -> None:
    strata = {(e.task, e.level) for e in v1}
    assert len(v1) == 1200
    assert len(strata) == 12
    assert len({e.id for e in v1}) == 1200
    assert all(e.split == "test" == split_of(get_task(e.task).key(e.state)) for e in v1)


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_suite_never_changes(name: str) -> None:
    """Published results name it; a change of its episodes needs a new name, not a new digest in the file."""
    made = episodes(shipped_suite(name))
    assert shipped_digests()[name] == Digest(len(made), digest(made))


def test_blind_plan_solves_at_most_a_third(v1: list[Episode]) -> None:
    for stratum in {(e.task, e.level) for e in v1}:
        of_it = [e.straight for e in v1 if (e.task, e.level) == stratum]
        assert sum(of_it) / len(of_it) <= 1 / 3, stratum


def test_digest_tells_episodes_and_prompts_apart(v1: list[Episode]) -> None:
    few = v1[:5]
    assert digest(few) == digest(list(few))
    assert len({digest(few), digest(few[:4]), digest(few[::-1]), digest(few, ["a"]), digest(few, ["b"])}) == 5


def test_limit_spreads_over_lengths_of_every_level(v1: list[Episode]) -> None:
    for limit in (1, 10, 33, 1000):
        kept = list(subsample(v1, limit))
        assert [e.id for e in kept] == [e.id for e in v1 if e.id in {k.id for k in kept}]
        for task, level in {(e.task, e.level) for e in v1}:
            full = sorted(e.shortest for e in v1 if (e.task, e.level) == (task, level))
            part = [e.shortest for e in kept if (e.task, e.level) == (task, level)]
            assert len(part) == min(limit, 100)
            if limit >= 10:
                assert abs(sum(part) / len(part) - sum(full) / len(full)) < 0.5


def test_selection() -> None:
    chosen = select(find_suite("smoke"), ["maze", "frozenlake"], [3, 6])
    assert [(p.task, p.level) for p in chosen.parts] == [("frozenlake", 3), ("frozenlake", 6), ("maze", 3), ("maze", 6)]
    same = [e.canonical() for e in episodes(find_suite("smoke")) if (e.task, e.level) == ("maze", 6)]
    assert [e.canonical() for e in episodes(select(find_suite("smoke"), ["maze"], [6]))] == same


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: find_suite("nope"), ("suite=nope", "mgsd-v1")),
        (lambda: select(find_suite("smoke"), ["chess"]), ("tasks=chess", "maze")),
        (lambda: select(find_suite("smoke"), ["maze"], [8]), ("levels=8", "3, 4, 5, 6")),
        (lambda: subsample([], 0), ("limit=0",)),
        (lambda: custom([], [], 0, split="train", stream="s"), ("count=0",)),
        (lambda: custom([], [], 1, split="dev", stream="s"), ("split=dev", "train")),
        (lambda: custom(["maze"], [40], 1, split="train", stream="s"), ("levels=40", "32")),
        (lambda: custom(["maze"], [3], 1, split="train", stream="s", length="9-4"), ("length=9-4",)),
        (lambda: custom(["maze"], [3], 1, split="train", stream="s", length="x"), ("length=x",)),
        (lambda: custom(["maze"], [3], 1, split="train", stream="s", theme="neon"), ("theme=neon", "classic")),
        (lambda: episodes(custom(["maze"], [3], 5000, split="val", stream="s")), ("maze level 3", "distinct")),
        (lambda: episodes(Suite("s", "", (Part("chess", 3, 1),))), ("chess", "not installed")),
        (lambda: find_episode(find_suite("smoke"), "maze/3/9999"), ("maze/3/9999", "frozenlake/3/0000")),
        (lambda: find_episode(find_suite("smoke"), "../../etc"), ("no such episode",)),
    ],
)
def test_mistakes_are_named(call: object, words: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as caught:
        call()  # type: ignore[operator]
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)
    assert caught.value.code == 2


def test_find_episode() -> None:
    assert find_episode(find_suite("smoke"), "maze/4/0002").id == "maze/4/0002"


def test_custom_levels_are_the_usual_ones_of_the_tasks() -> None:
    parts = custom(["frozenlake", "maze", "minibehaviour"], [], 2, split="val", stream="mine").parts
    assert {(part.task, part.level) for part in parts} == {
        (part.task, part.level) for part in find_suite("mgsd-v1").parts
    }


def test_custom_lengths_and_split() -> None:
    made = episodes(custom(["frozenlake"], [5], 20, split="val", stream="mine", length="6-7", density=0.2))
    assert {e.shortest for e in made} <= {6, 7}
    assert {e.split for e in made} == {"val"}
