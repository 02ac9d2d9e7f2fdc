"""Training data: which states, which rows, what trainers get, and what exports hold."""

from __future__ import annotations

import errno
import json
import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mgsd_baselines.data import exports
from mgsd_baselines.data.dataset import as_dataset, counts, excluded_keys, rows_digest, stage_rows, train_episodes
from mgsd_baselines.data.examples import KINDS, Example
from mgsd_baselines.recipe import DataSpec, Distill, Recipe, Stage, Teacher, Validation
from mgsd_bench.backends.torchvision_compat import patch_torchvision
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CONDITIONS, load_prompts
from mgsd_bench.runs.scoring import score
from mgsd_envs import Episode, episode_from_json, get_task
from mgsd_envs.splits import split_of

LEVELS = {"frozenlake": (3, 4), "maze": (3,), "minibehaviour": (5,)}
SPEC = DataSpec("test-v1", LEVELS, 20)
SFT = {"questions": 0.5, "visual": 0.2, "symbolic": 0.2, "unrelated": 0.1}


def make(
    rows: dict[str, float] | None = None,
    *,
    method: Any = "sft",
    spec: DataSpec = SPEC,
    seed: int = 0,
    teacher: Teacher | None = None,
) -> Recipe:
    distill = Distill(teacher=teacher or Teacher()) if method == "distill" else None
    stage = Stage(
        name="only",
        method=method,
        data=spec,
        validation=Validation(),
        rows=SFT if rows is None else rows,
        tuning=None,
        batch=8,
        micro_batch=4,
        trainer={},
        distill=distill,
    )
    return Recipe(
        name="made",
        about="one",
        base="tiny",
        start=None,
        prompts="default",
        seed=seed,
        precision="fp32",
        attention="eager",
        data=spec,
        validation=Validation(),
        stages=(stage,),
    )


def rows_of(recipe: Recipe) -> list[Example]:
    return stage_rows(recipe.stages[0], recipe)


def key(episode: Episode) -> str:
    return get_task(episode.task).key(episode.state)


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


def write_records(file: Path, states: list[Any]) -> Path:
    """FrozenLake states as VisualPlanning writes them."""
    with file.open("w") as stream:
        for state in states:
            marks = {state.player: "S", state.goal: "G"} | dict.fromkeys(state.holes, "H")
            layout = [[marks.get((r, c), "F") for c in range(state.size)] for r in range(state.size)]
            ends = [r * state.size + c for r, c in (state.player, state.goal)]
            meta = {"level": state.size, "layout": layout, "start_pos": ends[0], "target_pos": ends[1]}
            cell, path = state.player, [ends[0]]
            for action in get_task("frozenlake").solve(state):
                cell = get_task("frozenlake").step(state, cell, action)
                path.append(cell[0] * state.size + cell[1])
            stream.write(json.dumps({"meta": meta, "input_state": path}) + "\n")
    return file


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


class TestDataset:
    def test_columns(self) -> None:
        datasets = pytest.importorskip("datasets")
        rows = rows_of(make())
        dataset = as_dataset(rows, 64)
        assert isinstance(dataset, datasets.Dataset)
        assert len(dataset) == len(rows)
        for number in (0, 7, len(rows) - 1):
            assert_same(dataset[number], rows[number].to_trl(64))
        batch = dataset[3:5]
        assert [batch["prompt"][1]] == [rows[4].to_trl(64)["prompt"]]

    def test_distill_columns(self) -> None:
        pytest.importorskip("datasets")
        (row,) = as_dataset(rows_of(make(method="distill"))[:1], 64)
        assert set(row) == {"prompt", "images", "episode", "privileged", "teacher_prompt"}
        assert row["images"][0].size == (64, 64)
        assert episode_from_json(json.loads(row["episode"])).split == "train"

    def test_pickles_small_and_shuffles(self) -> None:
        pytest.importorskip("datasets")
        rows = rows_of(make())
        dataset = as_dataset(rows, 256)
        data = pickle.dumps(dataset)
        assert len(data) < 3000 * len(rows)
        assert_same(pickle.loads(data)[5], dataset[5])
        shuffled = dataset.shuffle(seed=1)
        assert sorted(row["episode"] for row in shuffled) == sorted(row["episode"] for row in dataset)
        assert as_dataset(rows, 256)._fingerprint != as_dataset(rows[::-1], 256)._fingerprint

    def test_mixed_columns_are_refused(self) -> None:
        pytest.importorskip("datasets")
        with pytest.raises(ValueError, match="one dataset"):
            as_dataset([*rows_of(make()), *rows_of(make(method="grpo"))], 64)

    @pytest.mark.parametrize("workers", [0, 2])
    def test_trainer_mixes_rows_with_and_without_pictures(self, tmp_path: Path, workers: int) -> None:
        pytest.importorskip("trl")
        patch_torchvision()
        import torch
        from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

        from mgsd_baselines.tiny.build import build_tiny
        from mgsd_baselines.training.trainers import TrainerParts, sft_trainer

        folder = build_tiny(tmp_path / "tiny")
        processor = AutoProcessor.from_pretrained(folder)
        rows = rows_of(make({"questions": 0.5, "symbolic": 0.5}, spec=replace(SPEC, levels={"maze": (3,)}, count=8)))
        config = {"output_dir": str(tmp_path / "out"), "per_device_train_batch_size": 8, "max_steps": 1}
        quiet = {"report_to": "none", "save_strategy": "no", "disable_tqdm": True, "bf16": False, "use_cpu": True}
        model = Qwen3VLForConditionalGeneration.from_pretrained(folder)
        settings = {**config, **quiet, "dataloader_num_workers": workers}
        trainer = sft_trainer(TrainerParts(model, processor, as_dataset(rows, 256), settings))
        (batch,) = trainer.get_train_dataloader()
        answers = [processor.tokenizer.decode(line[line != -100]) for line in batch["labels"]]
        assert sorted(answers) == sorted(f"{row.completion}<|im_end|>\n" for row in rows)
        pad = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
        assert sorted((batch["input_ids"] == pad).sum(1).tolist()) == [0] * 4 + [64] * 4
        assert torch.isfinite(torch.tensor(trainer.train().training_loss))


def assert_same(row: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(map(pixels, row["images"])) == list(map(pixels, expected["images"]))
    assert {**row, "images": 0} == {**expected, "images": 0}


def pixels(image: Image.Image) -> bytes:
    return image.convert("RGB").tobytes()


def without_none(value: Any) -> Any:
    """Arrow tables fill the fields that a row lacks with None."""
    if isinstance(value, dict):
        return {name: without_none(item) for name, item in value.items() if item is not None}
    return [without_none(item) for item in value] if isinstance(value, list) else value


class TestExports:
    @pytest.mark.parametrize("method", ["sft", "distill"])
    def test_trl_round_trip(self, tmp_path: Path, method: str) -> None:
        datasets = pytest.importorskip("datasets")
        recipe = make(method=method)
        rows = rows_of(recipe)
        summary = exports.export(recipe, "only", "trl", tmp_path / "out")
        assert summary == exports.ExportSummary(80, summary.pictures, rows_digest(rows), tmp_path / "out")
        loaded = datasets.load_dataset(
            "json", data_files=str(tmp_path / "out" / "train.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
        )
        assert len(loaded) == len(rows)
        for read, row in zip(loaded, rows, strict=True):
            expected = row.to_trl(256)
            assert_same(
                {**without_none(read), "images": [Image.open(tmp_path / "out" / path) for path in read["images"]]},
                expected,
            )

    def test_llamafactory(self, tmp_path: Path) -> None:
        recipe = make()
        exports.export(recipe, "only", "llamafactory", tmp_path)
        info = json.loads((tmp_path / "dataset_info.json").read_text())
        assert info["made-only"]["formatting"] == "sharegpt"
        assert info["made-only"]["tags"]["role_tag"] == "role"
        lines = read_lines(tmp_path / info["made-only"]["file_name"])
        for line, row in zip(lines, rows_of(recipe), strict=True):
            user, assistant = line["messages"]
            assert user == {"role": "user", "content": row.prompt + "<image>" * len(line["images"])}
            assert assistant == {"role": "assistant", "content": row.completion}
            assert all((tmp_path / path).is_file() for path in line["images"])
            assert len(line["images"]) == (row.picture is not None)

    def test_ms_swift(self, tmp_path: Path) -> None:
        recipe = make(method="distill")
        exports.export(recipe, "only", "ms-swift", tmp_path)
        for line, row in zip(read_lines(tmp_path / "train.jsonl"), rows_of(recipe), strict=True):
            assert [message["role"] for message in line["messages"]] == ["user"]
            assert line["messages"][0]["content"] == f"{row.prompt}<image>"
            assert (line["teacher_prompt"], line["teacher_images"]) == (row.teacher_prompt, [])

    def test_about(self, tmp_path: Path) -> None:
        states = [episode.state for episode in train_episodes(SPEC) if episode.task == "frozenlake"]
        file = write_records(tmp_path / "set.jsonl", states)
        recipe = make(spec=replace(SPEC, exclude=(str(file),)))
        summary = exports.export(recipe, "only", "ms-swift", tmp_path / "out")
        about = json.loads((tmp_path / "out" / "data.json").read_text())
        assert about["excluded"] == {"paths": [str(file)], "states": 40}
        assert about["digest"] == summary.digest
        assert about["counts"]["maze/3/questions"] == 10
        assert about["recipe"] == recipe.to_json()
        assert about["pictures"] == summary.pictures == len(list((tmp_path / "out" / "images").iterdir()))
        assert "numpy" in about["made_by"]["versions"]

    def test_refuses_a_full_folder(self, tmp_path: Path) -> None:
        (tmp_path / "mine").touch()
        with pytest.raises(UserError, match="already holds something; name a new folder"):
            exports.export(make(), "only", "trl", tmp_path)

    def test_refuses_what_does_not_fit(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="trains on answers and only has none"):
            exports.export(make(method="distill"), "only", "llamafactory", tmp_path / "out")
        with pytest.raises(UserError, match="stage=other"):
            exports.export(make(), "other", "trl", tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    def test_a_full_disk_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        written: list[Path] = []

        def write_bytes(path: Path, data: bytes) -> int:
            written.append(path)
            if len(written) > 5:
                raise OSError(errno.ENOSPC, "No space left on device")
            return len(data)

        monkeypatch.setattr(Path, "write_bytes", write_bytes)
        with pytest.raises(UserError, match=r"out: cannot be written \(No space left on device\); name another folder"):
            exports.export(make(), "only", "trl", tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    def test_no_folder_can_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(UserError, match="cannot be written"):
            exports.export(make(), "only", "trl", tmp_path / "file" / "out")


def read_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]
