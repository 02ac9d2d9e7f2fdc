"""Training data: which states, and which rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgsd_baselines.data.dataset import counts, excluded_keys, rows_digest, train_episodes
from mgsd_baselines.data.examples import KINDS
from mgsd_baselines.recipe import DataSpec, Recipe, Teacher
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CONDITIONS, load_prompts
from mgsd_bench.runs.scoring import score
from mgsd_envs import get_task, orbit_key
from mgsd_envs.splits import split_of
from mgsd_envs.symmetry import SYMMETRIES
from support.training_rows import LEVELS, SFT, SPEC, key, make, rows_of, write_records


class TestEpisodes:
    @settings(max_examples=15)
    @given(
        stream=st.text("abc-0123456789", min_size=1, max_size=8),
        where=st.sampled_from([("frozenlake", 2), ("frozenlake", 5), ("maze", 4), ("minibehaviour", 5), ("maze", 9)]),
        split=st.sampled_from(["train", "val"]),
    )
    def test_only_states_of_the_split(self, stream: str, where: tuple[str, int], split: Any) -> None:
        task, level = where
        found = train_episodes(DataSpec(stream, {task: (level,)}, 12), split)
        assert {split_of(key(episode)) for episode in found} == {split}
        assert len({key(episode) for episode in found}) == len(found)

    @settings(max_examples=10)
    @given(
        stream=st.text("abc-0123456789", min_size=1, max_size=8),
        where=st.sampled_from([("frozenlake", 3), ("frozenlake", 5), ("maze", 4), ("minibehaviour", 5)]),
        split=st.sampled_from(["train", "val"]),
    )
    def test_only_orbits_of_the_split(self, stream: str, where: tuple[str, int], split: Any) -> None:
        task, level = where
        found = train_episodes(DataSpec(stream, {task: (level,)}, 12, split_by="orbit"), split)
        assert {split_of(orbit_key(get_task(task), episode.state)) for episode in found} == {split}
        assert {(episode.split, episode.split_by) for episode in found} == {(split, "orbit")}

    def test_never_test_states(self) -> None:
        with pytest.raises(ValueError, match="evaluation alone"):
            train_episodes(SPEC, "test")

    def test_small_levels_give_all_they_have(self) -> None:
        found = train_episodes(DataSpec("s", {"frozenlake": (2, 3)}, 100_000))
        task = get_task("frozenlake")
        everything = {task.key(state) for level in (2, 3) for state in task.states(level) or ()}
        assert {key(episode) for episode in found} == {name for name in everything if split_of(name) == "train"}

    def test_a_level_without_any(self, tmp_path: Path) -> None:
        states = list(get_task("frozenlake").states(2) or ())
        file = write_records(tmp_path / "all.jsonl", states)
        with pytest.raises(UserError, match="frozenlake level 2 has no episode in the train split; leave it out"):
            train_episodes(DataSpec("s", {"frozenlake": (2,)}, 5, exclude=(str(file),)))

    def test_theme(self) -> None:
        assert {e.theme for e in train_episodes(replace(SPEC, theme="plain", count=2))} == {"plain"}


class TestExclusion:
    def test_removes_them(self, tmp_path: Path) -> None:
        spec = DataSpec("s", {"frozenlake": (3, 4)}, 40)
        before = train_episodes(spec)
        gone = [episode.state for episode in before[::2]]
        file = write_records(tmp_path / "set.jsonl", gone)
        after = train_episodes(replace(spec, exclude=(str(file),)))
        keys = {get_task("frozenlake").key(state) for state in gone}
        assert excluded_keys([file]) == keys
        assert not keys & {key(episode) for episode in after}
        assert len(after) == len(before)

    def test_removes_their_mirror_images_where_orbits_are_split(self, tmp_path: Path) -> None:
        task = get_task("frozenlake")
        spec = DataSpec("s", {"frozenlake": (3, 4)}, 40, split_by="orbit")
        before = train_episodes(spec)
        mirrored = [task.transform(episode.state, SYMMETRIES[5]) for episode in before[::2]]  # type: ignore[attr-defined]
        file = write_records(tmp_path / "set.jsonl", mirrored)
        after = train_episodes(replace(spec, exclude=(str(file),)))
        orbits = {orbit_key(task, state) for state in mirrored}
        assert excluded_keys([file], "orbit") == orbits
        assert not orbits & {orbit_key(task, episode.state) for episode in after}
        assert len(after) == len(before)

    @pytest.mark.data
    def test_published_sets(self, data_root: Path) -> None:
        keys = excluded_keys([data_root])
        assert len(keys) > 900
        spec = DataSpec("s", {"frozenlake": (3,)}, 100_000)
        before, after = train_episodes(spec), train_episodes(replace(spec, exclude=(str(data_root),)))
        assert {key(e) for e in before} - {key(e) for e in after} == keys & {key(e) for e in before} != set()

    def test_damage_is_an_error(self, tmp_path: Path) -> None:
        file = write_records(tmp_path / "set.jsonl", [train_episodes(replace(SPEC, count=1))[0].state])
        file.write_text(file.read_text() + '{"meta": 0}\n')
        with pytest.raises(UserError, match=r"set\.jsonl:2: no record of VisualPlanning.*mend or remove"):
            excluded_keys([file])

    def test_unknown_and_missing(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="neither a DiffThinker folder"):
            excluded_keys([tmp_path])
        with pytest.raises(UserError, match=r"nowhere: no such file or folder; name a folder"):
            excluded_keys([tmp_path / "nowhere"])


class TestRows:
    def test_shares_are_exact_at_every_level(self) -> None:
        for level in ("frozenlake/3", "frozenlake/4", "maze/3", "minibehaviour/5"):
            found = counts(rows_of(make()))
            assert {kind: found[f"{level}/{kind}"] for kind in SFT} == {
                "questions": 10,
                "visual": 4,
                "symbolic": 4,
                "unrelated": 2,
            }

    @given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(1, 200))
    def test_shares_are_exact_to_rounding(self, parts: list[int], count: int) -> None:
        from mgsd_baselines.data.dataset import _shared_out

        shares = {kind: part / sum(parts) for kind, part in zip(KINDS, parts, strict=False)}
        given_out = Counter(_shared_out(shares, count))
        assert sum(given_out.values()) == count
        assert all(abs(given_out[kind] - share * count) < 1 for kind, share in shares.items())

    def test_kinds_depend_on_states_alone(self) -> None:
        one = {key(row.episode): row.kind for row in rows_of(make())}
        turned = replace(SPEC, levels=dict(reversed(LEVELS.items())))
        assert {key(row.episode): row.kind for row in rows_of(make(spec=turned))} == one
        assert {key(row.episode): row.kind for row in rows_of(make(seed=1))} != one

    def test_unrelated_pictures_are_others_and_all_different(self) -> None:
        rows = rows_of(make({"unrelated": 1.0}))
        for row in rows:
            assert row.picture is not None
            assert (row.picture.task, row.picture.level) == (row.episode.task, row.episode.level)
            assert key(row.picture) != key(row.episode)
        assert len({key(row.picture) for row in rows if row.picture}) == len(rows)

    def test_text_rows_of_the_second_stage_ask_teacher_and_student_alike(self) -> None:
        rows = rows_of(make({"distill": 0.5, "distill-symbolic": 0.5}, method="distill"))
        asked = [row for row in rows if row.kind == "distill-symbolic"]
        assert len(asked) == len(rows) // 2
        for row in asked:
            columns = row.to_trl(64)
            assert (columns["images"], columns["condition"], columns["privileged"]) == ([], "symbolic", "")
            assert columns["prompt"] == columns["teacher_prompt"]
            assert get_task(row.episode.task).describe(row.episode.state) in row.prompt

    def test_unrelated_needs_another(self) -> None:
        with pytest.raises(UserError, match="single"):
            rows_of(make({"unrelated": 1.0}, spec=replace(SPEC, count=1)))

    @pytest.mark.parametrize("kind", ["visual", "symbolic", "perceive", "direct", "teacher"])
    def test_answers_are_right_and_shortest(self, kind: str) -> None:
        from mgsd_bench.backends import Response

        for row in rows_of(make({kind: 1.0}, spec=replace(SPEC, count=5))):
            assert row.completion
            condition: Any = kind if kind in CONDITIONS else "symbolic"
            result = score(row.episode, condition, Response("id", row.completion, "stop"))
            assert (result.outcome, result.optimal) == ("solved", True)

    @pytest.mark.parametrize("method", ["distill", "grpo"])
    def test_students_are_told_nothing(self, method: str) -> None:
        recipe = make(method=method)
        rows = rows_of(recipe)
        assert {row.kind for row in rows} == {"distill"}
        prompts = load_prompts("default", [row.episode for row in rows], ["visual"])
        for row in rows:
            assert row.completion is None
            assert row.picture == row.episode
            # the same words about every episode of a task: nothing of this one's state or plan is among them
            other = next(o.episode for o in rows if o.episode.task == row.episode.task and o is not row)
            assert row.prompt == prompts.render(other, "visual")
            told = get_task(row.episode.task).describe(row.episode.state)
            assert (told in row.teacher_prompt) == (method == "distill")
            assert row.teacher_prompt.startswith(row.prompt)

    def test_shuffled_teachers_are_told_another_state(self) -> None:
        for row in rows_of(make(method="distill", teacher=Teacher(corruption="shuffle"))):
            task = get_task(row.episode.task)
            assert task.describe(row.episode.state) not in (row.privileged or "")
            assert task.parse(row.privileged or "") != task.facts(row.episode.state)


class TestDigest:
    def test_stable(self) -> None:
        assert rows_digest(rows_of(make())) == "ed89d7f6ff57e19fc5252f4f0d0431308bfa2b7964e70746a23cc8b6029602b2"

    @pytest.mark.parametrize(
        "other",
        [
            make(seed=1),
            make({"questions": 1.0}),
            make(method="distill"),
            make(spec=replace(SPEC, count=19)),
            make(spec=replace(SPEC, stream="test-v2")),
            make(spec=replace(SPEC, theme="plain")),
            make(spec=replace(SPEC, split_by="orbit")),
            replace(make(), prompts="compact"),
        ],
    )
    def test_sensitive(self, other: Recipe) -> None:
        assert rows_digest(rows_of(other)) != rows_digest(rows_of(make()))

    def test_teacher_counts(self) -> None:
        digests = [
            rows_digest(rows_of(make(method="distill", teacher=teacher)))
            for teacher in (Teacher(), Teacher(context="state"), Teacher(corruption="shuffle"))
        ]
        assert len(set(digests)) == 3
