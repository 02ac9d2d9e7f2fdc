"""Suites that ask the same episodes in several looks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mgsd_bench import load_run
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CONDITIONS, load_prompts
from mgsd_bench.runs.questions import Questions
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.looks import in_looks, is_asked
from mgsd_bench.suites.suite import digest, episodes, find_episode, select, subsample, with_theme
from mgsd_envs import episode_from_json, get_task, orbit_key, rollout
from mgsd_envs.looks import id_without_look, is_turned
from mgsd_envs.perturbations import ORDERED
from mgsd_envs.symmetry import SYMMETRIES
from support.commands import mgsd

P1 = find_suite("mgsd-p1")
SOME = select(P1, ["maze", "minibehaviour"], [5])


def test_size() -> None:
    assert len(P1.looks) == 2 + 12 * 5 + 1
    assert len(find_suite("mgsd-p1-quick").looks) == 2 + 12 * 3 + 1
    assert sum(part.count for part in P1.parts) == 120


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("mgsd-p1", "55a10d8948fd"),
        ("mgsd-p1-quick", "b227a91c767a"),
        ("tiny-p1-quick", "82f47d64fed5"),
        ("mgsd-looks", "467db3847ef4"),
        ("mgsd-scale", "a16c52a85e09"),
        ("mgsd-scale-cells", "f967a3859947"),
        ("mgsd-turns", "78a65e5f125b"),
    ],
)
def test_episodes_are_forever(name: str, start: str) -> None:
    assert digest(episodes(find_suite(name))).startswith(start)


def test_turned_episodes_are_images_and_as_hard() -> None:
    asked = episodes(select(find_suite("mgsd-turns"), levels=[3, 5]))
    by_id = {episode.id: episode for episode in asked}
    assert len(by_id) == len(asked)
    keys: dict[str, set[str]] = {}
    for episode in asked:
        task, first = get_task(episode.task), by_id[id_without_look(episode.id)]
        if episode.id != first.id:
            assert is_turned(episode.id)
            symmetry = SYMMETRIES[episode.severity]
            assert episode.state == task.transform(first.state, symmetry)
            mapped = tuple(map(symmetry.side, first.plan))
            assert rollout(task, episode.state, mapped).outcome == "solved"
        assert (episode.shortest, episode.plans, episode.split) == (first.shortest, first.plans, "test")
        assert np.array_equal(episode.draw().rgb(), task.draw(episode.state, "classic").rgb())
        assert episode_from_json(episode.to_json()) == episode
        keys.setdefault(first.id, set()).add(orbit_key(task, episode.state))
    assert all(len(orbits) == 1 for orbits in keys.values())
    assert is_asked(asked[-1].id, "symbolic")


def test_a_task_without_symmetries_is_not_turned(tmp_path: Path) -> None:
    pytest.importorskip("minigrid")
    looks = "[classic, classic+turned-1]"
    path = tmp_path / "s.yaml"
    path.write_text(f"name: s\ncount: 1\nparts: [{{task: minigrid-gotoobj, levels: [6]}}]\nlooks: {looks}\n")
    with pytest.raises(UserError, match="minigrid-gotoobj does not say what its states look like in a mirror"):
        episodes(find_suite(str(path)))


def test_the_quick_form_asks_a_part_of_the_whole() -> None:
    quick = select(find_suite("mgsd-p1-quick"), ["maze"], [3])
    whole = {episode.canonical() for episode in episodes(select(P1, ["maze"], [3]))}
    assert {episode.canonical() for episode in episodes(quick)} < whole


def test_the_same_episodes_in_every_look() -> None:
    asked = episodes(SOME)
    first = asked[: len(asked) // len(P1.looks)]
    assert len({episode.id for episode in asked}) == len(asked) == 63 * 20
    for i, look in enumerate(P1.looks):
        arm = asked[i * len(first) : (i + 1) * len(first)]
        assert {str(episode.look) for episode in arm} == {look}
        assert [episode.state for episode in arm] == [episode.state for episode in first]
        assert [id_without_look(episode.id) for episode in arm] == [episode.id for episode in first]


@pytest.mark.parametrize("prompts", ["default", "compact"])
def test_prompts_are_the_same_bytes_in_every_look(prompts: str) -> None:
    asked = subsample(episodes(P1), 1)
    texts = load_prompts(prompts, asked, CONDITIONS)
    for episode in asked:
        alone = replace(episode, perturbation=None, severity=0)
        assert all(texts.render(episode, each) == texts.render(alone, each) for each in CONDITIONS)
    assert load_prompts(prompts, [e for e in asked if e.perturbation is None], CONDITIONS).texts == texts.texts


COLOURS = ("red", "green", "blue ", "yellow", "white", "black", "brown", "pale", "dark", "colour", "color")


@pytest.mark.parametrize("theme", ["blueprint", "parchment", "night"])
@pytest.mark.parametrize("prompts", ["default", "compact"])
def test_no_look_text_needs_a_colour(theme: str, prompts: str) -> None:
    asked = subsample(episodes(with_theme(find_suite("smoke"), theme)), 1)
    looks = [text for (_, stem), text in load_prompts(prompts, asked, ["visual"]).texts.items() if "look." in stem]
    assert len(looks) == 3
    assert not [(colour, text) for text in looks for colour in COLOURS if colour in text]


def test_scale_keeps_plans_within_a_hundred_actions() -> None:
    scale = find_suite("mgsd-scale")
    assert {part.level for part in scale.parts} == {8, 12, 16, 24, 32}
    large = episodes(select(scale, ["frozenlake", "maze"], [32]))
    assert len(large) == 40
    assert max(episode.shortest for episode in large) <= 100
    assert max(episode.shortest for episode in large) > 50


def test_what_shows_no_picture_is_asked_once() -> None:
    asked = Questions(episodes(SOME), ["visual", "symbolic"], 1)
    assert sum(question.condition == "symbolic" for question in asked) == 20
    assert sum(question.condition == "visual" for question in asked) == 63 * 20


def test_a_limit_counts_episodes_not_looks() -> None:
    kept = subsample(episodes(SOME), 3)
    assert len(kept) == 6 * 63
    assert {id_without_look(episode.id) for episode in kept} == {episode.id for episode in kept[:6]}


def test_one_episode_by_its_id() -> None:
    assert str(find_episode(SOME, "maze/5/0003@blur-5").look) == "blueprint+blur-5"


def test_another_theme() -> None:
    night = with_theme(SOME, "night")
    assert night.looks[:2] == ("night", "night+copy-1")
    assert [e.id for e in episodes(night)] == [e.id for e in episodes(SOME)]
    assert digest(episodes(night)) != digest(episodes(SOME))


@pytest.mark.parametrize(
    ("looks", "words"),
    [
        (["classic", "classic+fog-1"], "'fog' is no perturbation"),
        (["classic", "neon"], "looks: neon: frozenlake has the themes classic, plain"),
        (["classic", "plain", "plain"], "looks: plain stands there twice"),
    ],
)
def test_what_is_no_look(looks: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        in_looks(episodes(select(find_suite("smoke"), ["frozenlake"], [3])), looks)


@pytest.mark.slow
def test_a_run_in_looks(tmp_path: Path) -> None:
    out = tmp_path / "run"
    ask = ("eval", "--model", "oracle", "--backend", "scripted", "--suite", "mgsd-p1-quick", "--levels", "3")
    ask = (*ask, "--limit", "1", "--condition", "visual,symbolic", "--out", str(out))
    mgsd(*ask)
    mgsd("verify", str(out))
    frame = load_run(out).to_pandas()
    seen = frame[frame["condition"] == "visual"]
    assert sorted(seen["look"].unique()) == sorted(find_suite("mgsd-p1-quick").looks)
    assert len(seen) == 2 * 39
    assert (frame["condition"] == "symbolic").sum() == 2
    assert seen["solved"].all()
    digests = seen.groupby("look", observed=True)["prompt_digest"].agg(frozenset)
    assert digests["blueprint"] == digests["blueprint+copy-1"]
    assert all(digests["blueprint"].isdisjoint(digests[f"blueprint+{name}-5"]) for name in ORDERED)
