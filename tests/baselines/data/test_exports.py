"""Training rows as trainers get them, and as exports hold them."""

from __future__ import annotations

import errno
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mgsd_baselines.data import exports
from mgsd_baselines.data.dataset import as_dataset, rows_digest, train_episodes
from mgsd_bench.errors import UserError
from mgsd_envs import episode_from_json
from support.training_rows import SPEC, make, rows_of, write_records


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
        assert set(row) == {"prompt", "images", "episode", "privileged", "teacher_prompt", "condition"}
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
